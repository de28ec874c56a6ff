#include "pipeline/streams/frequent_numbers.h"

#include <algorithm>

namespace headrace::pipeline {

void FrequentNumbers::Clear() {
  slots_.fill({});
  numbers_ = 0;
  total_ = 0;
  error_ = 0;
}

FrequentNumbers::Count& FrequentNumbers::Place(uint32_t number) {
  size_t at = SlotOf(number);
  while (slots_[at].count != 0 && slots_[at].number != number) at = (at + 1) % kSlots;
  return slots_[at];
}

FrequentNumbers::Count& FrequentNumbers::Add(uint32_t number) {
  ++total_;
  Count* slot = &Place(number);
  if (slot->count == 0) {
    if (numbers_ == kNumbersMax) {
      Purge();
      slot = &Place(number);
    }
    *slot = {.number = number};
    ++numbers_;
  }
  ++slot->count;
  return *slot;
}

void FrequentNumbers::Purge() {
  std::vector<Count> counts;
  counts.reserve(kNumbersMax);
  for (const Count& slot : slots_)
    if (slot.count != 0) counts.push_back(slot);
  const auto median = counts.begin() + kNumbersMax / 2;
  std::nth_element(counts.begin(), median, counts.end(),
                   [](const Count& a, const Count& b) { return a.count < b.count; });
  const uint64_t taken_off = median->count;
  error_ += taken_off;
  slots_.fill({});
  numbers_ = 0;
  for (Count& count : counts) {
    if (count.count <= taken_off) continue;
    count.count -= taken_off;
    Place(count.number) = count;
    ++numbers_;
  }
}

std::vector<FrequentNumbers::Count> FrequentNumbers::AtLeast(uint64_t at_least) const {
  std::vector<Count> found;
  for (const Count& slot : slots_)
    if (slot.count != 0 && slot.count + error_ >= at_least) found.push_back(slot);
  std::sort(found.begin(), found.end(), [](const Count& a, const Count& b) {
    return a.count != b.count ? a.count > b.count : a.number < b.number;
  });
  return found;
}

}  // namespace headrace::pipeline

#pragma once
// Which numbers come often: counts within a known bound, in constant memory, whatever comes.
//
// Misra and Gries's summary (1982), with the purge of Anderson et al., "A High-Performance
// Algorithm for Identifying Frequent Items in Data Streams" (2017): when kNumbersMax numbers are
// counted, the median count is taken off all of them and those without rest are dropped.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace::pipeline {

// One thread.
class FrequentNumbers {
 public:
  static constexpr size_t kNumbersMax = 768;

  struct Count {
    uint32_t number = 0;
    uint32_t tag = 0;    // the caller's, 0 at first; goes with the number when it is dropped
    uint64_t count = 0;  // 0: an empty slot
  };

  FrequentNumbers() { Clear(); }

  // One more of `number`. What it returns lives until the next call.
  Count& Add(uint32_t number);
  // One more of something that is no number: it counts in the total alone.
  void AddOther() { ++total_; }
  void Clear();

  uint64_t total() const { return total_; }
  // A number came at least as often as its count says, and at most so many times more; less than
  // total() / (kNumbersMax / 2).
  uint64_t error() const { return error_; }
  // Those that may have come at least `at_least` times, the most frequent first.
  std::vector<Count> AtLeast(uint64_t at_least) const;

 private:
  static constexpr size_t kSlots = 1024;  // a power of two, so that a quarter is always empty

  static size_t SlotOf(uint32_t number) {
    return (number * 0x9e3779b97f4a7c15ULL) >> (64 - 10);  // Fibonacci hashing
  }
  Count& Place(uint32_t number);
  void Purge();

  std::array<Count, kSlots> slots_;
  size_t numbers_ = 0;
  uint64_t total_ = 0;
  uint64_t error_ = 0;
};

}  // namespace headrace::pipeline

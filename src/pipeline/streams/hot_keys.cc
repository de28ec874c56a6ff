#include "pipeline/streams/hot_keys.h"

#include <algorithm>

#include "base/hash.h"
#include "pipeline/streams/joining_rows.h"

namespace headrace::pipeline {
namespace {

// A key's name is kept from its sampled row on that brings it to half of a hot key's share.
constexpr double kNamedShare = HotKeys::kShareMin / 2;
constexpr uint64_t kNamedMin = 16;  // rows: the first ones of a period would all have a large share
constexpr uint32_t kNamed = 1;
constexpr double kShortest = 0.001;  // of a period: what is shorter gives no rate

}  // namespace

// Steps of random length, 1 to 2 * one_of_ - 1: a stream's own rhythm must not decide which keys
// are seen. (xorshift64)
uint64_t HotKeys::NextStep() {
  if (one_of_ == 1) return 1;
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return 1 + random_ % (2 * one_of_ - 1);
}

template <typename F>
void HotKeys::ForSampled(size_t rows, env::MonotonicTime now, F f) {
  if (rows_ == 0 && sampled_.total() == 0) began_ = now;
  if (now - began_ >= kPeriod || sampled_.total() >= kSampledMax) EndPeriod(now);
  rows_ += rows;
  uint64_t at = skip_;
  for (; at < rows; at += NextStep()) f(at);
  skip_ = at - rows;
}

void HotKeys::Note(const columns::ColumnBatch& batch, std::span<const uint32_t> rows,
                   std::span<const uint32_t> numbers, env::MonotonicTime now) {
  ForSampled(rows.size(), now, [&](uint64_t at) {
    const uint32_t number = numbers[rows[at]];
    if (Sample(number)) columns::KeyOfRow(batch, by_, rows[at], names_[number]);
  });
}

// Two keys of one number, half of the hash, are counted as one: of the rows of other keys one in
// four thousand million has that of a hot one.
void HotKeys::Note(const columns::ColumnBatch& batch, env::MonotonicTime now) {
  columns::KeyBytes key;
  ForSampled(batch.rows(), now, [&](uint64_t row) {
    if (AnyNull(batch, by_, row)) {
      sampled_.AddOther();
      return;
    }
    columns::KeyOfRow(batch, by_, row, key);
    const auto number = static_cast<uint32_t>(base::Hash64(key));
    if (Sample(number)) names_[number] = key;
  });
}

// Whether its key is to be named.
bool HotKeys::Sample(uint32_t number) {
  FrequentNumbers::Count& count = sampled_.Add(number);
  if (count.tag == kNamed || count.count < kNamedMin) return false;
  if (static_cast<double>(count.count) < kNamedShare * static_cast<double>(sampled_.total()))
    return false;
  count.tag = kNamed;
  return true;
}

void HotKeys::EndPeriod(env::MonotonicTime now) {
  std::vector<HotKey> hot;
  const auto total = static_cast<double>(sampled_.total());
  if (sampled_.total() >= kSampledMin) {
    for (const auto& [number, tag, count] :
         sampled_.AtLeast(static_cast<uint64_t>(kShareMin * total))) {
      const double share =
          (static_cast<double>(count) + static_cast<double>(sampled_.error()) / 2) / total;
      if (share >= kShareMin && tag == kNamed) hot.push_back({names_[number], share});
    }
  }
  // By the rate of this period, which may have been a short one.
  const double periods =
      static_cast<double>((now - began_).count()) / static_cast<double>(kPeriod.count());
  const double rows = static_cast<double>(rows_) / std::max(kShortest, periods);
  one_of_ = std::max<uint64_t>(1, static_cast<uint64_t>(rows / kSampleRows));
  // After a pause the period was longer than it should be: what it found is still the newest.
  began_ = now;
  rows_ = 0;
  sampled_.Clear();
  names_.clear();
  const std::lock_guard lock(mutex_);
  newest_ = std::move(hot);
  newest_at_ = now;
}

std::vector<HotKey> HotKeys::Newest(env::MonotonicTime now) const {
  const std::lock_guard lock(mutex_);
  if (now - newest_at_ > 2 * kPeriod) return {};
  return newest_;
}

}  // namespace headrace::pipeline

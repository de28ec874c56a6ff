#include "pipeline/views/hot_keys.h"

#include <algorithm>

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

void HotKeys::Note(const columns::ColumnBatch& batch, std::span<const uint32_t> rows,
                   std::span<const uint32_t> numbers, env::MonotonicTime now) {
  if (rows_ == 0 && sampled_.total() == 0) began_ = now;
  if (now - began_ >= kPeriod || sampled_.total() >= kSampledMax) EndPeriod(now);
  rows_ += rows.size();
  uint64_t at = skip_;
  for (; at < rows.size(); at += NextStep()) Sample(batch, rows[at], numbers[rows[at]]);
  skip_ = at - rows.size();
}

void HotKeys::Sample(const columns::ColumnBatch& batch, uint32_t row, uint32_t number) {
  FrequentNumbers::Count& count = sampled_.Add(number);
  if (count.tag == kNamed || count.count < kNamedMin) return;
  if (static_cast<double>(count.count) < kNamedShare * static_cast<double>(sampled_.total()))
    return;
  count.tag = kNamed;
  columns::KeyOfRow(batch, by_, row, names_[number]);
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

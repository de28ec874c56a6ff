#include "base/histogram.h"

#include <algorithm>
#include <cmath>

namespace headrace::base {

void Histogram::Record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  Record(value);
  buckets_[IndexOf(value)].fetch_add(times - 1, std::memory_order_relaxed);
  sum_.fetch_add(value * (times - 1), std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  return total;
}

double Histogram::mean() const {
  const uint64_t n = count();
  return n == 0
             ? 0
             : static_cast<double>(sum_.load(std::memory_order_relaxed)) / static_cast<double>(n);
}

uint64_t Histogram::Quantile(double q) const {
  const uint64_t total = count();
  if (total == 0) return 0;
  const auto rank = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(q * static_cast<double>(total))), 1, total);
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen >= rank) return std::min(UpperEdge(i), max());
  }
  return max();
}

void Histogram::CopyCounts(Counts& out) const {
  for (size_t i = 0; i < kBuckets; ++i) out[i] = buckets_[i].load(std::memory_order_relaxed);
}

uint64_t Histogram::CountBetween(const Counts& earlier, const Counts& later) {
  uint64_t total = 0;
  for (size_t i = 0; i < kBuckets; ++i) total += later[i] - earlier[i];
  return total;
}

uint64_t Histogram::QuantileBetween(const Counts& earlier, const Counts& later, double q) {
  const uint64_t total = CountBetween(earlier, later);
  if (total == 0) return 0;
  const auto rank = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::ceil(q * static_cast<double>(total))), 1, total);
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += later[i] - earlier[i];
    if (seen >= rank) return UpperEdge(i);
  }
  return 0;
}

void Histogram::Reset() {
  for (auto& bucket : buckets_) bucket.store(0, std::memory_order_relaxed);
  max_.store(0, std::memory_order_relaxed);
  sum_.store(0, std::memory_order_relaxed);
}

uint64_t Histogram::UpperEdge(size_t index) {
  if (index < (1U << kSubBits)) return index;
  const int shift = static_cast<int>(index >> kSubBits) - 1;
  const uint64_t sub = index & ((1U << kSubBits) - 1);
  return (((1ULL << kSubBits) + sub + 1) << shift) - 1;
}

}  // namespace headrace::base

#pragma once
// Latency distribution in log-linear buckets (1/32 relative width), for percentiles of running
// stages. Record from any thread; reading while others record gives a slightly torn but usable
// picture.

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace headrace::base {

class Histogram {
 public:
  void Record(uint64_t value) {
    buckets_[IndexOf(value)].fetch_add(1, std::memory_order_relaxed);
    uint64_t seen = max_.load(std::memory_order_relaxed);
    while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  // `times` recordings of one value.
  void Record(uint64_t value, uint64_t times);

  uint64_t count() const;
  uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  double mean() const;
  // Upper edge of the bucket that holds the given quantile in [0, 1]; 0 when empty; never above
  // max().
  uint64_t Quantile(double q) const;
  // Forgets everything (between the phases of a measurement).
  void Reset();

 private:
  static constexpr int kSubBits = 5;
  static constexpr size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

 public:
  // How often each bucket was recorded, at one moment. Recorded between two moments: the
  // difference.
  using Counts = std::array<uint64_t, kBuckets>;
  void CopyCounts(Counts& out) const;
  // Of what was recorded after `earlier` and up to `later`.
  static uint64_t CountBetween(const Counts& earlier, const Counts& later);
  // The upper edge of a bucket, as Quantile; 0 when nothing was recorded.
  static uint64_t QuantileBetween(const Counts& earlier, const Counts& later, double q);

 private:
  static size_t IndexOf(uint64_t value) {
    if (value < (1U << kSubBits)) return value;
    const int shift = 63 - std::countl_zero(value) - kSubBits;
    return (static_cast<size_t>(shift + 1) << kSubBits) +
           ((value >> shift) & ((1U << kSubBits) - 1));
  }
  static uint64_t UpperEdge(size_t index);

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> max_{0};
  std::atomic<uint64_t> sum_{0};
};

}  // namespace headrace::base

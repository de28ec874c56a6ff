#include "pipeline/aggregates/quantile_buckets.h"

#include <algorithm>

namespace headrace::pipeline {

uint64_t NearestRank(double q, uint64_t count) {
  const double product = q * static_cast<double>(count);
  auto rank = static_cast<uint64_t>(product);
  if (product - static_cast<double>(rank) > product * 1e-12) ++rank;
  return std::clamp<uint64_t>(rank, 1, count);
}

Bucket BucketAtQuantile(std::span<Bucket> buckets, double q) {
  const auto at = buckets.begin() + static_cast<ptrdiff_t>(NearestRank(q, buckets.size()) - 1);
  std::nth_element(buckets.begin(), at, buckets.end());
  return *at;
}

Bucket BucketAtQuantile(std::span<Bucket> buckets, std::span<BucketCount> counts, double q) {
  if (counts.empty()) return BucketAtQuantile(buckets, q);
  std::ranges::sort(buckets);
  std::ranges::sort(counts, {}, &BucketCount::bucket);
  uint64_t all = buckets.size();
  for (const BucketCount& each : counts) all += each.count;
  uint64_t left = NearestRank(q, all);
  size_t single = 0;
  for (const BucketCount& each : counts) {
    for (; single < buckets.size() && buckets[single] < each.bucket; ++single)
      if (--left == 0) return buckets[single];
    if (each.count >= left) return each.bucket;
    left -= each.count;
  }
  return buckets[single + left - 1];
}

}  // namespace headrace::pipeline

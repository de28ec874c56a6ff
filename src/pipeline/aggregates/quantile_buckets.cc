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

}  // namespace headrace::pipeline

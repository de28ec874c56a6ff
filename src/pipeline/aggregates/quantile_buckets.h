#pragma once
// Log-spaced buckets for quantiles: a bucket is a sign, an exponent and the top k mantissa bits, so
// its number is cut out of the double's bits and orders as the values do. All values of a bucket
// lie within 2^-k of its edge nearest zero, which is the answer; integers below 2^(k+1) have a
// bucket each. Subnormals are within 2^(-1022-k) of the edge instead. -0.0 falls in with 0.0; NaN
// is one bucket above +infinity.

#include <bit>
#include <cstdint>
#include <span>

namespace headrace::pipeline {

// The number of a bucket; greater values have greater numbers, negative ones below -0.
using Bucket = int32_t;

constexpr int kQuantileBitsMax = 20;  // so that a bucket fits its type

inline Bucket BucketOf(double v, int bits) {
  auto raw = std::bit_cast<uint64_t>(v);
  uint64_t magnitude = raw & ~(1ULL << 63);
  if (magnitude > (0x7ffULL << 52)) [[unlikely]] {
    magnitude = 0x7ff8ULL << 48;
    raw = 0;
  }
  const auto index = static_cast<Bucket>(magnitude >> (52 - bits));
  return (raw >> 63) != 0 ? -index : index;
}

// Exact for every int64: the bits that a double can't hold are cut, not rounded.
inline Bucket BucketOf(int64_t v, int bits) {
  uint64_t magnitude = v < 0 ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v);
  if (magnitude >> 53 != 0) [[unlikely]]
    magnitude &= ~0ULL << (11 - std::countl_zero(magnitude));
  const auto index =
      static_cast<Bucket>(std::bit_cast<uint64_t>(static_cast<double>(magnitude)) >> (52 - bits));
  return v < 0 ? -index : index;
}

// The bucket's edge nearest zero.
inline double EdgeOf(Bucket bucket, int bits) {
  const auto index = static_cast<uint64_t>(bucket < 0 ? -static_cast<int64_t>(bucket) : bucket);
  const double edge = std::bit_cast<double>(index << (52 - bits));
  return bucket < 0 ? -edge : edge;
}

// The nearest rank of quantile q in (0, 1] among `count` > 0 values: 1 .. count. It is ceil(q *
// count), where a product within 1e-12 of a whole number is that number (0.07 of 100 is 7, although
// the double 0.07 * 100 is a little more).
uint64_t NearestRank(double q, uint64_t count);

// The bucket of that rank. Reorders `buckets`, which must not be empty.
Bucket BucketAtQuantile(std::span<Bucket> buckets, double q);

// How many values are in a bucket.
struct BucketCount {
  Bucket bucket;
  uint64_t count;
};
// The same over single values and counted ones, of which there is at least one. A bucket may be
// there several times. Reorders both.
Bucket BucketAtQuantile(std::span<Bucket> buckets, std::span<BucketCount> counts, double q);

}  // namespace headrace::pipeline

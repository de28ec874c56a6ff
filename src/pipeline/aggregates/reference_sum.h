#pragma once
// For tests: a correctly rounded sum by other means than ExactSum's, after Shewchuk (1997). It is
// kept as non-overlapping doubles, the largest last, and rounded once, a tie being broken by what
// lies below. Partial sums must stay below 2^1023.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace headrace::pipeline {

class ReferenceSum {
 public:
  void Add(double x) {
    if (!std::isfinite(x)) {
      special_ += x;
      return;
    }
    size_t kept = 0;
    for (double y : parts_) {
      if (std::abs(x) < std::abs(y)) std::swap(x, y);
      const double high = x + y;
      const double low = y - (high - x);
      if (low != 0) parts_[kept++] = low;
      x = high;
    }
    parts_.resize(kept);
    parts_.push_back(x);
  }

  double Round() const {
    if (std::isnan(special_)) return std::bit_cast<double>(0x7ff8000000000000ULL);
    if (special_ != 0) return special_;
    if (parts_.empty()) return 0;
    size_t i = parts_.size() - 1;
    double high = parts_[i];
    double low = 0;
    while (i > 0 && low == 0) {
      const double x = high;
      const double y = parts_[--i];
      high = x + y;
      low = y - (high - x);
    }
    // Half a unit off, and what is below pulls the same way: the nearest double is the next one.
    if (i > 0 && ((low < 0 && parts_[i - 1] < 0) || (low > 0 && parts_[i - 1] > 0))) {
      const double twice = low * 2;
      const double next = high + twice;
      if (twice == next - high) high = next;
    }
    return high == 0 ? 0.0 : high;
  }

 private:
  std::vector<double> parts_;
  double special_ = 0;  // infinities and NaNs
};

}  // namespace headrace::pipeline

#pragma once
// Where a row stands in the log: (epoch, row), packed so that positions of one stream order as
// numbers.

#include <compare>
#include <cstdint>

#include "base/ids.h"
#include "base/result.h"

namespace headrace::columns {

// 40 bits of epoch (34 years at an epoch a millisecond), 24 bits of row within the stream's batch
// of that epoch.
struct Position {
  static constexpr int kRowBits = 24;
  static constexpr uint64_t kRowsMax = 1ULL << kRowBits;  // rows a stream may have in one epoch
  uint64_t packed = 0;

  static Position Of(base::EpochId epoch, uint64_t row) {
    HR_CHECK(row < kRowsMax && epoch.value < (1ULL << 40), "position out of range");
    return {(epoch.value << kRowBits) | row};
  }
  base::EpochId epoch() const { return {packed >> kRowBits}; }
  uint32_t row() const { return static_cast<uint32_t>(packed & (kRowsMax - 1)); }
  auto operator<=>(const Position&) const = default;
};

}  // namespace headrace::columns

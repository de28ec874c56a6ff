#pragma once
// How many rows of a stream are durable but not yet in its table, by ranges of epochs.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"

namespace headrace::tables {

// Of many epochs, old neighbours share a range of up to kRangeRows rows, so that a table that lags
// for days costs little memory. Not thread-safe.
class PendingRows {
 public:
  static constexpr size_t kRangesMax = 4096;  // more only with kRangeRows rows each
  static constexpr uint64_t kRangeRows = 8192;

  void Add(base::EpochId epoch, uint64_t rows, base::Timestamp sealed_at) {
    if (rows == 0) return;
    rows_ += rows;
    ranges_.push_back({epoch, epoch, rows, sealed_at});
    if (ranges_.size() > merge_above_) MergeOldHalf();
  }
  // Everything up to `epoch` is in the table. A range across it stays, and counts too much until it
  // is done with: of recent epochs there is none.
  void DropThrough(base::EpochId epoch) {
    while (!ranges_.empty() && ranges_.front().last <= epoch) {
      rows_ -= ranges_.front().rows;
      ranges_.pop_front();
    }
  }

  bool empty() const { return ranges_.empty(); }
  uint64_t rows() const { return rows_; }
  // The epoch of the oldest row, and when it was sealed. Not when empty.
  base::EpochId first() const { return ranges_.front().first; }
  base::Timestamp oldest() const { return ranges_.front().sealed_at; }
  // The end of a plan of about `rows_max` rows; nothing when all of them fit.
  std::optional<base::EpochId> EndOf(uint64_t rows_max) const {
    uint64_t rows = 0;
    for (const Range& range : ranges_) {
      rows += range.rows;
      if (rows >= rows_max) return range.last;
    }
    return std::nullopt;
  }

  // u32 ranges, per range {u64 first, u64 last, u64 rows, i64 sealed at}.
  void Encode(columns::ByteWriter& out) const {
    out.U32(static_cast<uint32_t>(ranges_.size()));
    for (const Range& range : ranges_) {
      out.U64(range.first.value);
      out.U64(range.last.value);
      out.U64(range.rows);
      out.I64(range.sealed_at.us);
    }
  }
  // Into an empty one. Errors: kCorruption.
  base::Result<void> Decode(columns::ByteReader& in) {
    HR_TRY(const uint32_t ranges, in.U32());
    for (uint32_t i = 0; i < ranges; ++i) {
      Range range{};
      HR_TRY(range.first.value, in.U64());
      HR_TRY(range.last.value, in.U64());
      HR_TRY(range.rows, in.U64());
      HR_TRY(range.sealed_at.us, in.I64());
      ranges_.push_back(range);
      rows_ += range.rows;
    }
    return {};
  }

 private:
  struct Range {
    base::EpochId first;
    base::EpochId last;
    uint64_t rows;
    base::Timestamp sealed_at;  // of the first
  };

  void MergeOldHalf() {
    std::deque<Range> merged;
    for (size_t i = 0; i < ranges_.size(); ++i) {
      const Range& range = ranges_[i];
      if (i < ranges_.size() / 2 && !merged.empty() &&
          merged.back().rows + range.rows <= kRangeRows) {
        merged.back().last = range.last;
        merged.back().rows += range.rows;
      } else {
        merged.push_back(range);
      }
    }
    ranges_ = std::move(merged);
    merge_above_ = std::max(kRangesMax, ranges_.size() + kRangesMax / 4);
  }

  std::deque<Range> ranges_;
  uint64_t rows_ = 0;
  size_t merge_above_ = kRangesMax;
};

}  // namespace headrace::tables

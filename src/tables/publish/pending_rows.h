#pragma once
// How many rows of a stream are durable but not yet in its table, by ranges of epochs.

#include <cstdint>
#include <deque>
#include <optional>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"

namespace headrace::tables {

// Neighbouring epochs share a range until it has kRangeRows rows, so that a table that lags for
// days costs little memory. Not thread-safe.
class PendingRows {
 public:
  static constexpr uint64_t kRangeRows = 8192;

  void Add(base::EpochId epoch, uint64_t rows, base::Timestamp sealed_at) {
    if (rows == 0) return;
    rows_ += rows;
    if (!ranges_.empty() && ranges_.back().rows < kRangeRows) {
      ranges_.back().last = epoch;
      ranges_.back().rows += rows;
    } else {
      ranges_.push_back({epoch, epoch, rows, sealed_at});
    }
  }
  // Everything up to `epoch` is in the table. A range across it stays, and counts too much until it
  // is done with.
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
  std::deque<Range> ranges_;
  uint64_t rows_ = 0;
};

}  // namespace headrace::tables

// What was accumulated as bytes, and added again: for tiles, whose rows are gone.
//
// per slot: u64 rows that counted; when there are any, what Slot::Kind says:
//   truths u64; sums i128 or ExactSum's bytes; squares ExactSquares' bytes; ranges i64 least, i64
//   greatest, or two texts; newest, oldest i64 time, u64 position, u8 valid, u64 cell or a text;
//   buckets, ascending: how many, each its distance from the one before (the first from the least
//   there can be) and the values in it, as numbers of 7 bits a byte, the lowest first; distinct
//   DistinctValues' bytes

#include <algorithm>
#include <limits>

#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {

using columns::ByteReader;
using columns::ByteWriter;

namespace {

// Each once, ascending.
std::vector<BucketCount> CountsOf(const std::vector<Bucket>& singles,
                                  std::vector<BucketCount> counts) {
  for (const Bucket bucket : singles) counts.push_back({bucket, 1});
  std::ranges::sort(counts, {}, &BucketCount::bucket);
  size_t kept = 0;
  for (const BucketCount& each : counts) {
    if (kept > 0 && counts[kept - 1].bucket == each.bucket) {
      counts[kept - 1].count += each.count;
    } else {
      counts[kept++] = each;
    }
  }
  counts.resize(kept);
  return counts;
}

void AppendNumber(uint64_t number, ByteWriter& out) {
  for (; number >= 0x80; number >>= 7) out.U8(static_cast<uint8_t>(number | 0x80));
  out.U8(static_cast<uint8_t>(number));
}

base::Result<uint64_t> ReadNumber(ByteReader& in) {
  uint64_t number = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    HR_TRY(const uint8_t byte, in.U8());
    number |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return number;
  }
  return base::Fail(base::ErrorCode::kCorruption, "a number of more than 64 bits");
}

constexpr int64_t kLeastBucket = std::numeric_limits<Bucket>::min();

}  // namespace

void Accumulators::AppendBytes(Slots slots, std::vector<uint8_t>& out) const {
  ByteWriter writer(out);
  for (size_t i = 0; i < states_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slots == Slots::kWithoutRecord && slot.record_bytes() != 0) continue;
    AppendState(slot, states_[i], writer);
  }
}

void Accumulators::AppendState(const Slot& slot, const State& state, ByteWriter& out) {
  out.U64(state.count);
  if (state.count == 0) return;
  switch (slot.kind) {
    case Slot::Kind::kRows: return;
    case Slot::Kind::kTruths: return out.U64(state.truths);
    case Slot::Kind::kIntegerSum: return AppendInt128(state.integers, out);
    case Slot::Kind::kDoubleSum: return state.doubles.AppendBytes(out);
    case Slot::Kind::kIntegerSquares:
    case Slot::Kind::kDoubleSquares: return state.squares().AppendBytes(out);
    case Slot::Kind::kIntegerRange:
    case Slot::Kind::kDoubleRange:
    case Slot::Kind::kBoolRange: out.I64(state.least); return out.I64(state.greatest);
    case Slot::Kind::kTextRange: out.Text(state.least_text); return out.Text(state.greatest_text);
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest:
      out.I64(state.end_time);
      out.U64(state.end_position);
      out.U8(state.end_valid ? 1 : 0);
      if (slot.argument && slot.cell == CellKind::kText)
        return out.Text(state.end_valid ? TextCell::Read(state.end_cell) : std::string_view());
      return out.U64(state.end_valid ? state.end_cell : 0);
    case Slot::Kind::kBuckets: {
      const std::vector<BucketCount> counts = CountsOf(state.buckets, state.bucket_counts);
      AppendNumber(counts.size(), out);
      int64_t before = kLeastBucket;
      for (const BucketCount& each : counts) {
        AppendNumber(static_cast<uint64_t>(each.bucket - before), out);
        AppendNumber(each.count, out);
        before = each.bucket;
      }
      return;
    }
    case Slot::Kind::kDistinct: return std::get<DistinctValues>(state.more).AppendBytes(out);
    case Slot::Kind::kNewestRows:
    case Slot::Kind::kOldestRows:
    case Slot::Kind::kFrequencies:
    case Slot::Kind::kRecentValues:
    case Slot::Kind::kDecayed: break;
  }
  HR_CHECK(false, "an aggregate that needs its rows has no bytes");
}

base::Result<void> Accumulators::MergeBytes(Slots slots, std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  for (size_t i = 0; i < states_.size(); ++i) {
    const Slot& slot = plan_->slots()[i];
    if (slots == Slots::kWithoutRecord && slot.record_bytes() != 0) continue;
    HR_TRY_VOID(MergeStateBytes(slot, in, states_[i]));
  }
  if (in.remaining() == 0) return {};
  return base::Fail(base::ErrorCode::kCorruption, "an accumulated state has bytes behind its end");
}

base::Result<void> Accumulators::MergeStateBytes(const Slot& slot, ByteReader& in, State& state) {
  HR_TRY(const uint64_t count, in.U64());
  if (count == 0) return {};
  switch (slot.kind) {
    case Slot::Kind::kRows: break;
    case Slot::Kind::kTruths: {
      HR_TRY(const uint64_t truths, in.U64());
      state.truths += truths;
      break;
    }
    case Slot::Kind::kIntegerSum: {
      HR_TRY(const Int128 sum, ReadInt128(in));
      state.integers += sum;
      break;
    }
    case Slot::Kind::kDoubleSum: HR_TRY_VOID(state.doubles.MergeBytes(in)); break;
    case Slot::Kind::kIntegerSquares:
    case Slot::Kind::kDoubleSquares: HR_TRY_VOID(state.squares().MergeBytes(in)); break;
    case Slot::Kind::kIntegerRange:
    case Slot::Kind::kDoubleRange:
    case Slot::Kind::kBoolRange: {
      HR_TRY(const int64_t least, in.I64());
      HR_TRY(const int64_t greatest, in.I64());
      AddRange(state, least, greatest, count);
      return {};
    }
    case Slot::Kind::kTextRange: {
      HR_TRY(const std::string_view least, in.Text());
      HR_TRY(const std::string_view greatest, in.Text());
      if (state.count == 0 || least < state.least_text) state.least_text = least;
      if (state.count == 0 || greatest > state.greatest_text) state.greatest_text = greatest;
      break;
    }
    case Slot::Kind::kNewest:
    case Slot::Kind::kOldest: {
      HR_TRY(const int64_t time, in.I64());
      HR_TRY(const uint64_t position, in.U64());
      HR_TRY(const uint8_t valid, in.U8());
      uint64_t cell = 0;
      if (slot.argument && slot.cell == CellKind::kText) {
        HR_TRY(const std::string_view text, in.Text());
        cell = TextCell::Of(text);
      } else {
        HR_TRY(cell, in.U64());
      }
      if (!IsBeyond(slot, state, time, position)) break;
      state.end_time = time;
      state.end_position = position;
      state.end_valid = valid != 0;
      state.end_cell = cell;
      break;
    }
    case Slot::Kind::kBuckets: {
      HR_TRY(const uint64_t buckets, ReadNumber(in));
      int64_t bucket = kLeastBucket;
      for (uint64_t i = 0; i < buckets; ++i) {
        HR_TRY(const uint64_t distance, ReadNumber(in));
        HR_TRY(const uint64_t values, ReadNumber(in));
        if (distance > static_cast<uint64_t>(std::numeric_limits<Bucket>::max() - bucket))
          return base::Fail(base::ErrorCode::kCorruption, "a bucket beyond all there are");
        bucket += static_cast<int64_t>(distance);
        state.bucket_counts.push_back({static_cast<Bucket>(bucket), values});
      }
      break;
    }
    case Slot::Kind::kDistinct:
      HR_TRY_VOID(std::get<DistinctValues>(state.more).MergeBytes(in));
      break;
    case Slot::Kind::kNewestRows:
    case Slot::Kind::kOldestRows:
    case Slot::Kind::kFrequencies:
    case Slot::Kind::kRecentValues:
    case Slot::Kind::kDecayed:
      return base::Fail(base::ErrorCode::kCorruption, "an aggregate that needs its rows");
  }
  state.count += count;
  return {};
}

}  // namespace headrace::pipeline

#include "log/replay_entry.h"

namespace headrace::log {

using base::Result;
using columns::DeadLetterId;
using columns::Replay;

namespace {

constexpr uint64_t kRangeBytes = 24;

std::vector<LetterRange> RangesOf(std::span<const Replay::Letter> letters) {
  std::vector<LetterRange> ranges;
  for (size_t i = 0; i < letters.size(); ++i) {
    const bool follows = i > 0 && letters[i].ordinal == letters[i - 1].ordinal + 1;
    if (!follows) ranges.push_back({letters[i].id, letters[i].id});
    ranges.back().last = letters[i].id;
  }
  return ranges;
}

Result<DeadLetterId> ReadId(columns::ByteReader& in) {
  DeadLetterId id;
  HR_TRY(id.epoch.value, in.U64());
  HR_TRY(id.number, in.U32());
  return id;
}

}  // namespace

void EncodeRanges(std::span<const LetterRange> ranges, columns::ByteWriter& out) {
  out.U32(static_cast<uint32_t>(ranges.size()));
  for (const LetterRange& range : ranges)
    for (const DeadLetterId& id : {range.first, range.last}) {
      out.U64(id.epoch.value);
      out.U32(id.number);
    }
}

Result<std::vector<LetterRange>> DecodeRanges(columns::ByteReader& in) {
  std::vector<LetterRange> ranges;
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    LetterRange range;
    HR_TRY(range.first, ReadId(in));
    HR_TRY(range.last, ReadId(in));
    if (range.last < range.first || (i > 0 && range.first <= ranges.back().last))
      return base::Fail(base::ErrorCode::kCorruption, "replayed dead letters out of their order");
    ranges.push_back(range);
  }
  return ranges;
}

ControlEntry EncodeReplay(const std::string& stream, std::span<const Replay::Letter> letters) {
  ControlEntry entry{.kind = ControlEntry::Kind::kReplay, .name = stream, .payload = {}};
  columns::ByteWriter out(entry.payload);
  out.U32(static_cast<uint32_t>(letters.size()));
  EncodeRanges(RangesOf(letters), out);
  return entry;
}

Result<ReplayedLetters> DecodeReplay(const ControlEntry& entry) {
  columns::ByteReader in(entry.payload);
  ReplayedLetters found;
  HR_TRY(found.letters, in.U32());
  HR_TRY(found.ranges, DecodeRanges(in));
  return found;
}

uint64_t ReplayBytesMax(size_t letters) { return letters * kRangeBytes; }

}  // namespace headrace::log

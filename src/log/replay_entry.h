#pragma once
// Which dead letters came in when they were sent again: an entry of the epoch that has their rows,
// so that both are there or neither is.

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch_codec.h"
#include "columns/event_batch.h"
#include "log/epoch.h"

namespace headrace::log {

// All refused rows of the log from `first` to `last`, both included.
struct LetterRange {
  columns::DeadLetterId first;
  columns::DeadLetterId last;
  bool operator==(const LetterRange&) const = default;
};

struct ReplayedLetters {
  uint32_t letters = 0;
  std::vector<LetterRange> ranges;  // ascending
};

// u32 ranges, each {u64 epoch, u32 number, u64 epoch, u32 number}; they ascend. Errors:
// kCorruption.
void EncodeRanges(std::span<const LetterRange> ranges, columns::ByteWriter& out);
base::Result<std::vector<LetterRange>> DecodeRanges(columns::ByteReader& in);

// An entry of kind kReplay: u32 letters, ranges. `letters` ascend; neighbours by their ordinals are
// of one range.
ControlEntry EncodeReplay(const std::string& stream,
                          std::span<const columns::Replay::Letter> letters);
// Errors: kCorruption.
base::Result<ReplayedLetters> DecodeReplay(const ControlEntry& entry);

// About what the entry of so many letters takes at most.
uint64_t ReplayBytesMax(size_t letters);

}  // namespace headrace::log

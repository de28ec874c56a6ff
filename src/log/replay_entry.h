#pragma once
// Which dead letters came in when they were sent again: an entry of the epoch that has their rows,
// so that both are there or neither is.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
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

// An entry of kind kReplay: u32 letters, u32 ranges, each {u64 epoch, u32 number, u64 epoch, u32
// number}. `letters` ascend; neighbours by their ordinals are of one range.
ControlEntry EncodeReplay(const std::string& stream,
                          std::span<const columns::Replay::Letter> letters);
// Errors: kCorruption.
base::Result<ReplayedLetters> DecodeReplay(const ControlEntry& entry);

// Whether some of a stream's rows are its source's, and not all of them were sent again: only those
// say that the source is alive.
bool HasRowsOfSource(const Epoch& epoch, base::StreamId stream, std::string_view name);

// About what the entry of so many letters takes at most.
uint64_t ReplayBytesMax(size_t letters);

}  // namespace headrace::log

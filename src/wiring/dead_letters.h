#pragma once
// Where refused rows are found again: the epochs that hold some, and how many of each rule a stream
// has; and which of them have come in since, as they were sent again.

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "columns/event_batch.h"
#include "contract/contract.h"
#include "log/epoch.h"
#include "log/reader.h"
#include "log/replay_entry.h"
#include "wiring/dead_letter_page.h"

namespace headrace::wiring {

// The rows themselves stay in the log; here are ranges of epochs, each with refused rows in some of
// its epochs: at most kRangesMax of 16 bytes, beyond which they grow together. Thread-safe.
class DeadLetters {
 public:
  // Remembers an epoch's refused rows, and those that came in with it. In order of epochs; those
  // that a restored one has are passed over. Errors: kCorruption.
  base::Result<void> Note(const log::Epoch& epoch);
  // The log holds refused rows of epochs from `from` on.
  void ForgetBefore(base::EpochId from);
  // What is remembered, for a snapshot: u64 epoch noted last, u32 kRanges, u32 ranges, each {u64
  // first epoch, u64 last}, u32 counts, each {u32 stream, text rule, u64 rows}, u32 ranges of those
  // that came in since, each {u64 epoch, u32 number, u64 epoch, u32 number}, u32 counts of them,
  // each {text stream, u64 rows}. The epoch is the one noted last.
  base::EpochId Encode(std::vector<uint8_t>& out) const;
  // Into a new one; also what older versions wrote, instead of kRanges and the ranges: u32 epochs,
  // u64 each, or nothing of those that came in since. Errors: kCorruption.
  base::Result<void> Decode(std::span<const uint8_t> bytes);

  using RuleCounts = std::map<std::string, uint64_t>;
  // Refused rows a stream and rule.
  std::map<uint32_t, RuleCounts> counts() const;

  // Rows that came in since, by stream.
  std::map<std::string, uint64_t> replayed() const;

  // A refused row, while it is visited.
  struct Letter {
    columns::DeadLetterId id;
    uint64_t ordinal = 0;  // among those that a visit comes to, from 1
    base::StreamId stream;
    const columns::RejectedRow& row;
    bool is_replayed = false;  // it came in since
    LetterPosition behind;     // where those after it begin
  };
  // Those behind `after`, oldest first, until `visit` says no.
  base::Result<void> Visit(log::LogReader& reader, LetterPosition after,
                           const std::function<bool(const Letter&)>& visit) const;

  // What is shown of a stream: its name, and the contract that says which fields are masked (null:
  // nobody knows, so that masked payloads are "***").
  struct Stream {
    std::string name;
    contract::ContractRef contract = nullptr;
  };

  // The refused rows that are asked for, oldest first, each
  // {"epoch","stream","row","field","rule","reason","payload"}: at most `limit`, and at most 8 MiB
  // and one. One that came in since says "replayed": true. With masked payloads, one in which
  // something is hidden is followed by "masked": true: it is not what came, and no good for a
  // replay.
  base::Result<DeadLetterPage> Page(log::LogReader& reader,
                                    const std::function<Stream(base::StreamId)>& describe,
                                    const DeadLetterQuery& query) const;

  static constexpr size_t kRangesMax = 65'536;
  // Neighbouring epochs are read in one scan, as finding an epoch costs about as much as reading a
  // few.
  static constexpr uint64_t kGapMax = 16;
  static constexpr uint32_t kRanges = UINT32_MAX;
  // How many ranges there are.
  size_t ranges() const;
  // Of letters that came in since, one behind the other in the log: about 80 bytes each.
  static constexpr size_t kReplayedRangesMax = 131'072;
  size_t replayed_ranges() const;

 private:
  struct Range {
    base::EpochId first;
    base::EpochId last;
  };
  struct Noted {
    base::EpochId through;
    std::vector<Range> ranges;
    std::map<uint32_t, RuleCounts> counts;
    std::map<columns::DeadLetterId, columns::DeadLetterId> replayed;  // first to last
    std::map<std::string, uint64_t> replayed_rows;
  };
  bool IsReplayed(const columns::DeadLetterId& id) const;
  void AddReplayed(log::LetterRange range);  // under the mutex
  base::Result<void> DecodeReplayed(columns::ByteReader& in);
  static void Add(base::EpochId epoch, uint64_t& gap_max, std::vector<Range>& ranges);

  mutable std::mutex mutex_;
  Noted noted_;
  uint64_t gap_max_ = kGapMax;  // epochs so near one another are of one range
};

}  // namespace headrace::wiring

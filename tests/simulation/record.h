#pragma once
// The independent record of one simulated history: what was sent, promised and answered. It says
// afterwards what must be true of log, table and answers. It knows nothing of the engine's insides:
// no tiles, versions or exact sums.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "columns/value.h"
#include "log/sequencer.h"
#include "simulation/payments.h"

namespace headrace::simulation {

// What a producer sends at a time, and what it was told first.
struct Batch {
  uint64_t sequence = 0;  // of a producer with sequences
  std::string key;        // of one with idempotency keys; neither: sent once, whatever happens
  std::vector<Row> rows;
  struct Answer {
    base::EpochId epoch;
    uint64_t accepted = 0;
    std::set<uint32_t> refused;
    bool operator==(const Answer&) const = default;
  };
  std::optional<Answer> answer;
  int under_way = 0;  // sent in this life and not answered
};

// A lookup's answer, to be explained by the log when all is over.
struct Asked {
  int64_t card = 0;
  base::EpochId epoch;
  base::Timestamp as_of;
  std::vector<columns::Value> values;  // n, spend, most, each over 1 h and 6 h
};

// A row where log or table has it.
struct LoggedRow {
  base::EpochId epoch;
  Row row;
  int64_t known_at_us = 0;  // in tables
};

// A refused row, as its dead letter tells of it.
struct Letter {
  int64_t id = 0;
  int64_t card = 0;
  double amount = 0;
};

// Each check says what is wrong, or nothing.
class Record {
 public:
  using Finding = std::optional<std::string>;

  void NoteSent(const Batch& batch);
  // The first answer to a batch, or a repeat of it.
  Finding NoteAnswer(Batch& batch, const log::Acknowledgement& ack);
  // Refused rows are sent again: from now on those that were good may be there.
  void NoteReplayBegun() { replays_ = true; }
  // The rows that were refused as late, as far as their answers came.
  const std::set<int64_t>& late() const { return late_; }
  // A replay of all came to its end: these, late when it began, must be there exactly once.
  void NoteReplayed(const std::set<int64_t>& late) { replayed_.insert(late.begin(), late.end()); }
  void NoteAsked(Asked asked) { asked_.push_back(std::move(asked)); }
  uint64_t acknowledged_rows() const { return acknowledged_.size(); }
  uint64_t asked() const { return asked_.size(); }

  // Every acknowledged row once (unless `part`: some may be missing), no refused row (but good ones
  // that may have been replayed), no other row twice, none that was never sent, each as it was
  // sent.
  enum class Whole : uint8_t { kYes, kPart };
  Finding CheckRows(const char* where, const std::vector<LoggedRow>& rows,
                    Whole whole = Whole::kYes) const;
  // Every refused row once (unless `part`), as it was sent, none twice and no accepted one.
  Finding CheckDeadLetters(const std::vector<Letter>& letters, Whole whole) const;
  // What the log holds, in its order; replaces what was there.
  void SetLog(std::vector<LoggedRow> rows) { log_ = std::move(rows); }
  const std::vector<LoggedRow>& log() const { return log_; }
  // Recomputes an answer from the rows of a log up to its epoch.
  static Finding CheckAnswer(const Asked& asked, const std::vector<LoggedRow>& log);
  Finding CheckAllAsked() const;

 private:
  std::unordered_map<int64_t, Row> sent_;  // every good row that was ever sent
  std::set<int64_t> acknowledged_;         // ids that must be there exactly once
  std::map<int64_t, Row> refused_;         // must not be there, unless they were replayed
  std::set<int64_t> late_;                 // of them
  std::set<int64_t> replayed_;             // likewise; ids that must be there exactly once
  bool replays_ = false;
  std::vector<LoggedRow> log_;
  std::vector<Asked> asked_;
};

}  // namespace headrace::simulation

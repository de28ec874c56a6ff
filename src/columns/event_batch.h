#pragma once
// What every way in (HTTP, Flight, files) ends in: rows that passed the contract, and those that
// did not, of one stream.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "columns/batch.h"
#include "columns/row_json.h"

namespace headrace::columns {

// A row that was refused, with all that is needed to explain it and to replay it.
struct RejectedRow {
  uint32_t row = 0;     // its number in the request
  std::string field;    // empty: the row as a whole
  std::string rule;     // stable: "required", "type", "range", "pattern", "enum", "length", "late",
                        // "ahead_of_clock", "json"
  std::string reason;   // a sentence: what is wrong and how to mend it
  std::string payload;  // the row as JSON (or as it came, when it is no JSON)
  bool operator==(const RejectedRow&) const = default;
};

// Who sent a batch, so that a repeat gets the first answer.
struct BatchSource {
  std::string producer;                        // empty: no producer
  uint64_t sequence = 0;                       // 1, 2, 3 ... of that producer
  std::optional<std::string> idempotency_key;  // instead of (producer, sequence)
};

// A row that an epoch refused: its number among all of that epoch, of whatever stream, from 0. For
// good.
struct DeadLetterId {
  base::EpochId epoch;
  uint32_t number = 0;
  auto operator<=>(const DeadLetterId&) const = default;
};

// Refused rows that are sent again. One that is refused once more stays the dead letter that it is.
struct Replay {
  struct Letter {
    DeadLetterId id;
    uint64_t ordinal = 0;  // one more than the letter's before it in the log, if that is here, too
  };
  std::vector<Letter> letters;  // one a row, ascending; empty: the rows are new
  enum class LateRows : uint8_t { kComeIn, kStay } late_rows = LateRows::kComeIn;
};

enum class Atomicity : uint8_t { kGoodRowsIn, kAllOrNone };

// Movable, built once, then read-only.
struct EventBatch {
  base::StreamId stream;
  ColumnBatch rows;                   // passed the contract, in request order
  std::vector<uint32_t> row_numbers;  // each accepted row's number in the request; empty: 0..rows-1
  std::vector<RejectedRow> rejected;
  BatchSource source;
  Atomicity atomicity = Atomicity::kGoodRowsIn;
  std::string origin = {};  // where the rows stood, for the reasons of refused ones; may be empty
  JsonColumns json_columns = nullptr;  // of `rows`, for the payloads of those that are refused yet
  Replay replay = {};                  // then `rejected` is empty, and there is no source
  size_t request_rows() const { return rows.rows() + rejected.size(); }
};

}  // namespace headrace::columns

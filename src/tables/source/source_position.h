#pragma once
// How far a source has come in a table of somebody else's: what is logged before the first row of
// a version is sent, and when it is behind the last one. Together with the sequence of the
// source's producer, which the log keeps with the rows, it says which piece of which version is
// next: a crash repeats none and leaves none out.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/epoch.h"

namespace headrace::tables {

struct SourcePosition {
  enum class Phase : uint8_t {
    kTaken = 0,  // all up to `version` is in the log
    kWhole = 1,  // the rows that the table holds at `version` are being sent
    kAdded = 2,  // those that `version` added
  };
  std::string table;   // its id
  std::string folder;  // as the pipeline file names it
  int64_t version = -1;
  Phase phase = Phase::kTaken;
  // While rows are being sent: piece n behind `file` and `row` has the producer's sequence `base` +
  // n. Everything before is in the log.
  uint64_t base = 0;
  uint32_t piece_rows = 0;
  uint64_t piece_bytes = 0;  // 0: logged by a build whose pieces had rows only
  uint64_t file = 0;         // its number in the version
  uint64_t row = 0;          // of that file, without those that are deleted
  uint64_t files = 0;        // a hash of the version's files in their order
  // By which the bytes of a piece are counted, and the new rows of a version told that took rows
  // out: those of the contract when it was begun. With others it would have other pieces.
  std::vector<std::string> fields = {};
  bool operator==(const SourcePosition&) const = default;
};

// Payload: u8 3, u8 phase, text table, text folder, i64 version, u64 base, u32 piece rows, u64
// files, u32 fields, each text, u64 piece bytes, u64 file, u64 row. Format 2 ends before the piece
// bytes, and has fields only of a version that took rows out; format 1 ends before the fields.
log::ControlEntry EncodePosition(const std::string& stream, const SourcePosition& position);
// Nothing for another kind of entry. Errors: kCorruption.
base::Result<std::optional<SourcePosition>> DecodePosition(const log::ControlEntry& entry);

// The producer that the rows of a source are logged under.
std::string SourceProducer(const std::string& stream, const std::string& table);

}  // namespace headrace::tables

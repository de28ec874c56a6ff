#pragma once
// A table of somebody else's that is read into a stream, as the status shows it.

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/time.h"

namespace headrace::watch {

struct SourceFigures {
  std::string stream;
  std::string folder;
  std::string state;                   // "reading", "waiting", "stopped" ...
  std::string reason;                  // why it stopped or retries
  std::string table;                   // its id
  std::optional<int64_t> taken;        // the last version that is in the log whole
  std::optional<int64_t> reading;      // the one that is being sent
  std::optional<int64_t> newest;       // of the table
  uint64_t files = 0, files_done = 0;  // of the one that is being sent
  uint64_t rows = 0, rows_done = 0;    // of it; `rows` is 0 when statistics don't tell
  uint64_t accepted = 0, refused = 0;  // rows since the start
  uint64_t pieces = 0, versions = 0;   // since the start
  uint64_t skipped = 0, gone = 0;      // versions passed over; rows taken out of the table
  uint64_t heartbeats = 0;
  uint64_t errors = 0;        // since the start
  uint64_t waiting_rows = 0;  // known to wait, in versions that are not taken
  std::string last_error;     // also when it has passed
  std::optional<base::Timestamp> last_error_at;

  // Versions of the table that are not in the log whole.
  uint64_t waiting_versions() const;
};

nlohmann::ordered_json SourceJson(const SourceFigures& source);

}  // namespace headrace::watch

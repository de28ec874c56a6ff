#pragma once
// The actor that takes a Delta table of somebody else's in as the rows of a stream. It looks at the
// table's log again and again, and sends what its versions bring through the same admission as any
// producer:
//
//   1. log the position "version v is being sent, from sequence s on";  crash: nothing happened
//   2. send its pieces, one after the other, as (producer, s + 1, s + 2 ...), and from time to time
//      log the position anew;  crash: the log has the producer's last sequence, which says how many
//      of the pieces behind the position are in it
//   3. go on with v + 1; when there is none, log the position "v was taken".
//
// So the log stays the only commit point: no piece is in it twice, none is left out, and a replay
// needs the table no more. A look that finds nothing new sends a heartbeat; one that fails sends
// none, and is repeated. What can't pass by itself stops the source, and its status says why and
// what to do: a version that takes rows out of the table (unless the file says what then), versions
// or files that were cleaned away before they were read, another table in the same place.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/event_batch.h"
#include "contract/contract.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "tables/source/source_position.h"

namespace headrace::tables {

struct TableSourceOptions {
  std::string stream;
  base::StreamId id;
  // What the rows are held to now. Asked on the source's executor; a change is taken up between two
  // pieces.
  struct InForce {
    contract::ContractRef contract;
    size_t event_time_field = 0;
  };
  std::function<InForce()> in_force;
  std::string folder;  // of the table, as it is opened
  pipeline::TableSourceDefinition definition;
  // Rows of a piece, at most: an epoch that the real-time producers wait for grows by that much.
  uint32_t piece_rows = 8192;
  // And bytes, unless one row has more: so much less than the log's limit of a batch that whatever
  // refused rows are told with fits, too.
  uint64_t piece_bytes = 4ULL << 20;
  // The position is logged anew after so many pieces: they are read again after a crash at most.
  uint32_t pieces_per_position = 256;
  // After a failure that may pass; doubles. A table that is not there is looked for as often as the
  // definition's `every` says.
  base::Duration retry_min = std::chrono::milliseconds(500);
  base::Duration retry_max = std::chrono::minutes(1);
};

struct TableSourceStatus {
  enum class State : uint8_t { kStarting, kReading, kWaiting, kRetrying, kStopped };
  State state = State::kStarting;
  std::string reason;                  // why it retries or stopped
  std::string table;                   // its id; empty: it was not seen yet
  std::optional<int64_t> taken;        // the last version that is in the log whole
  std::optional<int64_t> reading;      // the one that is being sent
  std::optional<int64_t> newest;       // that the last look found
  uint64_t files = 0, files_done = 0;  // of the one that is being sent
  uint64_t rows = 0, rows_done = 0;    // of it; `rows` as statistics tell, 0 when they don't
  // Since the start.
  uint64_t accepted = 0, refused = 0, pieces = 0;
  uint64_t versions = 0;  // that brought rows
  uint64_t skipped = 0;   // versions passed over because they take rows out of the table
  uint64_t gone = 0;      // rows that versions took out of the table, and that stay in the stream
  uint64_t heartbeats = 0;
  uint64_t errors = 0;  // that made it retry or stop
  // What is known to wait: rows of the version that is being sent that were not sent yet, and of
  // those after it that the last look found, as statistics tell.
  uint64_t waiting_rows = 0;
  std::string last_error;  // also when it has passed
  std::optional<base::Timestamp> last_error_at;
};
std::string_view NameOf(TableSourceStatus::State state);  // "reading", "waiting" ...

// Runs on a background executor of its own; status from any thread.
class TableSource {
 public:
  // What it needs of the log; each is called on its executor and may answer on any thread.
  struct Log {
    std::function<void(columns::EventBatch, log::AckCallback)> submit;
    std::function<void(log::ControlEntry,
                       std::move_only_function<void(base::Result<base::EpochId>)>)>
        append;
    std::function<uint64_t(base::StreamId, const std::string&)> last_sequence;
    std::string id;  // of the log: its own tables are no sources
  };

  // Goes on at the position that the log has of the table, the last of each table that was read
  // into the stream, or begins where the definition says. `environment` and `budget` outlive it.
  TableSource(env::Environment& environment, base::MemoryBudget& budget, TableSourceOptions options,
              Log log, std::vector<SourcePosition> positions);
  // Ends after the step that is running; what was not sent is sent after the next start.
  ~TableSource();

  TableSourceStatus status() const;

 private:
  class Actor;
  std::shared_ptr<Actor> actor_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::tables

#pragma once
// A running Headrace: the log, the views, the tables and the ways in and out, built from one
// pipeline file.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/event_batch.h"
#include "columns/key.h"
#include "env/environment.h"
#include "env/network.h"
#include "log/recovery_progress.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "plan/budget.h"
#include "protocols/tls_identity.h"
#include "serving/answer.h"
#include "serving/push/push.h"
#include "tables/delta/log_upkeep.h"
#include "tables/maintenance/table_rewriter.h"
#include "watch/governor.h"
#include "watch/tls_figures.h"
#include "wiring/dead_letter_page.h"

namespace headrace::log {
class LogReader;
}
namespace headrace::serving {
class RecentEpochs;
}

namespace headrace::wiring {

// An address to listen on. A port that the user set must be free; a default one moves to the next
// free port and says so.
struct ListenAddress {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  enum class Chosen : uint8_t { kByDefault, kByUser } chosen = Chosen::kByDefault;
};

enum class DemoFaults : uint8_t { kOff, kOn };
enum class Governing : uint8_t { kOff, kOn };

// What a start read.
struct StartFigures {
  std::string snapshot;  // its path; empty: none was used
  uint64_t snapshot_bytes = 0;
  uint64_t passed_over = 0;  // snapshots that could not be used
  base::EpochId after;       // epochs after it were replayed
  uint64_t replayed_rows = 0;
  uint64_t replayed_refused = 0;         // rows
  std::vector<std::string> built_views;  // that the snapshot lacked: from their history
  uint64_t built_rows = 0;               // of it
  env::MonotonicTime load_time{0};
  env::MonotonicTime replay_time{0};
};

// What an engine is made of, without its ports: the core runs in simulation with just this.
struct CoreOptions {
  pipeline::PipelineRef definition;
  std::string data_folder;
  std::string pipeline_folder = {};  // that folders of sources are meant from; empty: where we are
  log::LogOptions log;
  std::string answers_file;  // empty: answers are not logged
  tables::delta::UpkeepOptions table_upkeep;
  // Both outlive the core; null: the core has its own budget, and tells nobody how far it is.
  base::MemoryBudget* budget = nullptr;
  log::RecoveryProgress* progress = nullptr;
  // What the status says of background work; nothing when empty. Called while the core lives.
  std::function<std::optional<watch::GovernorFigures>()> background;
  std::function<std::optional<watch::TlsFigures>()> tls = {};  // likewise, of TLS
};

class DefinitionChanges;
class Lookback;
class TableScans;

// The engine without sockets: EventBatches in, answers and table files out. Threads are the
// environment's executors. Submit, Answer and Status from any thread.
class Core {
 public:
  // Recovers, rebuilds the state, then begins to accept. Errors: as log::Sequencer::Open; kConflict
  // when the definition can't follow the one in the log; kUnavailable when the progress was
  // cancelled.
  static base::Result<std::unique_ptr<Core>> Start(env::Environment& environment,
                                                   CoreOptions options);
  virtual ~Core() = default;

  virtual void Submit(columns::EventBatch batch, log::AckCallback done) = 0;
  virtual serving::AnswerService& answers() = 0;
  virtual serving::PushService& pushes() = 0;
  virtual base::MemoryBudget& budget() = 0;
  // In force, as answers see it.
  virtual pipeline::PipelineRef definition() const = 0;
  virtual base::Result<base::StreamId> StreamNamed(const std::string& name) const = 0;
  virtual uint64_t LastSequence(base::StreamId stream, const std::string& producer) const = 0;
  virtual log::LogStatus log_status() const = 0;
  // What a governor watches; lives as long as the core.
  virtual plan::StageMeasurements stages() const = 0;
  // The newest epoch that answers can see.
  virtual base::EpochId visible() const = 0;
  // The status document: JSON.
  virtual std::string StatusJson() const = 0;
  // The same figures in Prometheus' text format.
  virtual std::string MetricsText() const = 0;
  // Refused rows, oldest first.
  virtual base::Result<DeadLetterPage> DeadLetters(const DeadLetterQuery& query) const = 0;
  // Sends refused rows again (wiring/dead_letter_replay.h).
  virtual void ReplayDeadLetters(ReplayRequest request, ReplayDone done) = 0;
  // Demo only: see pipeline::ViewSet::CorruptForDemonstration.
  virtual base::Result<void> CorruptForDemonstration(const std::string& view,
                                                     const columns::KeyBytes& key) = 0;
  // Asks the publishers to commit all that is durable now; `done` when it is in the tables, or with
  // what stopped a publisher.
  virtual void FlushTables(std::function<void(base::Result<void>)> done) = 0;
  // Rewrites files of a stream's table, or removes those that nobody needs; `done` when that is
  // over. Errors: kNotFound when the stream has no table; kInvalidInput for a Z-order that no
  // reader filters on; those of tables::TableRewriter.
  virtual void OptimizeTable(const std::string& table, tables::OptimizeRequest request,
                             tables::TableRewriter::OptimizeDone done) = 0;
  virtual void VacuumTable(const std::string& table, const tables::VacuumRequest& request,
                           tables::TableRewriter::VacuumDone done) = 0;
  // Writes a snapshot of the state now, besides those that `recovery` asks for; `done` when it is
  // on disk, or with what stopped it.
  virtual void TakeSnapshot(std::function<void(base::Result<void>)> done) = 0;
  // What changes the definition; lives as long as the core.
  virtual DefinitionChanges& changes() = 0;
  // Reads streams as of an epoch; lives as long as the core.
  virtual TableScans& scans() = 0;
  // What follows the log's end reads (serving/flight/view_changes.h); live as long as the core.
  virtual log::LogReader& log_reader() = 0;
  virtual serving::RecentEpochs& recent_epochs() = 0;
  // Answers of before, and the rows behind answers; lives as long as the core.
  virtual Lookback& lookback() = 0;
  // How this core came back.
  virtual const StartFigures& started_from() const = 0;
  // Refuses new batches, makes what was taken durable and visible, publishes, closes. Idempotent.
  virtual void Stop() = 0;
};

struct EngineOptions {
  std::string pipeline_path;
  std::string data_folder;
  ListenAddress http{.port = 6566};
  ListenAddress flight{.port = 8815};
  std::optional<ListenAddress> resp = ListenAddress{.port = 6379};  // nothing: not listened for
  size_t io_threads = env::kIoThreadsByCores;  // for HTTP and the Redis protocol
  std::string answers_file;
  std::string tokens_file;  // who may come in (access/access_list.h); empty: whoever connects
  std::optional<protocols::TlsFiles> tls = {};  // nothing: none is spoken on any port
  std::string version;                          // of this program, for clients that ask
  DemoFaults demo_faults = DemoFaults::kOff;
  Governing governing = Governing::kOn;  // whether background work yields to the real-time stages
};

// A Core behind HTTP, Flight and the Redis protocol, on the real machine. Listen, then Recover,
// then Stop, all on one thread; figures and CancelRecovery from any.
class Engine {
 public:
  // Reads the pipeline file and opens the ports. From now on `/health` answers, and everything
  // else says how far the start is. Errors carry what to do.
  static base::Result<std::unique_ptr<Engine>> Listen(EngineOptions options);
  // Blocks until ready to serve. Errors: as Core::Start.
  virtual base::Result<void> Recover() = 0;
  // Ends Recover with kUnavailable, at the next record. Nothing is lost by it.
  virtual void CancelRecovery() = 0;
  virtual log::RecoveryFigures recovery() const = 0;
  virtual ~Engine() = default;
  virtual uint16_t http_port() const = 0;
  virtual uint16_t flight_port() const = 0;
  virtual std::optional<uint16_t> resp_port() const = 0;
  // After Recover.
  virtual Core& core() = 0;
  // Clean shutdown: stops taking connections, drains, publishes, syncs. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace headrace::wiring

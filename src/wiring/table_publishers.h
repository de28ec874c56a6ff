#pragma once
// The publishers of a pipeline's tables, from recovery on: a stream's publisher begins when the log
// names the stream.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "env/environment.h"
#include "log/epoch.h"
#include "pipeline/definition.h"
#include "pipeline/views/view_set.h"
#include "tables/delta/log_upkeep.h"
#include "tables/publish/made_rows.h"
#include "tables/publish/publisher.h"
#include "tables/read_pins.h"
#include "tables/scan/snapshot_scan.h"
#include "watch/status_document.h"

namespace headrace::wiring {

// Bind and Restore before Start, on one thread; the rest as tables::Publisher says.
class TablePublishers {
 public:
  // `folder` holds a folder for each table. `environment`, `budget` and `definition` outlive it.
  TablePublishers(env::Environment& environment, base::MemoryBudget& budget,
                  const pipeline::PipelineDefinition& definition, const std::string& folder,
                  tables::delta::UpkeepOptions upkeep);

  // Once, before the first epoch is applied: rows that depend on others are made by `views`.
  void ReadFrom(pipeline::ViewSet& views);
  // Every durable epoch, recovered ones too. Errors: kCorruption for a broken plan.
  base::Result<void> NoteDurable(const log::Epoch& epoch);
  // The log's id of a stream. A publisher is made as soon as the ids of its stream, and of the one
  // that this is made of, are known.
  void Bind(const std::string& stream, base::StreamId id);
  base::Result<void> Start(const std::string& log_folder, const tables::Publisher::Append& append);
  // What each publisher knows, for a snapshot: {text stream, u32 size, bytes}. The epoch is the
  // earliest of them; nothing when there are no tables.
  std::optional<tables::PublisherCapture> Capture() const;
  // After Bind of what the log knew then, before the first epoch. Tables of such streams that the
  // capture lacks need every epoch: refused as kFailedPrecondition.
  base::Result<void> Restore(std::span<const uint8_t> bytes);
  // Which schema the log had given a stream then, should the capture not tell. After Restore.
  void NoteSchema(const std::string& stream, const columns::SchemaRef& schema);
  // A stream as a scan wants it, and its table's folder: empty without a table. After Bind. Errors:
  // kUnsupported for a stream whose rows depend on others and stand nowhere.
  struct Described {
    tables::PublishedStream stream;
    std::string folder;
  };
  base::Result<Described> Describe(size_t stream) const;
  // Of a stream with a table. Beside Close, too: nothing is planned then.
  tables::PlannedRows Planned(const std::string& stream) const;
  // The earliest epoch up to which every stream with a table is in it; nothing without tables.
  std::optional<base::EpochId> CommittedThrough() const;
  // Publishes what is durable; `done` after the last table, with what stopped the first that could
  // not.
  void Flush(std::move_only_function<void(base::Result<void>)> done);
  // Errors: kNotFound when the stream has no table; kInvalidInput for a Z-order by a column that no
  // reader of it filters on; those of tables::TableRewriter.
  void Optimize(const std::string& stream, tables::OptimizeRequest request,
                tables::TableRewriter::OptimizeDone done);
  // `readers` outlives it.
  void Vacuum(const std::string& stream, tables::VacuumRequest request,
              const tables::ReadPins& readers, tables::TableRewriter::VacuumDone done);
  // Ends the publishers, which call into the log; when nothing calls NoteDurable or Flush any more.
  // Idempotent.
  void Close();
  std::vector<watch::TableFigures> Figures() const;

 private:
  struct Table {
    size_t stream;  // index into the definition's streams
    std::string folder;
    base::Duration commit;
    std::optional<tables::OptimizeSchedule> optimize;
    std::unique_ptr<tables::MadeRows> made;  // of a stream whose rows depend on others
    std::unique_ptr<tables::Publisher> publisher;
  };
  tables::PublishedStream Published(size_t stream, tables::MadeRows* made) const;
  // Nothing of the kind: an error.
  base::Result<Table*> Named(const std::string& stream);

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const pipeline::PipelineDefinition& definition_;
  const tables::delta::UpkeepOptions upkeep_;
  std::vector<Table> tables_;
  mutable std::mutex closing_;
  std::map<size_t, base::StreamId> ids_;  // by the definition's stream
};

}  // namespace headrace::wiring

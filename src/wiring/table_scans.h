#pragma once
// Scans of streams as of an epoch, beside everything else that the engine does
// (tables/scan/snapshot_scan.h). A scan
//
//   1. takes the newest durable epoch, unless it names one, and waits until that is visible and the
//      log tells when its rows became known: when nothing does yet, an empty entry is logged;
//   2. pins the log and the table's files, opens the table, and keeps of the log only what comes
//      after its marker, until that is read;
//   3. hands out batches for as long as its reader takes them. A reader that takes none for
//      kSlowReaderMax has its scan revoked: pins and memory are free again, and what it asks for
//      next is kUnavailable.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "tables/publish/made_rows.h"
#include "tables/read_pins.h"
#include "tables/scan/snapshot_scan.h"
#include "wiring/log_retention.h"
#include "wiring/table_publishers.h"

namespace headrace::wiring {

class TableScans;

// One scan. One thread at a time; gone before the core is.
class TableScan {
 public:
  ~TableScan();
  TableScan(const TableScan&) = delete;
  TableScan& operator=(const TableScan&) = delete;

  const columns::SchemaRef& schema() const { return schema_; }
  base::LogId log() const { return log_; }
  // As tables::SnapshotScan::Next; kUnavailable once it was revoked.
  base::Result<std::optional<columns::ColumnBatch>> Next();
  tables::ScanFigures figures() const;

 private:
  friend class TableScans;
  explicit TableScan(TableScans& scans) : scans_(scans) {}
  bool RevokeIfSlow(env::MonotonicTime now);
  void LetGo();

  TableScans& scans_;
  columns::SchemaRef schema_;
  base::LogId log_;
  mutable std::mutex mutex_;  // guards from here: the reader's thread, and who revokes
  std::unique_ptr<tables::MadeRows> made_;
  std::unique_ptr<tables::SnapshotScan> scan_;  // null once revoked
  tables::ScanFigures figures_;
  LogRetention::Pin log_pin_;
  tables::ReadPins::Pin files_pin_;
  env::MonotonicTime taken_at_{0};  // the last batch
  std::atomic<bool> revoked_{false};
};

// Open from any thread that is no executor's; the rest as each says.
class TableScans {
 public:
  // Named limits.
  static constexpr size_t kScansMax = 16;  // at once; one more is kResourceExhausted
  static constexpr env::MonotonicTime kSlowReaderMax = std::chrono::seconds(30);
  static constexpr env::MonotonicTime kReadyWithin = std::chrono::seconds(10);

  // All outlive it.
  struct Sources {
    const pipeline::PipelineDefinition& definition;
    std::string data_folder;
    const TablePublishers& publishers;
    LogRetention& retention;
    log::Sequencer& sequencer;
    base::MemoryBudget& budget;
    tables::ReadPins& pins;
    std::function<pipeline::PipelineRef()> current;  // the definition in force
  };
  // When the streams are bound, before the log accepts.
  TableScans(env::Environment& environment, Sources sources);
  ~TableScans();

  // Blocks until the rows are there. `gone`: asked between pieces of work whether its reader has
  // left; may be empty. Errors: kNotFound for a stream; kInvalidInput for columns, a condition, an
  // epoch that is not durable; kUnsupported, kFailedPrecondition with the reason why rows can't be
  // had; kResourceExhausted; kUnavailable.
  base::Result<std::unique_ptr<TableScan>> Open(
      const tables::ScanRequest& request, std::function<bool()> gone,
      tables::RowsOfOthers of_others = tables::RowsOfOthers::kRead);
  // The request with its epoch, so that it means the same rows later, and the schema that it gives.
  // Errors: as Open.
  struct Fixed {
    tables::ScanRequest request;
    columns::SchemaRef schema;
  };
  base::Result<Fixed> Fix(const tables::ScanRequest& request) const;

  // Names of the columns that a request reads: those asked for, and those of its condition. Errors:
  // as Open.
  base::Result<std::vector<std::string>> ColumnsRead(const tables::ScanRequest& request) const;

  void NoteDurable(const log::Epoch& epoch);  // every epoch, on the sequencer's executor
  void NoteVisible(base::EpochId epoch);      // on the applier's
  // Ends waiting and reading with kUnavailable. Idempotent.
  void Close();

 private:
  friend class TableScan;
  struct Waiter {
    std::function<bool()> ready;  // under mutex_
    env::MonotonicTime deadline;
    std::function<void()> done;
  };
  // With the fields that it has now.
  base::Result<TablePublishers::Described> Find(const std::string& stream) const;
  base::Result<base::EpochId> EpochOf(const tables::ScanRequest& request) const;
  base::Result<void> WaitForRows(const tables::PublishedStream& stream, base::EpochId epoch);
  base::Result<void> SealEpoch(const std::string& stream);
  // Until `ready`, the deadline or Close.
  void Await(std::function<bool()> ready, env::MonotonicTime deadline);
  void Wake();
  base::Result<void> Register(TableScan& scan);
  void Unregister(TableScan& scan);
  void Tick();

  env::Environment& environment_;
  const Sources sources_;
  std::map<std::string, base::Result<TablePublishers::Described>> streams_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;  // guards from here
  base::EpochId visible_;
  base::EpochId told_;       // the log tells when epochs up to here became visible
  base::EpochId with_rows_;  // the newest one
  std::vector<Waiter> waiters_;
  std::set<TableScan*> open_;
  bool ticking_ = false;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring

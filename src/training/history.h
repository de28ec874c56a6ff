#pragma once
// All rows of a stream, wherever they lie: in the table up to its marker, in the log after it. None
// twice, none missing.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/reader.h"
#include "pipeline/definition.h"
#include "pipeline/logged_definition.h"
#include "tables/table_reader.h"
#include "tables/table_rows.h"
#include "training/arrival_rules.h"
#include "training/work_progress.h"

namespace headrace::training {

// Where the rows of one scan came from. Those of a stream count once, however often they are read:
// for its own views, and for each stream that is derived of it.
struct ScannedRows {
  struct OfStream {
    uint64_t from_table = 0;
    uint64_t from_log = 0;
    uint64_t files_of_others = 0;  // of the table, not read: no history of the log
    // Of from_log, those of which nothing tells yet when they became visible: no cut by time has
    // them.
    uint64_t of_unknown_time = 0;
  };
  std::map<base::StreamId, OfStream> streams;  // that came in
  int64_t table_version = -1;                  // -1: there is no table
  base::EpochId through;                       // the last epoch that was looked at
  // Labels of before have rows whose arrival was assumed, or lack such: Timestamp::Min() where all
  // was observed.
  base::Timestamp assumed_before = base::Timestamp::Min();

  // Of all streams.
  OfStream total() const;
  // `through` stays.
  void Add(const ScannedRows& more);
};

// Reads a data folder beside a running engine or without one. Not thread-safe.
class History {
 public:
  // Reads the log's control entries. `progress`, which may be null and outlives the history, is
  // told each row that is read. Errors: kNotFound when there is no log; kCorruption; kInvalidInput
  // for a logged definition that this version refuses.
  static base::Result<std::unique_ptr<History>> Open(env::Environment& environment,
                                                     const std::string& data_folder,
                                                     WorkProgress* progress = nullptr);

  base::LogId log() const { return log_->log(); }
  WorkProgress* progress() const { return progress_; }
  base::EpochId newest() const { return newest_; }
  // The definition that the log named last. Errors: kNotFound when it names none.
  base::Result<pipeline::LoggedDefinition> Newest() const;
  // As it was in force at `epoch`: views of one definition may begin anew each time it comes in.
  // Errors: kNotFound when the log does not name it.
  base::Result<pipeline::LoggedDefinition> Named(base::DefinitionId id, base::EpochId epoch) const;

  // Of a stream that comes in, as the log's definitions tell.
  ArrivalRules RulesOf(const pipeline::StreamDefinition& stream) const;

  // Calls `visit` with the rows of a stream, with at least the columns `fields` (indexes into its
  // schema), known as RulesOf says. Live rows at the log's end of which nothing tells yet when they
  // became visible are known at Timestamp::Max(). Rows that other writers appended to the table are
  // left out. Errors: kConflict when the table is ahead of the log, or they are mixed with ours;
  // kFailedPrecondition when rows are neither in the table nor in the log any more; those of table,
  // log and `visit`.
  base::Result<ScannedRows> ScanRows(const pipeline::StreamDefinition& stream,
                                     const std::vector<size_t>& fields,
                                     const tables::VisitRows& visit) const;

 private:
  History(env::Environment& environment, std::string data_folder, WorkProgress* progress);
  base::Result<void> ReadControls();
  struct Table {
    std::unique_ptr<tables::TableReader> reader;
    base::EpochId marker;
  };
  bool HasTable(const std::string& stream) const;
  base::Result<Table> OpenTable(const std::string& stream, base::StreamId id) const;
  base::Result<base::EpochId> PlannedThrough(base::StreamId stream, base::EpochId marker) const;
  base::Result<void> ScanTable(const Table& table, base::StreamId stream,
                               const columns::SchemaRef& wanted, const tables::VisitRows& visit,
                               ScannedRows::OfStream& scanned) const;
  base::Result<void> ScanTail(const tables::PublishedStream& stream, base::EpochId after,
                              const tables::VisitRows& visit, ScannedRows::OfStream& scanned) const;

  env::Environment& environment_;
  const std::string data_folder_;
  WorkProgress* const progress_;
  std::unique_ptr<log::LogReader> log_;
  base::EpochId newest_;
  std::map<std::string, base::StreamId> streams_;
  std::map<base::StreamId, base::EpochId> planned_;  // through which epoch, by the newest plan
  struct Entry {
    base::EpochId epoch;
    base::Timestamp sealed_at;  // of the epoch
    pipeline::LoggedDefinition logged;
  };
  std::vector<Entry> definitions_;  // in the order of the log
};

}  // namespace headrace::training

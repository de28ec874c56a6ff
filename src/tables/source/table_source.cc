#include "tables/source/table_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "columns/batch_builder.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/support.h"
#include "tables/delta/table_schema.h"
#include "tables/source/version_rows.h"

namespace headrace::tables {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using Changes = pipeline::TableSourceDefinition::Changes;
using From = pipeline::TableSourceDefinition::From;
using Phase = SourcePosition::Phase;
using State = TableSourceStatus::State;

// The first read of a table waits this long at most while the engine is pressed; what is added
// later waits as long as it may wait to be seen.
constexpr env::MonotonicTime kYieldMax = std::chrono::minutes(10);

// Versions that are looked into ahead, to tell how many rows wait.
constexpr int64_t kLookAhead = 100;

// A failure that may pass by itself.
bool MayPass(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kIoError:
    case ErrorCode::kStorageFull:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded: return true;
    default: return false;
  }
}

bool TakesRowsOut(const delta::Commit& commit) {
  return std::ranges::any_of(commit.removes, &delta::RemoveFile::data_change);
}

uint32_t FirstRow(const columns::EventBatch& piece) {
  uint32_t first = UINT32_MAX;
  if (!piece.row_numbers.empty()) first = piece.row_numbers.front();
  if (!piece.rejected.empty()) first = std::min(first, piece.rejected.front().row);
  return first;
}

bool BringsRows(const delta::Commit& commit) {
  return std::ranges::any_of(commit.adds, &delta::AddFile::data_change);
}

}  // namespace

std::string_view NameOf(State state) {
  switch (state) {
    case State::kStarting: return "starting";
    case State::kReading: return "reading";
    case State::kWaiting: return "waiting";
    case State::kRetrying: return "retrying";
    case State::kStopped: return "stopped";
  }
  return "";
}

// Everything but what the mutex guards belongs to the executor. Answers of the log hold it weakly.
class TableSource::Actor : public std::enable_shared_from_this<Actor> {
 public:
  Actor(env::Environment& environment, base::MemoryBudget& budget, TableSourceOptions options,
        Log log, std::vector<SourcePosition> positions)
      : environment_(environment),
        table_{environment, budget, options.folder},
        options_(std::move(options)),
        log_(std::move(log)),
        known_(std::move(positions)),
        retry_(options_.retry_min) {}

  void SetExecutor(env::Executor* executor) {
    const std::lock_guard lock(mutex_);
    executor_ = executor;
  }
  void Begin() { Post(&Actor::Look); }
  TableSourceStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  using Step = std::move_only_function<void(Actor&)>;

  env::Task Guarded(Step step) {
    return [weak = weak_from_this(), step = std::move(step)]() mutable {
      const auto self = weak.lock();
      if (self && !self->closed()) step(*self);
    };
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return executor_ == nullptr;
  }
  void Post(Step step) {
    const std::lock_guard lock(mutex_);
    if (executor_ != nullptr) executor_->Post(Guarded(std::move(step)));
  }
  void PostAfter(base::Duration delay, Step step) {
    const std::lock_guard lock(mutex_);
    if (executor_ != nullptr)
      executor_->PostAt(environment_.clock().Now() + delay, Guarded(std::move(step)));
  }

  // An answer of the log, brought to the executor.
  template <typename F>
  auto Answered(F f) {
    return [weak = weak_from_this(), f = std::move(f)](auto answer) mutable {
      const auto self = weak.lock();
      if (!self) return;
      self->Post([f = std::move(f), answer = std::move(answer)](Actor& actor) mutable {
        f(actor, answer);
      });
    };
  }

  template <typename F>
  void Note(F f) {
    const std::lock_guard lock(mutex_);
    f(status_);
  }
  void Enter(State state) {
    Note([state](TableSourceStatus& status) {
      status.state = state;
      status.reason.clear();
    });
  }
  void Tell(const SourcePosition& position) {
    Note([&](TableSourceStatus& status) {
      status.table = position.table;
      status.reading.reset();
      const bool taken = position.phase == Phase::kTaken;
      if (!taken) status.reading = position.version;
      // Before the whole of a table there is nothing.
      if (taken && position.version >= 0) status.taken = position.version;
      if (position.phase == Phase::kAdded && position.version > 0)
        status.taken = position.version - 1;
    });
  }

  void Stop(const std::string& why) {
    base::LogWarning("tables.source_stopped",
                     {{"stream", options_.stream}, {"folder", options_.folder}, {"reason", why}});
    rows_.reset();
    pass_.reset();
    Note([&](TableSourceStatus& status) {
      status.state = State::kStopped;
      status.reason = why;
    });
    NoteError(why);
  }
  void NoteError(const std::string& text) {
    const base::Timestamp now = environment_.clock().Wall();
    Note([&](TableSourceStatus& status) {
      ++status.errors;
      status.last_error = text;
      status.last_error_at = now;
    });
  }

  // `step` is tried again after a while, or never.
  void Failed(const Error& error, Step step) {
    if (!MayPass(error)) return Stop(error.ToString());
    Retry(error, retry_, std::move(step));
    retry_ = std::min(retry_ * 2, options_.retry_max);
  }
  void Retry(const Error& error, base::Duration after, Step step) {
    NoteError(error.ToString());
    Note([&](TableSourceStatus& status) {
      if (status.state != State::kRetrying)
        base::LogWarning("tables.source_retries", {{"stream", options_.stream},
                                                   {"folder", options_.folder},
                                                   {"error", error.ToString()}});
      status.state = State::kRetrying;
      status.reason = error.ToString();
    });
    PostAfter(after, std::move(step));
  }

  // --- looking ---

  void Look() {
    const auto listing = delta::ListLog(environment_.files(), options_.folder + "/_delta_log");
    const auto newest = listing ? listing->newest() : std::nullopt;
    if (!newest) {  // nobody wrote it yet, or the disk is away
      const Error error =
          listing ? Error(ErrorCode::kNotFound, "its log has no commit") : listing.error();
      return Retry(Error(ErrorCode::kUnavailable, "the table can't be read: " + error.ToString()),
                   options_.definition.every, &Actor::Look);
    }
    newest_ = *newest;
    first_ = listing->commits.front();
    Note([&](TableSourceStatus& status) { status.newest = newest_; });
    if (auto same = CheckTable(); !same) return Failed(same.error(), &Actor::Look);
    LookAhead();
    Next();
  }

  // How many rows the versions to come bring. What can't be read now is told when its turn comes.
  void LookAhead() {
    const int64_t last = std::min(newest_, position_->version + kLookAhead);
    for (int64_t version = position_->version + 1; version <= last; ++version) {
      if (ahead_.contains(version)) continue;
      const auto commit = delta::ReadCommit(environment_.files(), options_.folder, version);
      if (!commit) break;
      uint64_t rows = 0;
      for (const delta::AddFile& file : commit->adds)
        if (file.data_change) rows += file.rows;
      ahead_.emplace(version, rows);
    }
    TellWaiting();
  }
  // Those of versions that are neither taken nor being sent.
  void TellWaiting() {
    ahead_.erase(ahead_.begin(), ahead_.upper_bound(position_->version));
    uint64_t rows = 0;
    for (const auto& [version, count] : ahead_) rows += count;
    ahead_rows_ = rows;
    Note([&](TableSourceStatus& status) {
      status.waiting_rows = rows + status.rows - std::min(status.rows, status.rows_done);
    });
  }

  // That it is the table that was read before, and none of ours; where nothing was read, where to
  // begin.
  Result<void> CheckTable() {
    if (checked_ != newest_) {
      // The newest state says what the table is; versions are read with their own.
      HR_TRY(const delta::LogState newest,
             delta::ReplayLog(environment_.files(), options_.folder, newest_, nullptr,
                              delta::Compacted::kRead));
      HR_TRY_VOID(delta::CheckReadableByAll(*newest.protocol));
      for (const auto& [application, txn] : newest.transactions)
        if (application.starts_with("headrace/" + log_.id + "/"))
          return Fail(ErrorCode::kInvalidInput,
                      "this table is made of the log that it would be read into: name another");
      id_ = newest.metadata->id;
      checked_ = newest_;
    }
    if (position_ && position_->table != id_) return AnotherTable(position_->table);
    if (!position_) HR_TRY_VOID(TakeUp());
    if (position_ && position_->version > newest_)
      return Fail(ErrorCode::kConflict,
                  fmt::format("version {} was read, and the newest is {}: the table was restored "
                              "from an older copy; restore it to the same time",
                              position_->version, newest_));
    return {};
  }

  Result<void> AnotherTable(const std::string& before) const {
    return Fail(ErrorCode::kConflict,
                fmt::format("another table lies in this place (id {}, it was {}): put the one that "
                            "was read back; or, to take the new one in besides, write its folder "
                            "in another way in the pipeline file",
                            id_, before));
  }

  // Where an earlier life left this table, or where the definition says to begin.
  Result<void> TakeUp() {
    const auto known = std::ranges::find(known_, id_, &SourcePosition::table);
    if (known == known_.end()) {
      for (const SourcePosition& other : known_)
        if (other.folder == options_.definition.folder) return AnotherTable(other.table);
      return ChooseBeginning();
    }
    position_ = logged_ = *known;
    position_->folder = options_.definition.folder;  // it may have been moved
    Tell(*position_);
    return {};
  }

  Result<void> ChooseBeginning() {
    const pipeline::TableSourceDefinition& wanted = options_.definition;
    if (wanted.from == From::kVersion && wanted.version > newest_ + 1)
      return Fail(
          ErrorCode::kUnavailable,
          fmt::format("version {} is not there yet: the newest is {}", wanted.version, newest_));
    position_ = {.table = id_, .folder = wanted.folder};
    logged_.reset();
    if (wanted.from == From::kNow) position_->version = newest_;
    if (wanted.from == From::kVersion) position_->version = wanted.version - 1;
    if (wanted.from == From::kEarliest) {
      position_->phase = Phase::kWhole;
      position_->version = newest_;
    }
    Tell(*position_);
    return {};
  }

  // --- one version after the other ---

  void Next() {
    retry_ = options_.retry_min;
    if (position_->phase != Phase::kTaken) return Open();
    if (position_->version < newest_) return BeginVersion(position_->version + 1);
    if (logged_ != position_) return LogPosition(&Actor::Rest);
    Rest();
  }

  // Everything is taken.
  void Rest() {
    Enter(State::kWaiting);
    columns::EventBatch heartbeat;
    heartbeat.stream = options_.id;
    heartbeat.rows = columns::BatchBuilder(options_.in_force().contract->schema()).Finish();
    log_.submit(std::move(heartbeat), Answered([](Actor& self, const auto& answer) {
                  if (answer) self.Note([](TableSourceStatus& status) { ++status.heartbeats; });
                  self.PostAfter(self.options_.definition.every, &Actor::Look);
                }));
  }

  void BeginVersion(int64_t version) {
    if (version < first_)
      return Stop(fmt::format(
          "versions {} to {} were cleaned away before they were read: what they added can't be "
          "told any more; restore the table's log from a copy",
          version, first_ - 1));
    auto commit = delta::ReadCommit(environment_.files(), options_.folder, version);
    if (!commit && commit.error().code() == ErrorCode::kNotFound)
      return Stop(
          fmt::format("commit {} of the table's log is missing: restore it from a copy", version));
    if (!commit) return Failed(commit.error(), &Actor::Look);
    if (auto state = StateAt(version, *commit); !state) return Failed(state.error(), &Actor::Look);
    const bool takes_out = TakesRowsOut(*commit);
    const Changes changes = options_.definition.changes;
    if (takes_out && changes == Changes::kStop)
      return Stop(fmt::format(
          "version {}{} takes rows out of the table, which a stream can't: with `changes: "
          "new_rows` the rows that were not there before are taken, which suits a dimension; with "
          "`changes: skip` the version is passed over. Write one into the source, and serve the "
          "file again",
          version, commit->operation.empty() ? "" : " (" + commit->operation + ")"));
    const bool skip = takes_out && changes == Changes::kSkip;
    if (skip) Note([](TableSourceStatus& status) { ++status.skipped; });
    if (skip || !BringsRows(*commit)) return Taken(version);
    position_->phase = Phase::kAdded;
    position_->version = version;
    Open();
  }

  Result<void> StateAt(int64_t version, const delta::Commit& commit) {
    if (state_ && state_->version == version) return {};
    if (state_ && state_->version == version - 1) {
      state_->Apply(commit);
      return {};
    }
    HR_TRY(state_, delta::ReplayLog(environment_.files(), options_.folder, version, nullptr,
                                    delta::Compacted::kRead));
    return {};
  }

  void Taken(int64_t version) {
    position_->phase = Phase::kTaken;
    position_->version = version;
    position_->base = 0;
    position_->piece_rows = 0;
    position_->piece_bytes = 0;
    position_->file = position_->row = 0;
    position_->files = 0;
    position_->fields.clear();
    rows_.reset();
    pass_.reset();
    Tell(*position_);
    TellWaiting();
    Post(&Actor::Next);
  }

  // --- the rows of a version ---

  void Open() {
    if (auto opened = OpenRows(); !opened) return RowsFailed(opened.error(), &Actor::Look);
    Enter(State::kReading);
    Tell(*position_);
    ShowFiles();
    const bool whole = position_->phase == Phase::kWhole;
    pass_ = std::make_unique<env::BackgroundPass>(
        environment_, whole ? env::WorkClass::kMaintenance : env::WorkClass::kTables,
        fmt::format("source {}: {}", options_.stream,
                    whole ? std::string("first read 10m")
                          : "every " + base::FormatDuration(options_.definition.every)),
        whole ? kYieldMax : env::MonotonicTime(options_.definition.every));
    if (logged_ == position_) return Send();
    LogPosition(&Actor::Send);
  }

  Result<void> OpenRows() {
    const bool resumes = position_->piece_rows != 0;
    const TableSourceOptions::InForce held_to = options_.in_force();
    contract_ = held_to.contract;
    WantedRows wanted{.schema = contract_->schema(),
                      .event_time_field = held_to.event_time_field,
                      .limits = {.rows = options_.piece_rows, .bytes = options_.piece_bytes}};
    for (const columns::Field& field : wanted.schema->fields())
      wanted.limits.fields.push_back(field.name);
    if (position_->phase == Phase::kWhole) {
      HR_TRY(rows_, VersionRows::Whole(table_, wanted, position_->version));
    } else {
      HR_TRY(const delta::Commit commit,
             delta::ReadCommit(environment_.files(), options_.folder, position_->version));
      HR_TRY_VOID(StateAt(position_->version, commit));
      const bool takes_out = TakesRowsOut(commit);
      if (takes_out && resumes) wanted.limits.fields = position_->fields;
      if (takes_out) wanted.compared_by = wanted.limits.fields;
      HR_TRY(rows_, VersionRows::Added(
                        table_, wanted, *state_, commit,
                        takes_out ? VersionRows::Removed::kLeaveOut : VersionRows::Removed::kNone));
    }
    sequence_ = log_.last_sequence(options_.id, SourceProducer(options_.stream, id_));
    if (resumes) {
      HR_TRY_VOID(SkipTaken());
    }
    position_->files = rows_->files_hash();
    position_->fields = std::move(wanted.limits.fields);
    position_->piece_rows = options_.piece_rows;
    position_->piece_bytes = options_.piece_bytes;
    TakePlace();
    return {};
  }

  // What is in the log, by the limits that it was cut by.
  Result<void> SkipTaken() {
    if (position_->files != rows_->files_hash())
      return Fail(ErrorCode::kConflict,
                  "the files of the version are not those that it had when its first rows were "
                  "taken: restore the table's log");
    if (sequence_ < position_->base)
      return Fail(ErrorCode::kConflict,
                  fmt::format("the log has forgotten its producer {} (limit producers_max): how "
                              "much of the version is in the log can't be told",
                              SourceProducer(options_.stream, id_)));
    return rows_->Skip({.place = {.file = position_->file, .row = position_->row},
                        .limits = {.rows = position_->piece_rows,
                                   .bytes = position_->piece_bytes,
                                   .fields = position_->fields},
                        .pieces = sequence_ - position_->base});
  }

  // Everything before it is in the log.
  void TakePlace() {
    const VersionPlace place = rows_->place();
    position_->base = sequence_;
    position_->file = place.file;
    position_->row = place.row;
  }

  void ShowFiles() {
    Note([this](TableSourceStatus& status) {
      status.files = rows_->files();
      status.files_done = rows_->files_done();
      status.rows = rows_->rows();
      status.rows_done = 0;
    });
    TellWaiting();
  }

  // Of reading a version's rows: what is not there any more will not come back by itself.
  void RowsFailed(const Error& error, Step step) {
    rows_.reset();
    pass_.reset();
    Error told = error;
    if (error.code() == ErrorCode::kNotFound)
      told = Error(ErrorCode::kCorruption,
                   fmt::format("version {} can't be read any more, as it was vacuumed or cleaned "
                               "away before it was taken whole: restore what is missing: {}",
                               position_->version, error.ToString()));
    Failed(std::move(told).With("version", std::to_string(position_->version)), std::move(step));
  }

  void LogPosition(Step then) {
    log_.append(EncodePosition(options_.stream, *position_),
                Answered([then = std::move(then)](Actor& self, const auto& epoch) mutable {
                  if (!epoch) {
                    self.rows_.reset();
                    return self.Failed(epoch.error(), &Actor::Look);
                  }
                  self.logged_ = self.position_;
                  then(self);
                }));
  }

  void Send() {
    if (!pass_->MayGoOn())
      return PostAfter(std::chrono::duration_cast<base::Duration>(env::BackgroundGate::kAskAgain),
                       &Actor::Send);
    if (options_.in_force().contract != contract_) {
      TakePlace();
      rows_.reset();
      return Open();
    }
    if (sequence_ - position_->base >= options_.pieces_per_position) {
      TakePlace();
      return LogPosition(&Actor::Send);
    }
    auto piece = rows_->Next();
    if (!piece) return RowsFailed(piece.error(), &Actor::Look);
    if (!*piece) return EndVersion();
    columns::EventBatch batch =
        contract_->Enforce((*piece)->rows, std::move((*piece)->row_numbers), {});
    batch.stream = options_.id;
    batch.source = {.producer = SourceProducer(options_.stream, id_), .sequence = sequence_ + 1};
    batch.origin = fmt::format("version {} of table {}, file {}", position_->version,
                               options_.definition.folder, (*piece)->file);
    Submit(std::move(batch));
  }

  // Again with the same sequence as long as the log has no room for it.
  void Submit(columns::EventBatch batch) {
    columns::EventBatch again = batch;
    log_.submit(
        std::move(batch),
        Answered([again = std::move(again)](Actor& self, const auto& answer) mutable {
          if (answer) return self.Sent(*answer, again.request_rows());
          if (answer.error().code() == ErrorCode::kInvalidInput)
            return self.Stop(fmt::format(
                "the log does not take the piece that begins with "
                "row {} of {} ({} rows): {}",
                FirstRow(again), again.origin, again.request_rows(), answer.error().ToString()));
          self.Failed(answer.error(), [again = std::move(again)](Actor& later) mutable {
            later.Submit(std::move(again));
          });
        }));
  }

  void Sent(const log::Acknowledgement& answer, uint64_t rows) {
    ++sequence_;
    retry_ = options_.retry_min;
    Enter(State::kReading);
    Note([&](TableSourceStatus& status) {
      status.accepted += answer.accepted;
      status.refused += answer.refused_rows;
      status.rows_done += rows;
      status.waiting_rows = ahead_rows_ + status.rows - std::min(status.rows, status.rows_done);
      ++status.pieces;
      status.files_done = rows_->files_done();
    });
    Send();
  }

  void EndVersion() {
    const uint64_t gone = rows_->rows_gone();
    Note([gone](TableSourceStatus& status) {
      ++status.versions;
      status.gone += gone;
      status.files = status.files_done = status.rows = status.rows_done = 0;
    });
    Taken(position_->version);
  }

  env::Environment& environment_;
  const VersionRows::Table table_;
  const TableSourceOptions options_;
  const Log log_;
  const std::vector<SourcePosition> known_;  // of earlier lives, one a table
  std::optional<SourcePosition> position_;   // nothing: the table was not seen yet
  std::optional<SourcePosition> logged_;     // what the log has
  std::string id_;                           // of the table
  int64_t newest_ = -1;
  int64_t checked_ = -1;                  // the version by which the table was looked at
  int64_t first_ = 0;                     // the oldest commit that is there
  std::optional<delta::LogState> state_;  // of the version that was read last
  contract::ContractRef contract_;        // that rows_ are read for
  std::unique_ptr<VersionRows> rows_;
  std::unique_ptr<env::BackgroundPass> pass_;
  uint64_t sequence_ = 0;              // the last that the log has
  std::map<int64_t, uint64_t> ahead_;  // rows of versions to come, as far as they were looked into
  uint64_t ahead_rows_ = 0;
  base::Duration retry_;

  mutable std::mutex mutex_;
  env::Executor* executor_ = nullptr;
  TableSourceStatus status_;
};

TableSource::TableSource(env::Environment& environment, base::MemoryBudget& budget,
                         TableSourceOptions options, Log log, std::vector<SourcePosition> positions)
    : actor_(std::make_shared<Actor>(environment, budget, std::move(options), std::move(log),
                                     std::move(positions))),
      executor_(environment.NewExecutor("source", env::Priority::kBackground)) {
  actor_->SetExecutor(executor_.get());
  actor_->Begin();
}

TableSource::~TableSource() {
  actor_->SetExecutor(nullptr);
  executor_.reset();
}

TableSourceStatus TableSource::status() const { return actor_->status(); }

}  // namespace headrace::tables

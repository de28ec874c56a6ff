#include "tables/publish/publisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "columns/batch_codec.h"
#include "log/catalogue.h"
#include "tables/delta/delta_table.h"
#include "tables/maintenance/removals_by_others.h"
#include "tables/publish/made_rows.h"
#include "tables/publish/pending_rows.h"
#include "tables/publish/plan.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Result;
using FlushDone = std::move_only_function<void(Result<void>)>;

std::string Explain(Standing standing, const std::optional<PublishPlan>& plan,
                    std::optional<EpochId> marker) {
  const auto at = marker.value_or(EpochId{0}).value;
  switch (standing) {
    case Standing::kForeign:
      return "the table belongs to another log: give this one a folder of its own";
    case Standing::kLogRestored:
      return fmt::format(
          "the table has epochs up to {}, but the log has planned only up to {}: the log was "
          "restored from an older "
          "copy; restore the table to the same time, or begin a new one",
          at, plan ? plan->last.value : 0);
    case Standing::kTableRestored:
      return fmt::format(
          "the log says that epochs up to {} were committed, but the table has them up to {}: the "
          "table was restored "
          "from an older copy, or another one lies in its place; restore it to the same time",
          plan->after.value, at);
    default: return "";
  }
}

}  // namespace

std::string_view NameOf(PublisherStatus::State state) {
  switch (state) {
    case PublisherStatus::State::kStarting: return "starting";
    case PublisherStatus::State::kRunning: return "running";
    case PublisherStatus::State::kRetrying: return "retrying";
    case PublisherStatus::State::kStopped: return "stopped";
  }
  return "";
}

// Everything but what the mutex guards belongs to the executor. Callbacks that outlive the
// publisher hold it weakly.
class Publisher::Actor : public std::enable_shared_from_this<Actor> {
 public:
  Actor(env::Environment& environment, base::MemoryBudget& budget, PublishedStream stream,
        PublisherOptions options)
      : environment_(environment),
        budget_(budget),
        stream_(std::move(stream)),
        options_(std::move(options)) {}

  void SetExecutors(env::Executor* executor, env::Executor* upkeep, env::Executor* rewrite) {
    const std::lock_guard lock(mutex_);
    executor_ = executor;
    upkeep_executor_ = upkeep;
    rewrite_executor_ = rewrite;
  }

  // Once, before anything else.
  void MakeRewriter() {
    if (!TableSchema(*stream_.schema)) return;  // nor can the table be opened
    rewriter_ =
        std::make_shared<TableRewriter>(TableRewriter::Table{.environment = environment_,
                                                             .budget = budget_,
                                                             .name = stream_.name,
                                                             .folder = options_.folder,
                                                             .stream = stream_.id,
                                                             .schedule = options_.optimize,
                                                             .limits = options_.rewrite_limits},
                                        ForRewriter());
  }
  const std::shared_ptr<TableRewriter>& rewriter() const { return rewriter_; }

  Result<void> NoteDurable(const log::Epoch& epoch) {
    std::optional<PublishPlan> logged;
    std::optional<RewritePlan> rewrite;
    columns::SchemaRef schema;
    for (const log::ControlEntry& entry : epoch.controls) {
      if (entry.kind == log::ControlEntry::Kind::kStream && entry.name == stream_.name) {
        HR_TRY(const log::StreamEntry known, log::DecodeStreamEntry(entry.name, entry.payload));
        schema = known.schema;
      }
      HR_TRY(const auto plan, DecodePlan(entry));
      if (plan && plan->stream == stream_.id) logged = plan;
      HR_TRY(auto rewriting, DecodeRewrite(entry, epoch.id));
      if (rewriting && rewriting->stream == stream_.id) rewrite = std::move(rewriting);
    }
    const uint64_t rows = RowsOf(epoch);
    const std::lock_guard lock(mutex_);
    if (epoch.id <= status_.durable) return {};  // a capture has it
    if (schema != nullptr) schemas_[epoch.id] = std::move(schema);
    if (schemas_.size() > kSchemasMax) schemas_.erase(schemas_.begin());
    if (logged) logged_plan_ = logged;
    if (rewrite) logged_rewrite_ = std::move(rewrite);
    // Nobody plans before the plan before is in the table.
    if (logged && stream_.made != nullptr) stream_.made->DropThrough(logged->after);
    status_.durable = epoch.id;
    known_through_ = std::max(known_through_, epoch.visible_through);
    pending_.Add(epoch.id, rows, epoch.sealed_at);
    if (pending_.rows() < options_.rows_soon || hurried_ || !started_) return {};
    hurried_ = true;
    PostLocked([](Actor& actor) { actor.Continue(); });
    return {};
  }

  // u64 epoch, u64 known through, u8 (1: has plan, 2: has rewrite plan, 4: has schemas), plan,
  // rewrite plan {u64 epoch, u32 size, payload}, schemas {u32 count, each u64 epoch, schema},
  // pending rows, then MadeRows' bytes where there are such.
  PublisherCapture Capture() const {
    PublisherCapture capture;
    columns::ByteWriter out(capture.bytes);
    {
      const std::lock_guard lock(mutex_);
      capture.epoch = status_.durable;
      out.U64(status_.durable.value);
      out.U64(known_through_.value);
      out.U8(static_cast<uint8_t>((logged_plan_ ? kHasPlan : 0) |
                                  (logged_rewrite_ ? kHasRewrite : 0) |
                                  (schemas_.empty() ? 0 : kHasSchemas)));
      if (logged_plan_) {
        out.U64(logged_plan_->after.value);
        out.U64(logged_plan_->last.value);
      }
      if (logged_rewrite_) {
        const auto payload = EncodeRewrite(*logged_rewrite_, stream_.name).payload;
        out.U64(logged_rewrite_->epoch.value);
        out.U32(static_cast<uint32_t>(payload.size()));
        out.Bytes(payload);
      }
      if (!schemas_.empty()) out.U32(static_cast<uint32_t>(schemas_.size()));
      for (const auto& [epoch, schema] : schemas_) {
        out.U64(epoch.value);
        columns::EncodeSchema(*schema, out);
      }
      pending_.Encode(out);
    }
    // Later than the rest: what has gone meanwhile is in the table.
    if (stream_.made != nullptr) stream_.made->Encode(out);
    return capture;
  }

  Result<void> Restore(std::span<const uint8_t> bytes) {
    columns::ByteReader in(bytes);
    const std::lock_guard lock(mutex_);
    HR_TRY(status_.durable.value, in.U64());
    HR_TRY(known_through_.value, in.U64());
    HR_TRY(const uint8_t has, in.U8());
    if ((has & kHasPlan) != 0) {
      PublishPlan plan{stream_.id, {}, {}};
      HR_TRY(plan.after.value, in.U64());
      HR_TRY(plan.last.value, in.U64());
      logged_plan_ = plan;
    }
    if ((has & kHasRewrite) != 0) {
      HR_TRY(const uint64_t epoch, in.U64());
      HR_TRY(const uint32_t size, in.U32());
      HR_TRY(const auto payload, in.Bytes(size));
      HR_TRY(logged_rewrite_, DecodeRewrite({.kind = log::ControlEntry::Kind::kRewritePlan,
                                             .name = stream_.name,
                                             .payload = {payload.begin(), payload.end()}},
                                            EpochId{epoch}));
    }
    uint32_t schemas = 0;
    if ((has & kHasSchemas) != 0) {
      HR_TRY(schemas, in.U32());
    }
    for (uint32_t i = 0; i < schemas; ++i) {
      HR_TRY(const uint64_t epoch, in.U64());
      HR_TRY(schemas_[EpochId{epoch}], columns::DecodeSchema(in));
    }
    HR_TRY_VOID(pending_.Decode(in));
    return stream_.made != nullptr ? stream_.made->Decode(in) : Result<void>();
  }

  void NoteSchema(columns::SchemaRef schema) {
    const std::lock_guard lock(mutex_);
    if (schemas_.empty()) schemas_.emplace(EpochId{0}, std::move(schema));
  }

  void Start(std::unique_ptr<log::LogReader> log, Append append) {
    log_ = std::move(log);
    append_ = std::move(append);
    application_ = ApplicationId(log_->log(), stream_.name);
    const std::lock_guard lock(mutex_);
    last_plan_ = logged_plan_;
    last_rewrite_ = logged_rewrite_;
    started_ = true;
    PostLocked([](Actor& actor) { actor.Continue(); });
  }

  void Flush(FlushDone done) {
    const std::lock_guard lock(mutex_);
    flushes_.push_back({status_.durable, std::move(done)});
    PostLocked([](Actor& actor) { actor.Continue(); });
  }

  PublisherStatus status() const {
    const std::lock_guard lock(mutex_);
    PublisherStatus status = status_;
    if (rewriter_ != nullptr) status.optimize = rewriter_->status();
    status.pending_rows = pending_.rows();
    if (!pending_.empty())
      status.lag = std::max(base::Duration(0), environment_.clock().Wall() - pending_.oldest());
    return status;
  }
  const base::Histogram& commit_us() const { return commit_us_; }

 private:
  using State = PublisherStatus::State;
  struct Waiter {
    EpochId epoch;
    FlushDone done;
  };

  // Of the streams that its own rows are made of: what there are of those is not known here.
  uint64_t RowsOf(const log::Epoch& epoch) const {
    uint64_t rows = 0;
    const auto add = [&](base::StreamId id) {
      if (const auto* batch = epoch.RowsOf(id)) rows += batch->rows();
    };
    if (stream_.made == nullptr) add(stream_.logged_id());
    for (const base::StreamId input : stream_.inputs) add(input);
    return rows;
  }

  // The task runs only while the actor lives.
  template <typename Step>
  void PostLocked(Step step) {
    if (executor_ != nullptr) executor_->Post(Guarded(std::move(step)));
  }
  template <typename Step>
  void Post(Step step) {
    const std::lock_guard lock(mutex_);
    PostLocked(std::move(step));
  }
  template <typename Step>
  env::Task Guarded(Step step) {
    return [weak = weak_from_this(), step = std::move(step)]() mutable {
      if (const auto self = weak.lock()) step(*self);
    };
  }
  void PostAfter(base::Duration delay) {
    const uint64_t turn = ++timer_turn_;
    const std::lock_guard lock(mutex_);
    if (executor_ == nullptr) return;
    executor_->PostAt(environment_.clock().Now() + delay, Guarded([turn](Actor& actor) {
                        if (turn != actor.timer_turn_) return;
                        actor.due_ = true;
                        actor.Continue();
                      }));
  }

  // At the start, and again after a failure that passed.
  void OpenTable() {
    if (auto opened = TryOpenTable(); !opened) {
      table_.reset();
      return Fail(opened.error());
    }
    Enter(State::kRunning, "");
    if (rewriter_ != nullptr) rewriter_->Begin(log_->log(), last_rewrite_);
    due_ = true;
    Continue();
  }

  // How the rewriter reaches this actor, while it lives.
  TableRewriter::Publisher ForRewriter() {
    const auto guarded = [weak = weak_from_this()](auto step) {
      return [weak, step](auto&&... arguments) {
        using Result = decltype(step(std::declval<Actor&>(), std::move(arguments)...));
        const auto self = weak.lock();
        return self == nullptr ? Result() : step(*self, std::move(arguments)...);
      };
    };
    return {
        .table =
            guarded([](Actor& actor) { return actor.stopped() ? nullptr : actor.table_.get(); }),
        .append = guarded([](Actor& actor, log::ControlEntry entry, auto done) {
          actor.append_(std::move(entry), [weak = actor.weak_from_this(),
                                           done = std::move(done)](Result<EpochId> logged) mutable {
            const auto self = weak.lock();
            if (self == nullptr) return;
            self->Post([logged = std::move(logged), done = std::move(done)](
                           Actor& /*actor*/) mutable { done(std::move(logged)); });
          });
        }),
        .post = guarded([](Actor& actor, env::Task task) {
          actor.Post([task = std::move(task)](Actor& /*actor*/) mutable { task(); });
        }),
        .post_after = guarded([](Actor& actor, env::MonotonicTime delay, env::Task task) {
          const std::lock_guard lock(actor.mutex_);
          if (actor.executor_ != nullptr)
            actor.executor_->PostAt(actor.environment_.clock().Now() + delay, std::move(task));
        }),
        .work = guarded([](Actor& actor, env::Task task) {
          const std::lock_guard lock(actor.mutex_);
          if (actor.rewrite_executor_ != nullptr) actor.rewrite_executor_->Post(std::move(task));
        }),
        .committed = guarded([](Actor& actor) { actor.TendLog(); }),
        .settled = guarded([](Actor& actor, EpochId epoch) {
          const std::lock_guard lock(actor.mutex_);
          if (actor.logged_rewrite_ && actor.logged_rewrite_->epoch <= epoch)
            actor.logged_rewrite_.reset();
        }),
        .schema = guarded([](Actor& actor, EpochId epoch) -> columns::SchemaRef {
          auto schema = TableSchema(*actor.SchemaAt(epoch));
          return schema ? *schema : nullptr;
        }),
        .planned_files = guarded([](Actor& actor) -> std::function<bool(std::string_view)> {
          const auto plan = actor.redo_ ? actor.last_plan_ : std::nullopt;
          return [plan, log = actor.log_->log()](std::string_view name) {
            const auto file = ParseFileName(log, name);
            return plan && file && file->plan == *plan;
          };
        })};
  }

  Result<void> TryOpenTable() {
    std::vector<columns::SchemaRef> schemas;
    for (const columns::SchemaRef& each : KnownSchemas()) {
      HR_TRY(columns::SchemaRef of_table, TableSchema(*each));
      schemas.push_back(std::move(of_table));
    }
    environment_.CrashPoint("publish.before_open");
    HR_TRY(table_, delta::DeltaTable::OpenForAppend(environment_, options_.folder, stream_.name,
                                                    schemas.back(), Upkeep(), schemas));
    environment_.CrashPoint("publish.after_open");
    HR_TRY_VOID(RemoveLeftovers());
    environment_.CrashPoint("publish.before_settle");
    return Settle();
  }

  // In the order of the log; at least one.
  std::vector<columns::SchemaRef> KnownSchemas() const {
    const std::lock_guard lock(mutex_);
    std::vector<columns::SchemaRef> schemas;
    for (const auto& [epoch, schema] : schemas_) schemas.push_back(schema);
    if (schemas.empty()) schemas.push_back(stream_.schema);
    return schemas;
  }

  // That rows of that epoch have in the log.
  columns::SchemaRef SchemaAt(EpochId epoch) const {
    const std::lock_guard lock(mutex_);
    if (schemas_.empty()) return stream_.schema;
    const auto after = schemas_.upper_bound(epoch);
    return after == schemas_.begin() ? after->second : std::prev(after)->second;
  }

  // Removals of this stream's files by others stay known for ever: by them a reader of history
  // learns that rows stand elsewhere now. Those by rewritings of ours are told by the new files.
  delta::UpkeepOptions Upkeep() const {
    delta::UpkeepOptions upkeep = options_.upkeep;
    upkeep.kept_removals = [log = log_->log(), stream = stream_.id] {
      return std::make_unique<RemovalsByOthers>(log, stream);
    };
    return upkeep;
  }

  // Hands what is due to the upkeep's executor, unless it is still at the last piece: then the next
  // commit does.
  void TendLog() {
    if (tending_) return;
    UpkeepTask task = table_->TakeUpkeep();
    if (task == nullptr) return;
    const std::lock_guard lock(mutex_);
    if (upkeep_executor_ == nullptr) return;
    tending_ = true;
    upkeep_executor_->Post([weak = weak_from_this(), task = std::move(task)]() mutable {
      const auto self = weak.lock();
      if (self == nullptr) return;
      const Result<void> done = task();
      if (!done)
        base::LogWarning("tables.upkeep_failed",
                         {{"stream", self->stream_.name}, {"reason", done.error().ToString()}});
      self->Post([](Actor& actor) { actor.tending_ = false; });
    });
  }

  // Temporary files of data files of this log: a crash left them, and nobody else may have made
  // them.
  Result<void> RemoveLeftovers() {
    const std::string ours = "." + log_->log().ToString() + "-s" + std::to_string(stream_.id.value);
    HR_TRY(const auto names, environment_.files().List(options_.folder));
    for (const std::string& name : names) {
      if (!env::IsTemporaryName(name) || !name.starts_with(ours + "-")) continue;
      HR_TRY_VOID(environment_.files().Remove(options_.folder + "/" + name));
      environment_.CrashPoint("publish.after_leftover");
    }
    return {};
  }

  // Holds the table's marker against the last plan.
  Result<void> Settle() {
    std::optional<EpochId> marker;
    bool other_logs = false;
    for (const Marker& found : table_->markers()) {
      if (found.application == application_) {
        marker = EpochId{found.version};
      } else {
        other_logs |= found.application.starts_with("headrace/");
      }
    }
    const Standing standing = Compare(last_plan_, marker, other_logs);
    redo_ = standing == Standing::kPlanned;
    if (standing == Standing::kFresh || standing == Standing::kCommitted || redo_) {
      SetCommitted(marker.value_or(EpochId{0}));
      return {};
    }
    return base::Fail(Error(ErrorCode::kConflict, Explain(standing, last_plan_, marker))
                          .With("table", options_.folder));
  }

  // Decides what is next: after each step, at the timer, when much is pending, and at a flush.
  void Continue() {
    if (busy_) return;
    AnswerFlushes();
    if (stopped()) return FailFlushes(Error(ErrorCode::kFailedPrecondition, reason_));
    if (!due_ && !Hurried()) return;
    due_ = false;
    started_at_ = environment_.clock().Now();
    if (table_ == nullptr) return OpenTable();
    if (redo_) {
      environment_.CrashPoint("publish.before_redo");
      return RunPlan();
    }
    PlanNext();
  }

  // Something does not wait for the timer: a flush, or, unless the last try failed, many pending
  // rows.
  bool Hurried() {
    const std::lock_guard lock(mutex_);
    hurried_ = false;
    if (!flushes_.empty()) return true;
    return status_.state == State::kRunning && pending_.rows() >= options_.rows_soon;
  }

  void PlanNext() {
    const auto plan = NextPlan();
    if (!plan) {
      Enter(State::kRunning, "");
      return PostAfter(options_.commit);
    }
    if (!Pass().MayGoOn()) return PostAfter(kAskAgain);
    if (AwaitsRows()) return PostAfter(kSealedPause);
    busy_ = true;
    if (plan->last <= plan->after) {
      environment_.CrashPoint("publish.before_seal");
      return LogEntry(SealingEntry(stream_.name), std::nullopt);
    }
    environment_.CrashPoint("publish.before_plan");
    LogEntry(EncodePlan(*plan, stream_.name), plan);
  }

  // The epochs that have them are durable, and not applied yet.
  bool AwaitsRows() const {
    if (stream_.made == nullptr) return false;
    const std::lock_guard lock(mutex_);
    return !pending_.empty() && stream_.made->through() < pending_.first();
  }

  // Nothing when no row is pending. An empty range when rows are, but when they became visible is
  // not in the log yet.
  std::optional<PublishPlan> NextPlan() const {
    const std::lock_guard lock(mutex_);
    if (pending_.empty()) return std::nullopt;
    EpochId last = pending_.EndOf(options_.plan_rows_max).value_or(status_.durable);
    if (!stream_.known_at.assumed()) last = std::min(last, known_through_);
    if (stream_.made != nullptr) last = std::min(last, stream_.made->through());
    if (last < pending_.first()) last = status_.committed;
    return PublishPlan{stream_.id, status_.committed, last};
  }

  void LogEntry(log::ControlEntry entry, std::optional<PublishPlan> plan) {
    append_(std::move(entry), [weak = weak_from_this(), plan](Result<EpochId> logged) {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->Post(
          [plan, logged = std::move(logged)](Actor& actor) { actor.OnLogged(plan, logged); });
    });
  }

  void OnLogged(const std::optional<PublishPlan>& plan, const Result<EpochId>& logged) {
    busy_ = false;
    if (!logged) return Fail(logged.error());
    if (!plan) {  // sealed: the visible times are there now, or very soon
      PostAfter(kSealedPause);
      return;
    }
    environment_.CrashPoint("publish.after_plan");
    last_plan_ = *plan;
    redo_ = true;
    RunPlan();
  }

  // Of the commit that is next or under way. It may be late by one interval at the most.
  env::BackgroundPass& Pass() {
    if (!pass_) {
      const auto work =
          options_.commit > kSlowCommit ? env::WorkClass::kSlowTables : env::WorkClass::kTables;
      pass_.emplace(environment_, work,
                    fmt::format("table {}: a commit every {}", stream_.name,
                                base::FormatDuration(options_.commit)),
                    options_.commit);
    }
    return *pass_;
  }

  void RunPlan() {
    auto done = TryRunPlan();
    pass_.reset();
    if (!done) return Fail(done.error());
    redo_ = false;
    retry_delay_ = base::Duration(0);
    Enter(State::kRunning, "");
    const auto took = environment_.clock().Now() - started_at_;
    commit_us_.Record(static_cast<uint64_t>(took / std::chrono::microseconds(1)));
    PostAfter(std::max(base::Duration(0),
                       options_.commit - std::chrono::duration_cast<base::Duration>(took)));
    Post([](Actor& actor) { actor.Continue(); });
  }

  Result<void> TryRunPlan() {
    if (failed_) {  // an earlier try may have committed after all
      HR_TRY_VOID(table_->Refresh());
      HR_TRY_VOID(Settle());
      failed_ = false;
      if (!redo_) return {};
    }
    HR_TRY(const std::vector<DataFile> files,
           WritePlanFiles(environment_, budget_, *log_, stream_, SchemaAt(last_plan_->last),
                          *last_plan_, options_.folder, options_.files, Pass()));
    environment_.CrashPoint("publish.after_files");
    environment_.CrashPoint("publish.before_commit");
    HR_TRY_VOID(table_->Append(files, {application_, last_plan_->last.value}));
    environment_.CrashPoint("publish.after_commit");
    CountCommit(files);
    TendLog();
    return {};
  }

  void CountCommit(const std::vector<DataFile>& files) {
    SetCommitted(last_plan_->last);
    const std::lock_guard lock(mutex_);
    ++status_.commits;
    status_.files += files.size();
    for (const DataFile& file : files) {
      status_.rows += file.rows;
      status_.bytes += file.bytes;
    }
  }

  void SetCommitted(EpochId epoch) {
    const std::lock_guard lock(mutex_);
    status_.committed = epoch;
    pending_.DropThrough(epoch);
    if (stream_.made != nullptr) stream_.made->DropThrough(epoch);
  }

  void AnswerFlushes() {
    std::vector<FlushDone> done;
    {
      const std::lock_guard lock(mutex_);
      if (redo_ || table_ == nullptr) return;
      std::erase_if(flushes_, [&](Waiter& waiter) {
        if (!pending_.empty() && pending_.first() <= waiter.epoch) return false;
        done.push_back(std::move(waiter.done));
        return true;
      });
    }
    if (!done.empty()) environment_.CrashPoint("publish.before_flush_answer");
    for (FlushDone& each : done) each({});
  }

  void FailFlushes(const Error& error) {
    std::vector<Waiter> waiters;
    {
      const std::lock_guard lock(mutex_);
      waiters.swap(flushes_);
    }
    for (Waiter& waiter : waiters) waiter.done(base::Fail(error));
  }

  void Fail(const Error& error) {
    failed_ = true;
    reason_ = error.ToString();
    const bool final = !MayPass(error.code());
    Enter(final ? State::kStopped : State::kRetrying, reason_);
    if (final) {
      base::LogWarning("tables.publisher_stopped", {{"stream", stream_.name}, {"reason", reason_}});
    } else {
      environment_.CrashPoint("publish.before_retry");
      retry_delay_ = std::clamp(retry_delay_ * 2, options_.retry_min, options_.retry_max);
      base::LogWarning("tables.publish_failed", {{"stream", stream_.name},
                                                 {"reason", reason_},
                                                 {"retry_in", base::FormatDuration(retry_delay_)}});
      PostAfter(retry_delay_);
    }
    FailFlushes(error);
  }

  void Enter(State state, std::string reason) {
    const std::lock_guard lock(mutex_);
    status_.state = state;
    status_.reason = std::move(reason);
  }
  bool stopped() const {
    const std::lock_guard lock(mutex_);
    return status_.state == State::kStopped;
  }

  static constexpr uint8_t kHasPlan = 1;
  static constexpr uint8_t kHasRewrite = 2;
  static constexpr uint8_t kHasSchemas = 4;
  // Of one stream that are remembered; then the oldest goes.
  static constexpr size_t kSchemasMax = 256;
  static constexpr base::Duration kAskAgain =
      std::chrono::duration_cast<base::Duration>(env::BackgroundGate::kAskAgain);
  static constexpr base::Duration kSlowCommit = std::chrono::seconds(30);
  static constexpr base::Duration kSealedPause = std::chrono::milliseconds(5);

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const PublishedStream stream_;
  const PublisherOptions options_;
  base::Histogram commit_us_;

  mutable std::mutex mutex_;  // guards from here to the blank line
  env::Executor* executor_ = nullptr;
  env::Executor* upkeep_executor_ = nullptr;
  env::Executor* rewrite_executor_ = nullptr;
  PublisherStatus status_;
  PendingRows pending_;
  EpochId known_through_;                   // the log tells when epochs up to here became visible
  std::optional<PublishPlan> logged_plan_;  // the newest that is durable
  std::optional<RewritePlan> logged_rewrite_;  // likewise; nothing once it is done
  // Of the stream, by the epoch that brought each (0: one before those that were noted).
  std::map<EpochId, columns::SchemaRef> schemas_;
  std::vector<Waiter> flushes_;
  bool started_ = false;
  bool hurried_ = false;

  std::unique_ptr<log::LogReader> log_;
  Append append_;
  std::string application_;
  std::unique_ptr<TableFormat> table_;
  std::shared_ptr<TableRewriter> rewriter_;
  std::optional<PublishPlan> last_plan_;
  std::optional<RewritePlan> last_rewrite_;  // that the log had at the start
  bool redo_ = false;                        // the last plan is in the log and not in the table
  bool busy_ = false;                        // an entry is on its way into the log
  bool due_ = true;                          // the interval, or a retry's delay, is over
  bool failed_ = false;                      // the last try ended in an error
  bool tending_ = false;                     // the upkeep's executor has a piece of work
  std::string reason_;
  std::optional<env::BackgroundPass> pass_;
  uint64_t timer_turn_ = 0;
  env::MonotonicTime started_at_{0};
  base::Duration retry_delay_{0};
};

Publisher::Publisher(env::Environment& environment, base::MemoryBudget& budget,
                     PublishedStream stream, PublisherOptions options)
    : actor_(std::make_shared<Actor>(environment, budget, std::move(stream), std::move(options))),
      rewrite_executor_(environment.NewExecutor("optimize", env::Priority::kBackground)),
      upkeep_executor_(environment.NewExecutor("upkeep", env::Priority::kBackground)),
      executor_(environment.NewExecutor("publish", env::Priority::kBackground)) {
  actor_->SetExecutors(executor_.get(), upkeep_executor_.get(), rewrite_executor_.get());
  actor_->MakeRewriter();
}

Publisher::~Publisher() {
  if (actor_->rewriter() != nullptr) actor_->rewriter()->Stop();
  actor_->SetExecutors(nullptr, nullptr, nullptr);
  executor_.reset();
  upkeep_executor_.reset();
  rewrite_executor_.reset();
}

PublisherCapture Publisher::Capture() const { return actor_->Capture(); }
Result<void> Publisher::Restore(std::span<const uint8_t> bytes) { return actor_->Restore(bytes); }
Result<void> Publisher::NoteDurable(const log::Epoch& epoch) { return actor_->NoteDurable(epoch); }
void Publisher::NoteSchema(columns::SchemaRef schema) { actor_->NoteSchema(std::move(schema)); }
void Publisher::Start(std::unique_ptr<log::LogReader> log, Append append) {
  actor_->Start(std::move(log), std::move(append));
}
void Publisher::Flush(std::move_only_function<void(Result<void>)> done) {
  actor_->Flush(std::move(done));
}
void Publisher::Optimize(OptimizeRequest request, TableRewriter::OptimizeDone done) {
  if (actor_->rewriter() == nullptr)
    return done(base::Fail(ErrorCode::kFailedPrecondition, "the table can't be opened"));
  actor_->rewriter()->Optimize(std::move(request), std::move(done));
}
void Publisher::Vacuum(const VacuumRequest& request, TableRewriter::VacuumDone done) {
  if (actor_->rewriter() == nullptr)
    return done(base::Fail(ErrorCode::kFailedPrecondition, "the table can't be opened"));
  actor_->rewriter()->Vacuum(request, std::move(done));
}
PublisherStatus Publisher::status() const { return actor_->status(); }
const base::Histogram& Publisher::commit_us() const { return actor_->commit_us(); }

}  // namespace headrace::tables

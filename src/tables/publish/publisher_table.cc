#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "tables/delta/delta_table.h"
#include "tables/maintenance/removals_by_others.h"
#include "tables/publish/publisher_actor.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Result;

std::string Explain(Standing standing, const std::optional<LoggedPlan>& plan, EpochId had,
                    std::optional<EpochId> marker) {
  const auto at = marker.value_or(EpochId{0}).value;
  switch (standing) {
    case Standing::kForeign:
      return "the table belongs to another log: give this one a folder of its own";
    case Standing::kLogRestored:
      return fmt::format(
          "the table has epochs up to {}, but the log has planned only up to {}: the log was "
          "restored from an older "
          "copy; restore the table to the same time, or go on from a fork of the log, if that has "
          "let no rows go: it gets tables of its own",
          at, plan ? plan->last.value : 0);
    case Standing::kTableRestored:
      return fmt::format(
          "the log says that epochs up to {} were committed, but the table has them up to {}: the "
          "table was restored "
          "from an older copy, or another one lies in its place; restore it to the same time",
          std::max(plan->after, had).value, at);
    default: return "";
  }
}

}  // namespace

void Publisher::Actor::MakeRewriter() {
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
// At the start, and again after a failure that passed.
void Publisher::Actor::OpenTable() {
  if (auto opened = TryOpenTable(); !opened) {
    table_.reset();
    return Fail(opened.error());
  }
  // What is carried out again is in the log until then.
  if (!redo_) Enter(State::kRunning, "");
  if (rewriter_ != nullptr) rewriter_->Begin(log_->log(), last_rewrite_);
  due_ = true;
  Continue();
}

// How the rewriter reaches this actor, while it lives.
TableRewriter::Publisher Publisher::Actor::ForRewriter() {
  const auto guarded = [weak = weak_from_this()](auto step) {
    return [weak, step](auto&&... arguments) {
      using Result = decltype(step(std::declval<Actor&>(), std::move(arguments)...));
      const auto self = weak.lock();
      return self == nullptr ? Result() : step(*self, std::move(arguments)...);
    };
  };
  return {
      .table = guarded([](Actor& actor) { return actor.stopped() ? nullptr : actor.table_.get(); }),
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
      .settled = guarded([](Actor& actor, EpochId epoch) { actor.noted_.SettleRewrite(epoch); }),
      .schema = guarded([](Actor& actor, EpochId epoch) -> columns::SchemaRef {
        auto schema = TableSchema(*actor.noted_.SchemaAt(epoch));
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

Result<void> Publisher::Actor::TryOpenTable() {
  std::vector<columns::SchemaRef> schemas;
  for (const columns::SchemaRef& each : noted_.KnownSchemas()) {
    HR_TRY(columns::SchemaRef of_table, TableSchema(*each));
    schemas.push_back(std::move(of_table));
  }
  environment_.CrashPoint("publish.before_open");
  using Missing = delta::DeltaTable::Missing;
  HR_TRY(const EpochId held, log_->First());
  had_ = last_plan_ && held > last_plan_->rows_after.Next() ? last_plan_->last : EpochId{0};
  const bool was_there = had_.value > 0 || (last_plan_ && last_plan_->after.value > 0);
  auto opened = delta::DeltaTable::OpenForAppend(environment_, options_.folder, stream_.name,
                                                 schemas.back(), Upkeep(), schemas,
                                                 was_there ? Missing::kRefuse : Missing::kCreate);
  if (!opened && opened.error().code() == ErrorCode::kNotFound)
    return base::Fail(
        Error(ErrorCode::kConflict,
              fmt::format("the log says that epochs up to {} were committed, but "
                          "there is no table: restore it from a copy ({})",
                          std::max(had_, last_plan_->after).value, opened.error().message()))
            .With("table", options_.folder));
  HR_TRY(table_, std::move(opened));
  environment_.CrashPoint("publish.after_open");
  HR_TRY_VOID(RemoveLeftovers());
  environment_.CrashPoint("publish.before_settle");
  return Settle();
}

// Removals of this stream's files by others stay known for ever: by them a reader of history
// learns that rows stand elsewhere now. Those by rewritings of ours are told by the new files.
delta::UpkeepOptions Publisher::Actor::Upkeep() const {
  delta::UpkeepOptions upkeep = options_.upkeep;
  upkeep.kept_removals = [log = log_->log(), stream = stream_.id] {
    return std::make_unique<RemovalsByOthers>(log, stream);
  };
  return upkeep;
}

// Hands what is due to the upkeep's executor, unless it is still at the last piece: then the next
// commit does.
void Publisher::Actor::TendLog() {
  CountLogBytes();
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
    self->Post([](Actor& actor) {
      actor.tending_ = false;
      actor.CountLogBytes();
    });
  });
}

void Publisher::Actor::CountLogBytes() {
  if (table_ == nullptr) return;
  const uint64_t bytes = table_->TakeLogBytes();
  const std::lock_guard lock(mutex_);
  status_.log_bytes += bytes;
}

// Temporary files of data files of this log: a crash left them, and nobody else may have made
// them.
Result<void> Publisher::Actor::RemoveLeftovers() {
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
Result<void> Publisher::Actor::Settle() {
  std::optional<EpochId> marker;
  bool other_logs = false;
  for (const Marker& found : table_->markers()) {
    if (found.application == application_) {
      marker = EpochId{found.version};
    } else {
      other_logs |= found.application.starts_with("headrace/");
    }
  }
  Standing standing = Compare(last_plan_, marker, other_logs);
  // Rows that were made once, or that the log has let go, cannot be had again for a table that had
  // them.
  const EpochId had = stream_.made == nullptr ? had_ : std::max(had_, noted_.dropped_through());
  if (standing == Standing::kPlanned && had > last_plan_->after)
    standing = Standing::kTableRestored;
  redo_ = standing == Standing::kPlanned;
  if (standing == Standing::kFresh || standing == Standing::kCommitted || redo_) {
    SetCommitted(marker.value_or(EpochId{0}));
    return {};
  }
  return base::Fail(Error(ErrorCode::kConflict, Explain(standing, last_plan_, had, marker))
                        .With("table", options_.folder));
}

}  // namespace headrace::tables

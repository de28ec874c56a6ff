#include "wiring/definition_changes.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/log.h"
#include "base/next_step.h"
#include "env/background_gate.h"
#include "tables/table_reader.h"
#include "training/history.h"

namespace headrace::wiring {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;
using pipeline::LoggedDefinition;
using Json = nlohmann::ordered_json;
using Seconds = std::chrono::duration<double>;

// While the applier has more to do than history may hold up.
constexpr env::MonotonicTime kBusyPause = std::chrono::milliseconds(2);
// Until this machine has shown its own.
constexpr double kRowsPerSecond = 1e6;
constexpr uint64_t kRowsMeasured = 200'000;

}  // namespace

// The change under way.
struct DefinitionChanges::Task {
  Task(env::Environment& environment, LoggedDefinition to, AskedChange of)
      : next(std::move(to)),
        asked(std::move(of)),
        pass(environment, env::WorkClass::kMaintenance, "a change of definition", kWaitMax) {}
  static constexpr env::MonotonicTime kWaitMax = std::chrono::minutes(10);

  const LoggedDefinition next;
  AskedChange asked;
  env::BackgroundPass pass;
  std::vector<std::unique_ptr<StreamHistory>> history;
  size_t reading = 0;
  EpochId until;               // of this round
  uint64_t rows_accepted = 0;  // when it began
  int rounds = 0;
  bool aside = false;  // epochs after `until` are put aside

  uint64_t RowsRead() const {
    uint64_t rows = 0;
    for (const auto& each : history) rows += each->rows_read();
    return rows;
  }
};

DefinitionChanges::DefinitionChanges(env::Environment& environment, Sources sources,
                                     std::optional<LoggedDefinition> logged)
    : environment_(environment),
      sources_(sources),
      asked_(environment.files(), sources.options.data_folder),
      logged_(std::move(logged)),
      executor_(environment.NewExecutor("changes", env::Priority::kBackground)) {
  sources_.derived.views->DisposeBy([this](std::shared_ptr<const void> what) {
    Post([what = std::move(what)]() mutable { what.reset(); });
  });
}

DefinitionChanges::~DefinitionChanges() { Close(); }

void DefinitionChanges::Close() {
  std::unique_ptr<env::Executor> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::move(executor_);
  }
  ending.reset();
  if (task_ == nullptr) return;
  // A life that was ended is none that the change ended.
  --task_->asked.begun;
  (void)asked_.Put(task_->asked);
  task_.reset();
}

void DefinitionChanges::Post(std::move_only_function<void()> step) {
  const std::lock_guard lock(mutex_);
  if (executor_ != nullptr) executor_->Post(std::move(step));
}

void DefinitionChanges::PostAfter(env::MonotonicTime span, void (DefinitionChanges::*step)()) {
  const std::lock_guard lock(mutex_);
  if (executor_ != nullptr)
    executor_->PostAt(environment_.clock().Now() + span, [this, step] { (this->*step)(); });
}

template <typename Do, typename Then>
void DefinitionChanges::OnApplier(Do act, Then then) {
  sources_.applier.Between([this, act = std::move(act), then = std::move(then)]() mutable {
    auto given = act(*sources_.derived.views);
    Post([then = std::move(then), given = std::move(given)]() mutable { then(std::move(given)); });
  });
}

// About: rows of the table and those on their way to it; without a table, all that were accepted.
uint64_t DefinitionChanges::RowsOf(const pipeline::StreamDefinition& stream) const {
  constexpr int kLooksMax = 5;
  for (int looks = 1;; ++looks) {
    const auto tables = sources_.derived.publishers->Figures();
    const auto table = std::ranges::find(tables, stream.name, &watch::TableFigures::name);
    const log::LogStatus status = sources_.sequencer.status();
    if (table == tables.end()) return status.rows_accepted;
    const auto reader = tables::TableReader::Open(environment_, table->folder);
    if (!reader) return table->pending_rows;
    // A commit between the two looks would count its rows twice.
    const EpochId marker = (*reader)->Marker(status.log, stream.name).value_or(EpochId{0});
    if (marker == table->committed || looks == kLooksMax)
      return table->pending_rows + (*reader)->rows();
  }
}

ChangeGround DefinitionChanges::Ground(const ChangeRequest& request) const {
  const pipeline::ViewSet& views = *sources_.derived.views;
  ChangeGround ground;
  ground.current = views.current();
  if (const auto named = logged()) ground.current.started = named->started;
  ground.first = sources_.sequencer.status().first;
  for (const pipeline::StreamDefinition& stream : ground.current.definition->streams)
    if (!stream.derived()) ground.rows[stream.name] = RowsOf(stream);
  ground.views = views.status();
  for (std::string& view : views.KeptUp(*request.next, request.since))
    ground.ready.insert(std::move(view));
  for (size_t i = 0; i < request.next->streams.size(); ++i)
    if (request.next->streams[i].derived() && views.NumberOf(*request.next, i))
      ground.made.insert(request.next->streams[i].name);
  ground.memory_limit = sources_.budget.limit_bytes();
  const uint64_t used = sources_.budget.used_bytes() + sources_.budget.uncharged_bytes();
  ground.memory_free = ground.memory_limit - std::min(ground.memory_limit, used);
  const std::lock_guard lock(mutex_);
  const double took = Seconds(figures_.ended_at - figures_.began_at).count();
  ground.rows_per_second = figures_.rows_done > kRowsMeasured && took > 0
                               ? static_cast<double>(figures_.rows_done) / took
                               : kRowsPerSecond;
  return ground;
}

void DefinitionChanges::Diff(ChangeRequest request, Done done) {
  Post([this, request = std::move(request), done = std::move(done)]() mutable {
    request.may_break = true;  // what breaks is in the document
    const ChangeGround ground = Ground(request);
    done(PlanChange(ground, request).ToJson(ground));
  });
}

void DefinitionChanges::Apply(ChangeRequest request, Done done) {
  Post([this, request = std::move(request), done = std::move(done)]() mutable {
    ApplyNow({.request = std::move(request), .by = "apply", .from = {}}, std::move(done));
  });
}

void DefinitionChanges::Rollback(Done done) {
  Post([this, done = std::move(done)]() mutable {
    auto request = Before();
    if (!request) return done(Fail(std::move(request).error()));
    ApplyNow({.request = std::move(*request), .by = "rollback", .from = {}}, std::move(done));
  });
}

// The definition before, as it was in force.
Result<ChangeRequest> DefinitionChanges::Before() const {
  const auto named = logged();
  if (!named || named->before.value == 0)
    return Fail(
        base::Error(ErrorCode::kFailedPrecondition,
                    "the log names no definition before this one: there is nothing to go back to")
            .With(base::kNextStep,
                  "nothing: a rollback undoes a `headrace apply`, and there was none"));
  HR_TRY(const auto history, training::History::Open(environment_, sources_.options.data_folder));
  HR_TRY(LoggedDefinition before, history->Named(named->before, history->newest()));
  return ChangeRequest{.next = std::move(before.definition),
                       .since = std::move(before.since),
                       .may_break = true,
                       .back = true};
}

base::Error DefinitionChanges::Refused(const ChangePlan& plan) const {
  return base::Error(ErrorCode::kFailedPrecondition,
                     fmt::format("the change is refused: {}", fmt::join(plan.refusals, "; ")));
}

void DefinitionChanges::ApplyNow(AskedChange asked, Done done) {
  const bool same = task_ != nullptr && task_->asked.by == asked.by &&
                    ChangeRequestJson(task_->asked.request) == ChangeRequestJson(asked.request);
  if (!same) {
    const std::lock_guard lock(mutex_);
    if (task_ != nullptr || announced_)
      return done(Fail(base::Error(ErrorCode::kConflict,
                                   "a change is under way: wait for it, GET /definition says how "
                                   "far it is")
                           .With("to", figures_.to.ToString())));
  }
  const ChangeGround ground = Ground(asked.request);
  ChangePlan plan = PlanChange(ground, asked.request);
  std::string json = plan.ToJson(ground);
  if (same) return done(std::move(json));
  if (!plan.may_go()) return done(Fail(Refused(plan)));
  if (!plan.changes) return done(std::move(json));
  asked.from = ground.current.definition->id;
  ++asked.begun;
  if (auto put = asked_.Put(asked); !put) return done(Fail(std::move(put).error()));
  environment_.CrashPoint("change.asked");
  Begin(std::move(plan), std::move(asked));
  done(std::move(json));
}

void DefinitionChanges::GoOn() {
  Post([this] { GoOnNow(); });
}

void DefinitionChanges::GoOnNow() {
  if (task_ != nullptr) return;  // somebody was quicker
  auto asked = asked_.Read();
  if (!asked) {
    base::LogWarning("wiring.change_not_read", {{"error", asked.error().ToString()}});
    return Forget();
  }
  if (!*asked) return;
  bool busy = false;
  {
    const std::lock_guard lock(mutex_);
    busy = announced_.has_value();  // what the start brought is not durable yet
  }
  if (busy) return PostAfter(kBusyPause, &DefinitionChanges::GoOnNow);
  GoOnWith(std::move(**asked));
}

void DefinitionChanges::GoOnWith(AskedChange asked) {
  const base::DefinitionId current = sources_.derived.views->current().definition->id;
  if (current == asked.request.next->id) return Forget();  // it was durable
  if (current != asked.from)
    return NoteRefused(asked, base::Error(ErrorCode::kFailedPrecondition,
                                          "the engine was started with another file since it was "
                                          "asked for: apply it again"));
  if (asked.begun >= kLivesMax)
    return NoteRefused(
        asked, base::Error(ErrorCode::kUnavailable,
                           fmt::format("{} lives of the engine ended while it was built: find out "
                                       "why, and apply it again",
                                       asked.begun)));
  const AskedChange copy = asked;
  ApplyNow(std::move(asked), [this, copy](Result<std::string> begun) {
    if (!begun) NoteRefused(copy, std::move(begun).error());
  });
}

// One of an earlier life that does not begin again.
void DefinitionChanges::NoteRefused(const AskedChange& asked, base::Error error) {
  base::LogWarning("wiring.change_failed", {{"error", error.ToString()}});
  Forget();
  const std::lock_guard lock(mutex_);
  Figures figures;
  figures.number = figures_.number + 1;
  figures.state = State::kFailed;
  figures.from = asked.from;
  figures.to = asked.request.next->id;
  figures.by = asked.by;
  figures.begun = asked.begun;
  figures.began = environment_.clock().Wall();
  figures.error = std::move(error);
  figures.done = figures_.done;
  figures.failed = figures_.failed + 1;
  figures_ = std::move(figures);
}

// It is over.
void DefinitionChanges::Forget() {
  environment_.CrashPoint("change.before_forget");
  if (const auto removed = asked_.Remove(); !removed)
    base::LogWarning("wiring.change_not_forgotten", {{"error", removed.error().ToString()}});
}

// Step 2.
void DefinitionChanges::Begin(ChangePlan plan, AskedChange asked) {
  task_ = std::make_unique<Task>(environment_, std::move(plan.next), std::move(asked));
  {
    const std::lock_guard lock(mutex_);
    Figures figures;
    figures.number = figures_.number + 1;
    figures.state = State::kBuilding;
    figures.from = task_->next.before;
    figures.to = task_->next.definition->id;
    figures.by = task_->asked.by;
    figures.begun = task_->asked.begun;
    figures.rows_total = plan.history_rows;
    figures.began = environment_.clock().Wall();
    figures.began_at = environment_.clock().Now();
    figures.done = figures_.done;
    figures.failed = figures_.failed;
    figures_ = std::move(figures);
    base::LogInfo("wiring.change_begun", {{"from", figures_.from.ToString()},
                                          {"to", figures_.to.ToString()},
                                          {"by", figures_.by},
                                          {"begun", std::to_string(figures_.begun)},
                                          {"rows", std::to_string(figures_.rows_total)}});
  }
  sources_.retention.Hold([this](EpochId) { Post([this] { BeginBuild(); }); });
}

void DefinitionChanges::BeginBuild() {
  environment_.CrashPoint("change.before_build");
  OnApplier(
      [next = task_->next](pipeline::ViewSet& views) {
        return views.BeginChange(next.definition, next.since);
      },
      [this](const pipeline::ViewSet::ToBuild& needed) {
        if (auto opened = OpenHistory(needed); !opened) return Abandon(std::move(opened).error());
        NextRound();
      });
}

Result<void> DefinitionChanges::OpenHistory(const pipeline::ViewSet::ToBuild& needed) {
  const pipeline::PipelineDefinition& definition = *task_->next.definition;
  std::map<size_t, EpochId> streams;  // and what is not wanted of each
  for (const size_t view : needed.views) {
    const EpochId after = pipeline::SinceOf(task_->next.since, definition.views[view].name);
    const size_t stream = definition.views[view].stream;
    const auto [known, first] = streams.emplace(stream, after);
    if (!first) known->second = std::min(known->second, after);
  }
  for (const auto& [stream, after] : streams) {
    const auto id =
        sources_.derived.streams.find(definition.streams[definition.RootOf(stream)].name);
    HR_CHECK(id != sources_.derived.streams.end(), "a stream without an id");
    HR_TRY(auto history, StreamHistory::Open(environment_, sources_.budget,
                                             {.definition = definition,
                                              .number = stream,
                                              .id = id->second,
                                              .after = after,
                                              .data_folder = sources_.options.data_folder}));
    task_->history.push_back(std::move(history));
  }
  return {};
}

// Reads what is visible now: what comes after that can still be put aside, and no row is applied
// twice. When little was accepted since the last look, the rest is put aside.
void DefinitionChanges::NextRound() {
  const log::LogStatus status = sources_.sequencer.status();
  const bool little = status.rows_accepted - task_->rows_accepted <= kMissingRowsMax;
  if (task_->rounds > 0 && little) return PutAside();
  if (++task_->rounds > kRoundsMax)
    return Abandon(base::Error(ErrorCode::kUnavailable,
                               "rows come in faster than their history can be applied: retry when "
                               "there are fewer"));
  task_->reading = 0;
  task_->until = sources_.derived.views->visible();
  task_->rows_accepted = status.rows_accepted;
  Step();
}

void DefinitionChanges::PutAside() {
  environment_.CrashPoint("change.before_aside");
  OnApplier([](pipeline::ViewSet& views) { return views.PutAside(); },
            [this](EpochId visible) {
              task_->aside = true;
              task_->reading = 0;
              task_->until = visible;
              Step();
            });
}

// One piece of history; the next when it was applied.
void DefinitionChanges::Step() {
  if (!task_->pass.MayGoOn())
    return PostAfter(env::BackgroundGate::kAskAgain, &DefinitionChanges::Step);
  if (sources_.applier.backlog_rows() > kBusyRows)
    return PostAfter(kBusyPause, &DefinitionChanges::Step);
  if (auto room = CheckMemory(); !room) return Abandon(std::move(room).error());
  while (task_->reading < task_->history.size()) {
    auto rows = task_->history[task_->reading]->Next(task_->until);
    if (!rows) return Abandon(std::move(rows).error());
    if (!*rows) {
      ++task_->reading;
      continue;
    }
    (*rows)->stream = *sources_.derived.views->NumberOf(*task_->next.definition, (*rows)->stream);
    {
      const std::lock_guard lock(mutex_);
      figures_.rows_done = task_->RowsRead();
    }
    return sources_.applier.TakeHistory(std::move(**rows), [this] {
      environment_.CrashPoint("change.after_piece");
      const uint64_t bytes = sources_.derived.views->building().bytes;
      Post([this, bytes] {
        {
          const std::lock_guard lock(mutex_);
          figures_.bytes = bytes;
        }
        Step();
      });
    });
  }
  if (task_->aside) return CatchUp();
  NextRound();
}

Result<void> DefinitionChanges::CheckMemory() const {
  const base::MemoryBudget& budget = sources_.budget;
  const uint64_t used = budget.used_bytes() + budget.uncharged_bytes();
  if (used + budget.limit_bytes() / kSpareShare <= budget.limit_bytes()) return {};
  const std::lock_guard lock(mutex_);
  return Fail(
      base::Error(ErrorCode::kResourceExhausted,
                  fmt::format("old and new views do not fit beside each other: after {} of about "
                              "{} rows the new ones have {} bytes, and {} of {} bytes are used; "
                              "raise `memory`, use `precision` or shorter windows",
                              figures_.rows_done, figures_.rows_total, figures_.bytes, used,
                              budget.limit_bytes())));
}

void DefinitionChanges::CatchUp() {
  using CatchingUp = pipeline::ViewSet::CatchingUp;
  OnApplier([](pipeline::ViewSet& views) { return views.CatchUp(); },
            [this](CatchingUp now) {
              if (now == CatchingUp::kDone) return LogIt();
              if (now == CatchingUp::kLost) {  // too much came meanwhile
                task_->aside = false;
                return NextRound();
              }
              sources_.applier.TakeHistory({}, [this] { Post([this] { CatchUp(); }); });
            });
}

// Step 3. Streams whose contract is another one get its schema in the same epoch.
void DefinitionChanges::LogIt() {
  LoggedDefinition next = task_->next;
  log::ControlEntry entry = pipeline::EncodeEntry(next);
  std::vector<log::StreamSpec> evolving;
  for (const pipeline::ContractChange& change :
       ContractChanges(*sources_.derived.views->current().definition, *next.definition)) {
    if (!change.evolution.changes()) continue;
    const auto& stream = next.definition->streams[*next.definition->StreamNamed(change.stream)];
    evolving.push_back(
        {.id = {}, .name = stream.name, .schema = stream.schema(), .timing = stream.timing});
  }
  {
    const std::lock_guard lock(mutex_);
    figures_.state = State::kCuttingOver;
    announced_ = std::move(next);
  }
  environment_.CrashPoint("change.before_log");
  if (!evolving.empty()) environment_.CrashPoint("change.before_evolving");
  const auto logged = [this, evolves = !evolving.empty()](Result<EpochId> epoch) {
    if (evolves) environment_.CrashPoint("change.after_evolving");
    environment_.CrashPoint("change.after_log");
    if (epoch) return;  // NoteDurable has seen it
    Post([this, error = std::move(epoch).error()]() mutable {
      {
        const std::lock_guard lock(mutex_);
        announced_.reset();
      }
      Abandon(std::move(error));
    });
  };
  sources_.sequencer.AppendEvolving(std::move(evolving), std::move(entry), logged);
}

void DefinitionChanges::LogStarted(const LoggedDefinition& standing) {
  {
    const std::lock_guard lock(mutex_);
    const bool known = logged_ && logged_->definition->id == standing.definition->id &&
                       logged_->origin == standing.origin && logged_->started == standing.started;
    if (known) return;
    announced_ = standing;
  }
  environment_.CrashPoint("definition.before_log");
  sources_.sequencer.Append(pipeline::EncodeEntry(standing), [this](const Result<EpochId>& epoch) {
    environment_.CrashPoint("definition.after_log");
    if (epoch) return;
    base::LogError("wiring.definition_not_logged", {{"error", epoch.error().ToString()}});
    const std::lock_guard lock(mutex_);
    announced_.reset();
  });
}

// Before the epoch is applied: a snapshot that has it names its definition.
void DefinitionChanges::NoteDurable(const log::Epoch& epoch) {
  for (const log::ControlEntry& entry : epoch.controls) {
    if (entry.kind != log::ControlEntry::Kind::kDefinition) continue;
    const std::lock_guard lock(mutex_);
    if (!announced_ || entry.name != announced_->definition->id.ToString()) continue;
    logged_ = std::exchange(announced_, std::nullopt);
    for (auto& [view, since] : logged_->since)
      if (since == pipeline::kSinceThisEntry) since = epoch.id;
    if (figures_.state == State::kCuttingOver) cut_over_ = epoch.id;
  }
}

void DefinitionChanges::NoteVisible(EpochId epoch) {
  EpochId at;
  {
    const std::lock_guard lock(mutex_);
    if (cut_over_.value == 0 || epoch < cut_over_) return;
    at = std::exchange(cut_over_, {});
  }
  environment_.CrashPoint("change.cut_over");
  Post([this, at] { Cut(at); });
}

std::optional<LoggedDefinition> DefinitionChanges::logged() const {
  const std::lock_guard lock(mutex_);
  return logged_;
}

// Step 4.
void DefinitionChanges::Cut(EpochId at) {
  task_.reset();
  Forget();
  sources_.snapshotter.NoteChange();
  sources_.retention.LetGo();
  {
    const std::lock_guard lock(mutex_);
    figures_.state = State::kDone;
    figures_.cut_over = at;
    figures_.ended_at = environment_.clock().Now();
    figures_.kept = true;
    ++figures_.done;
    base::LogInfo(
        "wiring.change_done",
        {{"to", figures_.to.ToString()},
         {"epoch", std::to_string(at.value)},
         {"rows", std::to_string(figures_.rows_done)},
         {"took_ms", std::to_string((figures_.ended_at - figures_.began_at).count() / 1'000'000)}});
  }
  sources_.snapshotter.TakeNow([](const Result<void>&) {});
  PostAfter(kLookAtKept, &DefinitionChanges::LookAtKept);
}

// Views that nobody sees go when they get in the way, or have been kept long enough.
void DefinitionChanges::LookAtKept() {
  {
    const std::lock_guard lock(mutex_);
    if (!figures_.kept || figures_.state != State::kDone) return;
    const base::MemoryBudget& budget = sources_.budget;
    const bool full =
        (budget.in_use_bytes() + budget.uncharged_bytes()) / 3 > budget.limit_bytes() / 4;
    if (!full && environment_.clock().Now() < figures_.ended_at + kKeep) {
      executor_ == nullptr
          ? void()
          : executor_->PostAt(environment_.clock().Now() + kLookAtKept, [this] { LookAtKept(); });
      return;
    }
    figures_.kept = false;
  }
  OnApplier(
      [](pipeline::ViewSet& views) {
        views.DropKept();
        return true;
      },
      [this](bool) { sources_.applier.TakeHistory({}, [] {}); });
}

void DefinitionChanges::Abandon(base::Error error) {
  base::LogWarning("wiring.change_failed", {{"error", error.ToString()}});
  task_.reset();
  Forget();
  sources_.retention.LetGo();
  OnApplier(
      [](pipeline::ViewSet& views) {
        views.DropChange();
        return true;
      },
      [this](bool) { sources_.applier.TakeHistory({}, [] {}); });
  const std::lock_guard lock(mutex_);
  figures_.state = State::kFailed;
  figures_.ended_at = environment_.clock().Now();
  figures_.error = std::move(error);
  ++figures_.failed;
}

std::string DefinitionChanges::ToJson() const {
  const LoggedDefinition current = sources_.derived.views->current();
  Json json = {{"pipeline", current.definition->name},
               {"definition", current.definition->id.ToString()},
               {"epoch", sources_.derived.views->visible().value}};
  if (!current.since.empty()) {
    json["since"] = Json::object();
    for (const auto& [view, since] : current.since) json["since"][view] = since.value;
  }
  if (const auto named = logged(); named && named->before.value != 0)
    json["before"] = named->before.ToString();
  const watch::ChangeFigures change = figures();
  if (change.state != State::kNone) json["change"] = Json::parse(watch::ChangeJson(change));
  return base::JsonText(json);
}

watch::ChangeFigures DefinitionChanges::figures() const {
  const std::lock_guard lock(mutex_);
  watch::ChangeFigures figures = figures_;
  const bool over = figures.state == State::kDone || figures.state == State::kFailed;
  figures.took = std::chrono::duration_cast<base::Duration>(
      (over ? figures_.ended_at : environment_.clock().Now()) - figures_.began_at);
  return figures;
}

}  // namespace headrace::wiring

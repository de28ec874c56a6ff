#include "watch/status_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "base/counts.h"
#include "base/memory_shares.h"
#include "base/time.h"

namespace headrace::watch {
namespace {

using State = StatusVerdict::State;
using StageState = plan::StageVerdict::State;

constexpr double kLogNearlyFull = 0.9;
constexpr double kMemoryNearlyFull = 0.9;  // of what rows may take
// What takes so many times longer than was promised, and this long, does not go on by itself.
constexpr int64_t kFarBehind = 10;
constexpr base::Duration kLeastBacklogAge = std::chrono::seconds(5);
constexpr base::Duration kLeastTableLag = std::chrono::minutes(5);
// Of fewer, a p99 is the slowest.
constexpr uint64_t kLeastMeasured = 100;

// "0.4 ms", "71 ms", "2.1 s", "3m", "2h5m".
std::string Span(base::Duration d) {
  const auto ms = static_cast<double>(d.count()) / 1000;
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 1000) return fmt::format("{:.0f} ms", ms);
  if (ms < 120'000) return fmt::format("{:.1f} s", ms / 1000);
  return base::FormatDuration(std::chrono::round<std::chrono::minutes>(d));
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// What does not go on, or not by itself, of a table or a source.
struct Trouble {
  State state;
  std::string_view word;
};
std::optional<Trouble> TroubleOf(std::string_view state) {
  if (state == "stopped") return Trouble{State::kStopped, "stopped"};
  if (state == "retrying") return Trouble{State::kSlipping, "trying again"};
  return std::nullopt;
}

class Examination {
 public:
  Examination(const StatusFigures& figures, const JudgedPromise& promise)
      : figures_(figures), promise_(promise) {}

  StatusVerdict Run() {
    LookAtLog();
    LookAtApplier();
    LookAtTables();
    LookAtSources();
    LookAtPromise();
    LookAtSnapshots();
    LookAtRoom();
    LookAtClock();
    if (figures_.tls) LookAtTls(*figures_.tls);
    if (figures_.change.state == ChangeFigures::State::kFailed && figures_.change.error)
      Add(State::kSlipping,
          "the last change of the definition failed: " + figures_.change.error->ToString(),
          "the definition before it is in force: mend the file, then apply it again");
    std::ranges::stable_sort(verdict_.findings, std::greater<>(), &StatusVerdict::Finding::state);
    if (verdict_.findings.empty()) {
      verdict_.says = Figures();
    } else {
      verdict_.state = verdict_.findings.front().state;
      verdict_.says = verdict_.findings.front().what;
    }
    return std::move(verdict_);
  }

 private:
  void Add(State state, std::string what, std::string next) {
    verdict_.findings.push_back({state, std::move(what), std::move(next)});
  }

  void LookAtLog() {
    const log::LogStatus& log = figures_.log;
    if (log.read_only)
      Add(State::kStopped, "the log takes no rows: " + log.read_only_reason,
          "mend the disk, then start the engine again: every acknowledged row is there");
    if (!log.retention_error.empty())
      Add(State::kSlipping, "the log's upkeep: " + log.retention_error, "headrace log check DATA");
  }

  void LookAtApplier() {
    const base::Duration limit =
        std::max(kLeastBacklogAge, kFarBehind * figures_.definition.promise.budget);
    if (figures_.backlog_age <= limit) return;
    const std::string waiting =
        fmt::format("what is durable has not been visible for {}, {} wait",
                    Span(figures_.backlog_age), Rows(figures_.backlog_rows));
    using Change = ChangeFigures::State;
    const Change change = figures_.change.state;
    const bool builds = change == Change::kBuilding || change == Change::kCuttingOver;
    if (figures_.step_age > limit)
      Add(State::kStopped,
          fmt::format("{}: the step that applies them began {} ago and does not end", waiting,
                      Span(figures_.step_age)),
          "look whether the thread `applier` uses a CPU: if so, at hot_keys of the views below; if "
          "not, start the engine again: every acknowledged row is in the log");
    else
      Add(State::kSlipping,
          fmt::format("{}: they come faster than they are applied{}", waiting,
                      builds ? " while views are built from their history" : ""),
          builds ? "wait for the change below to be done, or send less until then"
                 : NextOf(plan::Stage::kTransform));
  }

  void LookAtTables() {
    for (const TableFigures& table : figures_.tables) {
      const auto trouble = TroubleOf(table.state);
      if (!trouble) {
        LookAtLag(table);
        continue;
      }
      Add(trouble->state,
          fmt::format("table {} is {}, {} behind: {}", table.name, trouble->word, Span(table.lag),
                      table.reason),
          trouble->state == State::kStopped
              ? "mend that, then start the engine again: the log keeps its rows until then"
              : "it goes on by itself once that is mended: the log keeps its rows until then");
    }
  }

  // Of a table that does not fail. Rows of earlier lives have waited for this one since its start.
  void LookAtLag(const TableFigures& table) {
    if (table.pending_rows == 0) return;
    const base::Duration waited = std::min(table.lag, figures_.uptime);
    if (waited <= std::max(kLeastTableLag, kFarBehind * table.commit_every)) return;
    const std::string behind = fmt::format(
        "table {} is {} behind, {} wait, though a commit is due every {}", table.name,
        Span(table.lag), Rows(table.pending_rows), base::FormatDuration(table.commit_every));
    const base::Duration commit(static_cast<int64_t>(table.commit_p99_us));
    if (table.state == "starting")
      Add(State::kSlipping, behind + ": it is not open yet",
          fmt::format("look at the disk of {}, and at `tables.` in the engine's log",
                      table.folder));
    else if (commit > table.commit_every)
      Add(State::kSlipping, fmt::format("{}: one takes {} at p99", behind, Span(commit)),
          fmt::format("a faster disk for {}, or a longer `commit`", table.folder));
    else
      Add(State::kSlipping, behind,
          fmt::format("look at `background` below, at the disk of {}, and at `tables.` in the "
                      "engine's log",
                      table.folder));
  }

  void LookAtSources() {
    for (const SourceFigures& source : figures_.sources)
      if (const auto trouble = TroubleOf(source.state))
        Add(trouble->state,
            fmt::format("the source of {} is {}: {}", source.stream, trouble->word, source.reason),
            fmt::format("look at the table in {}", source.folder));
  }

  void LookAtPromise() {
    const plan::PromiseVerdict& recent = promise_.recent;
    if (recent.together.state == StageState::kUnmeasured) return LookAtServe();
    if (recent.together.state != StageState::kSlipped) return;
    if (RecentBatches() < kLeastMeasured) return;
    const auto longest = std::ranges::max_element(recent.stages, {}, &plan::StageVerdict::measured);
    const auto stage = static_cast<plan::Stage>(longest - recent.stages.begin());
    Add(State::kSlipping,
        fmt::format("{}; the longest stage is {}, {} of {}", Measured("", recent.together),
                    plan::NameOf(stage), Span(longest->measured), Span(longest->given)),
        NextOf(stage));
  }

  // Where no row came in lately.
  void LookAtServe() {
    const plan::StageVerdict& serve =
        promise_.recent.stages[static_cast<size_t>(plan::Stage::kServe)];
    if (serve.state != StageState::kSlipped) return;
    if (Recent(figures_.serve_us).count() < kLeastMeasured) return;
    Add(State::kSlipping, Measured(" of an answer", serve), NextOf(plan::Stage::kServe));
  }

  static std::string Rows(uint64_t rows) { return base::Counted(rows, "row"); }

  std::string NextOf(plan::Stage stage) const {
    switch (stage) {
      case plan::Stage::kIngest: {
        std::string next = "a faster disk, or less beside it";
        if (const RecentSamples sync = Recent(figures_.sync_us); sync.count() > 0)
          next +=
              fmt::format(": fdatasync takes {} at p99", Span(base::Duration(sync.Quantile(0.99))));
        return next;
      }
      case plan::Stage::kTransform:
        return "look at hot_keys of the views below; a `precision` makes long windows cheaper";
      case plan::Stage::kServe: return "fewer keys a request, or fewer of them at once";
    }
    return "";
  }

  void LookAtSnapshots() {
    const SnapshotFigures& snapshots = figures_.snapshots;
    if (!snapshots.reason.empty())
      Add(State::kSlipping, "the last snapshot failed: " + snapshots.reason,
          "it is tried again; a start reads the log since the one before");
    const char* const next = "allow a longer `recovery`, or give the disk less to do";
    if (snapshots.recovery_estimate > snapshots.recovery)
      Add(State::kSlipping,
          fmt::format("a start would take {}, more than the {} of `recovery`",
                      Span(snapshots.recovery_estimate), Span(snapshots.recovery)),
          next);
    else if (!snapshots.bound_holds)
      Add(State::kSlipping,
          fmt::format("at the present rate snapshots can't keep a start within the {} of "
                      "`recovery`",
                      Span(snapshots.recovery)),
          next);
  }

  void LookAtRoom() {
    const double log = Share(figures_.log.log_bytes, figures_.log.log_bytes_max);
    if (log > kLogNearlyFull)
      Add(State::kSlipping,
          fmt::format("the log has {:.0f} % of its bytes_max{}{}", 100 * log,
                      figures_.retention.held_by.empty() ? "" : "; it keeps its rows because of: ",
                      figures_.retention.held_by),
          "at its limit rows are refused (507): start with a larger `log: bytes_max`, or let what "
          "holds it go on");
    LookAtMemory();
  }

  void LookAtMemory() {
    const uint64_t limit = figures_.budget.limit_bytes();
    const uint64_t for_rows = limit - base::KeptFrom(base::MemoryAccount::kIngest, limit);
    const bool refused = figures_.budget.IsNearlyFull();
    const uint64_t uncharged = figures_.budget.uncharged_bytes();
    const uint64_t held = figures_.budget.used_bytes() + uncharged;
    const uint64_t in_use = figures_.budget.in_use_bytes() + uncharged;
    if (!refused && Share(in_use, for_rows) <= kMemoryNearlyFull) return;
    const double full = 100 * Share(for_rows, limit);
    Add(State::kSlipping,
        fmt::format(
            "memory is {:.1f} % of its budget: {} (429)",
            100 * Share(refused ? held : in_use, limit),
            refused ? "rows are refused" : fmt::format("rows are refused from {:.1f} % on", full)),
        "raise `memory`, give long windows a `precision`, or keys that come and go a `ttl`");
  }

  void LookAtClock() {
    const bool apart = figures_.clock.behind_wall > log::LogClock::kStep ||
                       figures_.clock.behind_wall < -log::LogClock::kStep;
    if (apart && figures_.definition.clock == log::ClockMode::kWall)
      Add(State::kSlipping,
          fmt::format("the wall clock has stepped, {} away from the log's",
                      Span(std::chrono::abs(figures_.clock.behind_wall))),
          "set the machine's clock right; the log's follows slowly");
  }

  void LookAtTls(const TlsFigures& tls) {
    if (!tls.flight_problem.empty())
      Add(State::kStopped, "nobody listens for Flight: " + tls.flight_problem,
          "mend the TLS files; they are read again when they change");
    if (!tls.problem.empty())
      Add(State::kSlipping, "the TLS files are not in force: " + tls.problem,
          "mend them; they are read again when they change");
    if (const auto ending = EndingOf(tls))
      Add(tls.left < base::Duration(0) ? State::kStopped : State::kSlipping,
          std::string(ending->what), std::string(ending->next));
  }

  std::string Percentile() const {
    return fmt::format("p{:g}", figures_.definition.promise.percentile);
  }
  RecentSamples Recent(const base::Histogram& us) const { return figures_.recent.Of(us); }
  uint64_t RecentBatches() const { return Recent(figures_.end_to_end_us).count(); }
  // "p99 is 9 ms of 150 ms in the last 1m37s"
  std::string Measured(std::string_view of, const plan::StageVerdict& recent) const {
    using Seconds = std::chrono::seconds;
    const Seconds span = std::max(Seconds(1), std::chrono::round<Seconds>(figures_.recent.span));
    return fmt::format("{}{} is {} of {} in the last {}", Percentile(), of, Span(recent.measured),
                       Span(recent.given), base::FormatDuration(span));
  }

  // Of the promise, when it is kept or can't be judged.
  std::string PromiseFigures() const {
    const plan::StageVerdict& recent = promise_.recent.together;
    const plan::StageVerdict& ever = promise_.since_start.together;
    if (recent.state == StageState::kSlipped)
      return fmt::format("{} of {} recent {} is {} of {}, too few to judge by", Percentile(),
                         RecentBatches(), RecentBatches() == 1 ? "batch" : "batches",
                         Span(recent.measured), Span(recent.given));
    if (recent.state == StageState::kKept) return Measured("", recent);
    if (ever.state == StageState::kUnmeasured)
      return fmt::format("nothing measured yet of the promised {}", Span(ever.given));
    return fmt::format("no recent events; since the start {} is {} of {}", Percentile(),
                       Span(ever.measured), Span(ever.given));
  }

  // Of what is well.
  std::string Figures() const {
    std::string text = PromiseFigures();
    if (!figures_.tables.empty()) {
      base::Duration lag{0};
      for (const TableFigures& table : figures_.tables) lag = std::max(lag, table.lag);
      text +=
          fmt::format(", {} {} behind", base::Counted(figures_.tables.size(), "table"), Span(lag));
    }
    if (figures_.snapshots.recovery.count() > 0)
      text +=
          fmt::format(", a start would take {} of {}", Span(figures_.snapshots.recovery_estimate),
                      Span(figures_.snapshots.recovery));
    return text;
  }

  const StatusFigures& figures_;
  const JudgedPromise& promise_;
  StatusVerdict verdict_;
};

// Nothing when there are none.
template <typename Samples>
std::optional<base::Duration> TimeAt(const Samples& us, double quantile) {
  if (us.count() == 0) return std::nullopt;
  return base::Duration(static_cast<int64_t>(us.Quantile(quantile)));
}

// `time` tells of a histogram.
template <typename F>
plan::StageTimes StageTimesOf(const StatusFigures& figures, F time) {
  return {.ingest = time(figures.durable_us),
          .transform = time(figures.visible_us),
          .serve = time(figures.serve_us),
          .visible = time(figures.end_to_end_us)};
}

}  // namespace

std::string_view NameOf(State state) {
  switch (state) {
    case State::kHealthy: return "healthy";
    case State::kSlipping: return "slipping";
    case State::kStopped: return "stopped";
  }
  return "healthy";
}

JudgedPromise JudgePromise(const StatusFigures& figures, const plan::LatencyBudget& budget) {
  const auto recent = [&](const base::Histogram& us) {
    return TimeAt(figures.recent.Of(us), budget.quantile);
  };
  const auto since_start = [&](const base::Histogram& us) { return TimeAt(us, budget.quantile); };
  return {plan::Judge(budget, StageTimesOf(figures, recent)),
          plan::Judge(budget, StageTimesOf(figures, since_start))};
}

StatusVerdict VerdictOf(const StatusFigures& figures, const JudgedPromise& promise) {
  return Examination(figures, promise).Run();
}

}  // namespace headrace::watch

#include "watch/status_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/counts.h"
#include "base/time.h"

namespace headrace::watch {
namespace {

using State = StatusVerdict::State;

constexpr double kLogNearlyFull = 0.9;
// Rows are refused from 7/8 of a small budget on, and from 29/32 of a large one.
constexpr double kMemoryNearlyFull = 0.8;
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

class Examination {
 public:
  Examination(const StatusFigures& figures, const plan::PromiseVerdict& promise)
      : figures_(figures), promise_(promise) {}

  StatusVerdict Run() {
    LookAtLog();
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

  void LookAtTables() {
    for (const TableFigures& table : figures_.tables)
      if (table.state == "stopped" || table.state == "retrying")
        Add(table.state == "stopped" ? State::kStopped : State::kSlipping,
            fmt::format("table {} is {}, {} behind: {}", table.name,
                        table.state == "stopped" ? "stopped" : "trying again", Span(table.lag),
                        table.reason),
            table.state == "stopped"
                ? "mend that, then start the engine again: the log keeps its rows until then"
                : "it goes on by itself once that is mended: the log keeps its rows until then");
  }

  void LookAtSources() {
    for (const SourceFigures& source : figures_.sources)
      if (source.state == "stopped" || source.state == "retrying")
        Add(source.state == "stopped" ? State::kStopped : State::kSlipping,
            fmt::format("the source of {} is {}: {}", source.stream,
                        source.state == "stopped" ? "stopped" : "trying again", source.reason),
            fmt::format("look at the table in {}", source.folder));
  }

  void LookAtPromise() {
    using StageState = plan::StageVerdict::State;
    if (promise_.together.state == StageState::kUnmeasured) return LookAtServe();
    if (promise_.together.state != StageState::kSlipped) return;
    if (figures_.end_to_end_us.count() < kLeastMeasured) return;
    const auto longest =
        std::ranges::max_element(promise_.stages, {}, &plan::StageVerdict::measured);
    const auto stage = static_cast<plan::Stage>(longest - promise_.stages.begin());
    Add(State::kSlipping,
        fmt::format("{} is {} of {} since the start; the longest stage is {}, {} of {}",
                    Percentile(), Span(promise_.together.measured), Span(promise_.together.given),
                    plan::NameOf(stage), Span(longest->measured), Span(longest->given)),
        NextOf(stage));
  }

  // Where no row came in since the start.
  void LookAtServe() {
    const plan::StageVerdict& serve = promise_.stages[static_cast<size_t>(plan::Stage::kServe)];
    if (serve.state != plan::StageVerdict::State::kSlipped) return;
    if (figures_.serve_us.count() < kLeastMeasured) return;
    Add(State::kSlipping,
        fmt::format("{} of an answer is {} of {} since the start", Percentile(),
                    Span(serve.measured), Span(serve.given)),
        NextOf(plan::Stage::kServe));
  }

  std::string NextOf(plan::Stage stage) const {
    switch (stage) {
      case plan::Stage::kIngest:
        return fmt::format("a faster disk, or less beside it: fdatasync takes {} at p99",
                           Span(base::Duration(figures_.sync_us.Quantile(0.99))));
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
    const double log = Share(figures_.log.log_bytes, figures_.definition.log.bytes_max);
    if (log > kLogNearlyFull)
      Add(State::kSlipping,
          fmt::format("the log has {:.0f} % of its bytes_max{}{}", 100 * log,
                      figures_.retention.held_by.empty() ? "" : "; it keeps its rows because of: ",
                      figures_.retention.held_by),
          "at its limit rows are refused (507): raise `log: bytes_max`, or let what holds it go "
          "on");
    const double memory = Share(figures_.budget.used_bytes() + figures_.budget.uncharged_bytes(),
                                figures_.budget.limit_bytes());
    if (memory > kMemoryNearlyFull)
      Add(State::kSlipping, fmt::format("memory is {:.0f} % of its budget", 100 * memory),
          "rows are refused (429) from some 90 % on: raise `memory`, or give long windows a "
          "`precision`");
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
    if (tls.left < base::Duration(0))
      Add(State::kStopped, "the TLS certificate has expired: clients refuse it",
          "put a new one in its place");
    else if (tls.left < tls.notice)
      Add(State::kSlipping, "the TLS certificate expires soon", "put a new one in its place");
  }

  std::string Percentile() const {
    return fmt::format("p{:g}", figures_.definition.promise.percentile);
  }

  // Of what is well.
  std::string Figures() const {
    const plan::StageVerdict& together = promise_.together;
    std::string text =
        together.state == plan::StageVerdict::State::kUnmeasured
            ? fmt::format("nothing measured yet of the promised {}", Span(together.given))
            : fmt::format("{} is {} of {}", Percentile(), Span(together.measured),
                          Span(together.given));
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
  const plan::PromiseVerdict& promise_;
  StatusVerdict verdict_;
};

}  // namespace

std::string_view NameOf(State state) {
  switch (state) {
    case State::kHealthy: return "healthy";
    case State::kSlipping: return "slipping";
    case State::kStopped: return "stopped";
  }
  return "healthy";
}

StatusVerdict VerdictOf(const StatusFigures& figures, const plan::PromiseVerdict& promise) {
  return Examination(figures, promise).Run();
}

}  // namespace headrace::watch

// A history: lives that begin with recovery and end in a crash, a stop or a refusal; then a last
// one without faults, in which everything is sent again and all promises are held against the
// record.
#include "simulation/world.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "simulation/foreign_writer.h"
#include "wiring/definition_changes.h"

namespace headrace::simulation {

using base::ErrorCode;
using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;

namespace {

constexpr int64_t kBehindWallUs =
    40 * 86'400'000'000;                        // events begin this long ago, and stay in the past
constexpr uint64_t kSegmentBytes = 128U << 10;  // small, so that lives see new segments
constexpr int kStartsMax = 12;                  // of one life, each after the one before failed
constexpr env::MonotonicTime kAnswerWithin = std::chrono::seconds(30);

// Lines at error level that a life may write to which something was done. Any other fails the run.
constexpr std::array kErrorsOfFaults = {
    std::string_view("log.read_only"),  // a write or sync failed
    std::string_view("wiring.definition_not_logged"),
};
// Lines below error level that no fault explains.
constexpr std::array kNeverWarnings = {
    std::string_view("tables.publisher_stopped"),
};

}  // namespace

World::World(Script script)
    : script_(std::move(script)),
      random_(script_.seed),
      shape_(DrawShape(script_, random_)),
      scan_random_(script_.seed ^ 0x5CA9),
      definition_(
          PaymentsPipeline(shape_.clock, shape_.short_log ? LogKeeps::kMinutes : LogKeeps::kAll)) {
  const Faults first = script_.faults.empty() ? DrawFaults(shape_, random_) : script_.faults[0];
  machine_ = std::make_unique<SimulatedEnvironment>(random_(), first);
  now_us_ = machine_->clock().Wall().us - kBehindWallUs;
  using Way = Producer::Way;
  producers_ = {{.name = "till", .source = Source::kSequence},
                {.name = "web", .source = Source::kSequence, .way = Way::kHttp},
                {.name = "kiosk", .source = Source::kSequence},
                {.name = "app", .source = Source::kKey, .way = Way::kHttp},
                {.name = "van", .source = Source::kKey},
                {.name = "legacy", .source = Source::kNone}};
  base::SetLogSink([this](const base::LogLine& line) { OnLogLine(line); });
}

World::~World() {
  machine_->Crash();
  EndScan();
  front_.reset();
  core_.reset();
  base::SetLogSink({});
}

void World::Fail(std::string what) {
  if (!Failed()) outcome_.failure = fmt::format("life {}: {}", outcome_.lives, std::move(what));
}

void World::FailIf(const Record::Finding& finding) {
  if (finding) Fail(*finding);
}

bool World::MayRefuse() const {
  if (is_full_) return true;
  for (const auto& [kind, count] : machine_->injected())
    if (kind.starts_with("failed ") || kind == "full disk") return true;
  return false;
}

void World::OnLogLine(const base::LogLine& line) {
  if (warnings_ != nullptr) {
    if (line.level >= base::LogLevel::kWarning)
      warnings_->push_back(line.event + " " + line.fields);
    return;
  }
  if (machine_->crashed()) return;
  const auto is_in = [&](const auto& list) {
    return std::ranges::find(list, line.event) != list.end();
  };
  const bool is_error = line.level == base::LogLevel::kError;
  const bool explained = is_in(kErrorsOfFaults) && MayRefuse();
  if ((is_error && !explained) || is_in(kNeverWarnings))
    errors_.push_back(line.event + " " + line.fields);
}

wiring::CoreOptions World::Options() const {
  wiring::CoreOptions options;
  options.definition = definition_;
  options.data_folder = kData;
  options.log.segment_bytes = kSegmentBytes;
  options.log.reserve_bytes = 4U << 10;
  if (shape_.short_log) options.log.residue_bytes_max = 2U << 10;
  options.table_upkeep.checkpoint_every = 4;
  options.table_upkeep.log_retention = std::chrono::seconds(20);
  options.table_upkeep.log_retention_min = std::chrono::seconds(20);
  options.answers_file = std::string(kData) + "/answers.ndjson";
  return options;
}

void World::StartLife() {
  ++outcome_.lives;
  for (int attempt = 1; !core_ && !Failed(); ++attempt) {
    if (attempt > kStartsMax) return Fail("the engine does not come up again");
    std::optional<base::Error> error;
    const bool alive = machine_->Run([&] {
      auto core = wiring::Core::Start(*machine_, Options());
      if (core) {
        core_ = std::move(*core);
        front_ = std::make_unique<HttpFront>(
            *machine_, *core_,
            env::simulated::NetworkFaults{.break_share = shape_.broken_connections ? 0.02 : 0});
      } else {
        error = core.error();
      }
    });
    if (alive && !error) continue;
    if (alive && (!MayRefuse() || error->code() == ErrorCode::kCorruption))
      return Fail("start refused: " + error->ToString());
    EndLife();  // a crash inside recovery, or a disk that failed it: come up again
    if (attempt > 2) machine_->faults() = {};
  }
}

void World::CloseLife() {
  for (const auto& [name, visits] : machine_->crash_point_visits())
    outcome_.crash_point_visits[name] += visits;
  for (const auto& [kind, count] : machine_->injected()) outcome_.faults[kind] += count;
  if (machine_->injected().contains("crash point"))
    ++outcome_.crashed_at[machine_->faults().crash_point];
  outcome_.trace_hash = outcome_.trace_hash * 31 + machine_->trace_hash();
  outcome_.simulated += machine_->clock().Now();
}

void World::TakeLeave() {
  if (machine_->crashed()) return;
  const bool must_stop = machine_->faults().crash_point.starts_with("stop.");
  if (script_.leave && !must_stop) return machine_->Crash(*script_.leave);
  if (must_stop || random_() % 3 == 0) {  // cleanly; and then the power may still go
    machine_->Run([&] {
      EndScan();
      front_.reset();
      core_->Stop();
    });
    if (machine_->crashed() || random_() % 2 == 0) return;
    core_.reset();
  }
  machine_->Crash(random_() % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill);
}

void World::EndLife() {
  if (outcome_.lives == 1) {
    for (size_t kind = 0; kind < env::simulated::kOperations; ++kind)
      operations_[kind] += machine_->operations(static_cast<env::simulated::Operation>(kind));
    changes_ += machine_->changes();
  }
  if (front_ != nullptr && front_->broken() > 0)
    outcome_.faults["broken connection"] += front_->broken();
  CheckChange();
  EndScan();
  front_.reset();
  core_.reset();
  CloseLife();
  for (Producer& producer : producers_)
    for (Batch& batch : producer.batches) batch.under_way = 0;
  for (Producer& producer : producers_)
    if (producer.source == Source::kNone) producer.batches.clear();
  is_full_ = false;
  const auto lived = static_cast<size_t>(outcome_.lives);
  Faults next;
  if (lived < script_.faults.size()) {
    next = script_.faults[lived];
  } else if (outcome_.lives < static_cast<uint64_t>(script_.lives)) {
    next = script_.faults.empty() ? DrawFaults(shape_, random_) : Faults{};
  }
  machine_ = machine_->Reboot(random_(), next);
  // An administrator mends the clock; always when it is off by a day: to a start that is a day of
  // standing still, over which keys may be forgotten.
  const bool by_a_day = std::chrono::abs(wall_off_) > std::chrono::hours(12);
  if (wall_off_ != base::Duration(0) && (by_a_day || random_() % 2 == 0)) {
    machine_->StepWall(-wall_off_);
    wall_off_ = base::Duration(0);
  }
  clock_is_off_ = clock_is_off_ || wall_off_ != base::Duration(0);
}

void World::LiveOnce() {
  StartLife();
  if (!Failed() && script_.check == Script::Check::kEveryLife) CheckLog();
  if (Failed()) return;
  for (Producer& producer : producers_) {
    producer.away = random_() % 4 == 0;  // comes back in a later life, many epochs on
    if (producer.away || producer.source != Source::kSequence) continue;
    const uint64_t last = core_->LastSequence(*core_->StreamNamed(kStream), producer.name);
    uint64_t answered = 0;
    for (const Batch& batch : producer.answered) answered = std::max(answered, batch.sequence);
    if (last < answered || last >= producer.next_sequence)
      Fail(
          fmt::format("producer {}: sequence {} is said to be the last, {} is acknowledged, {} "
                      "would be next",
                      producer.name, last, answered, producer.next_sequence));
  }
  const uint64_t bursts = 2 + random_() % 3;
  for (uint64_t i = 0; i < bursts && !Failed() && !machine_->crashed(); ++i) {
    Burst();
    if (core_->log_status().read_only) break;  // for good: only a restart helps
    if (!machine_->crashed() && script_.quiet == Script::Quiet::kDrawn && random_() % 3 != 0)
      Quiet(std::chrono::seconds(10 + random_() % 200));
  }
  // The life ends in the middle of things: with batches under way, perhaps in a sync.
  for (Producer& producer : producers_)
    if (!Failed() && !machine_->crashed()) Send(producer);
  if (!machine_->crashed()) machine_->RunFor(std::chrono::microseconds(random_() % 3'000));
  if (!Failed()) TakeLeave();
}

void World::Burst() {
  const uint64_t turns = script_.turns_max / 4 + random_() % script_.turns_max;
  for (uint64_t turn = 0; turn < turns && !Failed() && !machine_->crashed(); ++turn) {
    Turn();
    Scan();
    if (!machine_->crashed()) machine_->RunFor(std::chrono::microseconds(random_() % 120'000));
    if (!machine_->crashed() && core_->log_status().read_only) {
      ++outcome_.faults["restart of a read-only log"];
      return;
    }
  }
}

void World::Turn() {
  Producer& producer = producers_[random_() % producers_.size()];
  switch (random_() % 20) {
    case 0: return shape_.duplicates ? SendAgain(producer) : Send(producer);
    case 1: return shape_.duplicates ? SendOutOfOrder(producer) : Send(producer);
    case 2:
    case 3: return Ask();
    case 4: return random_() % 4 == 0 ? LookAtLog() : Send(producer);
    case 5: return shape_.full_disk && random_() % 4 == 0 ? FullDisk() : Send(producer);
    case 6: return shape_.clock_steps && random_() % 4 == 0 ? StepClock() : Send(producer);
    case 7: return shape_.foreign_writer ? ForeignCommit() : Send(producer);
    case 9: return shape_.changes && random_() % 3 == 0 ? Change() : Send(producer);
    case 10: return shape_.vacuum && random_() % 4 == 0 ? Vacuum() : Send(producer);
    case 11: return random_() % 5 == 0 ? Replay() : Send(producer);
    case 8: return shape_.bit_flips && random_() % 12 == 0 ? FlipBitOnCopy() : Send(producer);
    default: return Send(producer);
  }
}

// Nobody sends; timers, commits and lateness go on.
void World::Quiet(std::chrono::seconds span) {
  machine_->RunFor(span);
  if (shape_.clock == ClockKind::kEvents) now_us_ += span.count() * 1'000'000;
}

void World::Undisturbed(const std::function<void()>& what) {
  if (machine_->crashed()) return;
  const Faults faults = std::exchange(machine_->faults(), {});
  machine_->Run(what);
  machine_->faults() = faults;
}

// The disk fills up and is emptied again. Afterwards rows must come in without a restart.
void World::FullDisk() {
  if (machine_->crashed() || is_full_) return;
  is_full_ = true;
  ++outcome_.faults["disk filled up"];
  machine_->faults().capacity_bytes = machine_->disk().used_bytes() + random_() % 60'000;
  machine_->faults().copies_on_write = random_() % 2 == 0;
  for (int i = 0; i < 30 && !machine_->crashed(); ++i) {
    Send(producers_[random_() % producers_.size()]);
    if (!machine_->crashed()) machine_->RunFor(std::chrono::microseconds(random_() % 400'000));
  }
  if (machine_->crashed()) return;
  machine_->faults().capacity_bytes = Faults{}.capacity_bytes;
  machine_->faults().copies_on_write = false;
  machine_->RunFor(std::chrono::seconds(5));
  if (machine_->crashed() || core_->log_status().read_only) return;
  is_full_ = false;
  ExpectProgress();
}

// Whatever was wrong is over: a batch comes in.
void World::ExpectProgress() {
  Producer& producer = producers_[0];
  if (shape_.failing_operations || producer.away) return;
  if (producer.batches.empty()) producer.batches.push_back(MakeBatch(producer));
  const uint64_t sequence = producer.batches.front().sequence;
  Submit(producer, producer.batches.front());
  const bool answered = Within(
      [&] { return producer.batches.empty() || producer.batches.front().sequence != sequence; });
  if (!answered && !machine_->crashed()) Fail("rows do not come in again though nothing is wrong");
}

bool World::Within(const std::function<bool()>& done) {
  const env::MonotonicTime deadline = machine_->clock().Now() + kAnswerWithin;
  machine_->RunUntil([&] { return done() || machine_->clock().Now() > deadline; });
  return !machine_->crashed() && done();
}

void World::StepClock() {
  using std::chrono::hours;
  // Those below ten seconds are followed, slowly.
  const auto small = std::chrono::seconds(1 + random_() % 9);
  const base::Duration steps[] = {hours(1), hours(-1), hours(24), hours(-24), small, -small};
  const base::Duration step = wall_off_ == base::Duration(0) ? steps[random_() % 6] : -wall_off_;
  machine_->StepWall(step);
  wall_off_ += step;
  ++outcome_.faults["wall clock step"];
}

void World::ForeignCommit() {
  // Views that are built from the table's files need those that we wrote.
  const bool compacts = random_() % 5 == 0 && !(shape_.changes && shape_.short_log);
  Undisturbed([&] {
    const std::string table = fmt::format("{}/tables/{}", kData, kStream);
    if (compacts) {
      const auto compacted = CompactForeign(*machine_, table, definition_->streams[0].schema(),
                                            ++foreign_compactions_);
      if (compacted && *compacted) ++outcome_.faults["compaction by another writer"];
      return;
    }
    const auto appended =
        AppendForeignRow(*machine_, table, definition_->streams[0].schema(), -1 - foreign_rows_);
    if (appended && *appended) {
      ++foreign_rows_;
      ++outcome_.faults["commit of another writer"];
    }
  });
}

// Removes every data file that the newest version does not name. A reader at work may lose one that
// it is about to open: there is none here.
void World::Vacuum() {
  if (machine_->crashed()) return;
  ++outcome_.faults["vacuum"];
  machine_->Run([&] {
    core_->VacuumTable(
        kStream, {.retain = base::Duration(0), .floor = tables::VacuumRequest::Floor::kWaived},
        [this](const base::Result<tables::VacuumReport>& report) {
          if (report || machine_->crashed() || MayRefuse()) return;
          const ErrorCode code = report.error().code();
          if (code != ErrorCode::kConflict && code != ErrorCode::kUnavailable)
            Fail("a vacuum failed: " + report.error().ToString());
        });
  });
}

// Somebody sends the refused rows again; those that are late come in, the broken ones do not.
void World::Replay() {
  if (machine_->crashed()) return;
  ++outcome_.faults["replay of dead letters"];
  record_.NoteReplayBegun();
  machine_->Run([&] {
    core_->ReplayDeadLetters(
        {.stream = kStream, .rule = {}, .after = {}, .limit = 100'000},
        [this, late = record_.late()](const base::Result<wiring::ReplayReport>& report) {
          if (report) {
            if (report->next) Fail("a replay ends before the last letter");
            // The residue of a short log holds next to nothing.
            if (!shape_.short_log) record_.NoteReplayed(late);
            outcome_.faults["dead letter came in"] += report->replayed;
            return;
          }
          if (machine_->crashed() || MayRefuse()) return;
          const ErrorCode code = report.error().code();
          if (code != ErrorCode::kConflict && code != ErrorCode::kUnavailable)
            Fail("a replay failed: " + report.error().ToString());
        });
  });
}

void World::LastReplay() {
  record_.NoteReplayBegun();
  std::vector<base::Result<wiring::ReplayReport>> told;
  for (size_t i = 0; i < 2 && !Failed(); ++i) {
    machine_->Run([&] {
      core_->ReplayDeadLetters({.stream = kStream, .rule = {}, .after = {}, .limit = 100'000},
                               [&](auto report) { told.push_back(std::move(report)); });
    });
    Within([&] { return told.size() > i; });
    if (told.size() == i) return Fail("a replay does not come to its end");
    if (!told[i]) return Fail("the last replay failed: " + told[i].error().ToString());
  }
  if (!shape_.short_log) record_.NoteReplayed(record_.late());
  if (told[1]->replayed != 0 ||
      told[1]->replayed_before != told[0]->replayed + told[0]->replayed_before)
    Fail(fmt::format("of {} rows that came in again, {} before, {} come in once more, {} before",
                     told[0]->replayed, told[0]->replayed_before, told[1]->replayed,
                     told[1]->replayed_before));
}

// Somebody applies another file, or goes back. What the service answers is the same of all.
void World::Change() {
  if (machine_->crashed()) return;
  ++outcome_.faults["change of definition"];
  const bool back = random_() % 4 == 0;
  evolved_ = evolved_ || random_() % 3 == 0;
  const auto next =
      PaymentsPipeline(shape_.clock, shape_.short_log ? LogKeeps::kMinutes : LogKeeps::kAll,
                       random_(), evolved_ ? ContractOf::kAfter : ContractOf::kBefore);
  machine_->Run([&] {
    const auto answered = [this](const base::Result<std::string>& begun) {
      OnChangeAnswered(begun);
    };
    if (back) {
      core_->changes().Rollback(answered);
    } else {
      core_->changes().Apply({.next = next, .from_now = {}, .since = {}}, answered);
    }
  });
}

void World::OnChangeAnswered(const base::Result<std::string>& begun) {
  if (begun || machine_->crashed() || MayRefuse()) return;
  const ErrorCode code = begun.error().code();
  const bool expected = code == ErrorCode::kConflict || code == ErrorCode::kFailedPrecondition;
  const bool refused = begun.error().message().starts_with("the change is refused");
  // There is no way back behind a field that was added.
  if (refused && evolved_ &&
      begun.error().message().find("field `channel` is gone") != std::string::npos)
    return;
  if (!expected || refused) Fail("a change is refused: " + begun.error().ToString());
}

void World::CheckChange() {
  if (core_ == nullptr || machine_->crashed() || MayRefuse()) return;
  const auto json = nlohmann::json::parse(core_->changes().ToJson());
  if (!json.contains("change") || json["change"]["state"] != "failed") return;
  // One that every life ended in is given up.
  if (json["change"]["begun"] == wiring::DefinitionChanges::kLivesMax) return;
  Fail("a change failed: " + json["change"].dump());
}

// Undisturbed it comes to its end.
void World::LastChange() {
  if (!shape_.changes || Failed()) return;
  const auto state = [&] {
    return nlohmann::json::parse(core_->changes().ToJson())
        .value("change", nlohmann::json{{"state", "none"}})["state"]
        .get<std::string>();
  };
  Change();
  if (!Within([&] { return state() != "building" && state() != "cutting_over"; }))
    Fail("a change does not come to its end");
  CheckChange();
}

// The last life has no faults: everything unanswered is sent again, then published.
void World::Drain() {
  StartLife();
  if (Failed()) return;
  for (Producer& producer : producers_) {
    producer.away = false;
    for (int attempt = 0; !producer.batches.empty() && !Failed(); ++attempt) {
      Submit(producer, producer.batches.front());
      const Batch* front = &producer.batches.front();
      const bool answered = Within([&] {
        return producer.batches.empty() || &producer.batches.front() != front ||
               front->under_way == 0;
      });
      if (!answered || attempt > 100) Fail("a producer is never answered");
    }
  }
  machine_->RunUntilIdle();
  if (!Failed()) LastReplay();
  std::optional<base::Result<void>> flushed;
  machine_->Run(
      [&] { core_->FlushTables([&](base::Result<void> result) { flushed = std::move(result); }); });
  Within([&] { return flushed.has_value(); });
  if (!flushed || !*flushed)
    Fail("tables are not flushed: " +
         (flushed ? flushed->error().ToString() : std::string("no answer")));
  LastChange();
}

Outcome World::Run() {
  while (outcome_.lives < static_cast<uint64_t>(script_.lives) && !Failed()) {
    LiveOnce();
    if (!Failed()) EndLife();
  }
  machine_->faults() = {};
  if (!Failed()) Drain();
  if (!Failed()) CheckLog();
  if (!Failed()) CheckTable();
  if (!Failed()) CheckAnswers();
  if (!Failed()) CheckDeadLetters();
  EndScan();
  front_.reset();
  if (!Failed() && !machine_->Run([&] { core_->Stop(); })) Fail("died without a fault");
  if (!Failed()) CheckLog();
  if (!Failed()) CheckTable();
  core_.reset();
  CloseLife();
  outcome_.acknowledged_rows = record_.acknowledged_rows();
  if (!errors_.empty()) Fail("unexpected line: " + errors_.front());
  return outcome_;
}

}  // namespace headrace::simulation

#include "wiring/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "columns/batch_codec.h"
#include "env/pages.h"
#include "log/catalogue.h"
#include "log/log_folder.h"
#include "log/snapshot_file.h"
#include "log/state_capture.h"
#include "pipeline/definition_diff.h"
#include "pipeline/views/view_restore.h"
#include "wiring/answer_clock.h"
#include "wiring/applier.h"
#include "wiring/stream_history.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using log::SnapshotSection;

// Epochs applied as one step during recovery.
constexpr size_t kRecoveryStep = 64;

Derived NewDerived(env::Environment& environment, base::MemoryBudget& budget,
                   const CoreOptions& options,
                   std::optional<pipeline::LoggedDefinition> logged = std::nullopt) {
  pipeline::LoggedDefinition standing = StandingAt(options.definition, logged);
  Derived derived{
      .views = std::make_unique<pipeline::ViewSet>(std::move(standing.definition), budget,
                                                   environment.clock(), std::move(standing.since)),
      .publishers =
          std::make_unique<TablePublishers>(environment, budget, *options.definition,
                                            options.data_folder + "/tables", options.table_upkeep),
      .dead_letters = std::make_unique<DeadLetters>(),
      .sources = std::make_unique<SourcePositions>(),
      .logged = std::move(logged),
      .streams = {}};
  derived.publishers->ReadFrom(*derived.views);
  return derived;
}

void BindStream(const std::string& name, base::StreamId id, Derived& derived) {
  if (const auto number = derived.views->StreamNumber(name)) derived.views->BindStream(*number, id);
  derived.publishers->Bind(name, id);
  derived.streams[name] = id;
}

// A definition that this version refuses was given up, or is about to be.
std::optional<pipeline::LoggedDefinition> Decode(const log::ControlEntry& entry, base::EpochId at) {
  auto logged = pipeline::DecodeEntry(entry, at);
  if (logged) return std::move(*logged);
  base::LogWarning("wiring.definition_not_read", {{"definition", entry.name},
                                                  {"epoch", std::to_string(at.value)},
                                                  {"error", logged.error().ToString()}});
  return std::nullopt;
}

constexpr size_t kIdDigits = 16;

// The snapshot's section: an entry's name and payload.
std::optional<pipeline::LoggedDefinition> DecodeSection(std::span<const uint8_t> bytes) {
  if (bytes.size() <= kIdDigits) return std::nullopt;
  log::ControlEntry entry{log::ControlEntry::Kind::kDefinition, {}, {}};
  entry.name.assign(bytes.begin(), bytes.begin() + kIdDigits);
  entry.payload.assign(bytes.begin() + kIdDigits, bytes.end());
  return Decode(entry, {0});
}

// What a snapshot gives: everything derived, as of its parts' epochs, and the log's own state.
struct Loaded {
  Derived derived;
  log::SnapshotEnd end;
  std::vector<uint8_t> log_state;
  base::MemoryCharge log_state_charge;
  std::vector<std::string> missing;  // views that it lacks
};

// Sections as wiring::Snapshotter writes them. Views are restored as they are read, as they are
// large; the rest is small, and waits for the streams' ids.
class SnapshotLoader {
 public:
  SnapshotLoader(env::Environment& environment, base::MemoryBudget& budget,
                 const CoreOptions& options, const std::optional<pipeline::LoggedDefinition>& known)
      : environment_(environment), budget_(budget), options_(options), known_(known) {}

  Result<Loaded> Load(log::SnapshotReader& reader) && {
    loaded_.end = reader.end();
    if (options_.progress != nullptr)
      options_.progress->Begin(log::RecoveryPhase::kSnapshot, loaded_.end.bytes);
    while (true) {
      HR_TRY(const auto block, reader.Next());
      if (!block) break;
      HR_TRY_VOID(Take(*block));
      if (options_.progress == nullptr) continue;
      options_.progress->Note(block->payload.size(), 0);
      HR_TRY_VOID(options_.progress->Check());
    }
    HR_TRY_VOID(Finish());
    return std::move(loaded_);
  }

 private:
  Result<void> Take(const log::SnapshotReader::Block& block) {
    switch (block.section) {
      case SnapshotSection::kDefinition:
        captured_ = DecodeSection(block.payload);
        logged_ = known_ ? known_ : captured_;
        if (restore_ && !known_ && NamesStarted(block.payload))
          loaded_.derived.logged = StandingAt(options_.definition, std::nullopt);
        return {};
      case SnapshotSection::kViewLayout: {
        loaded_.derived = NewDerived(environment_, budget_, options_, std::move(logged_));
        HR_TRY(restore_, pipeline::ViewRestore::Begin(
                             *loaded_.derived.views, block.payload, loaded_.end.through,
                             captured_ ? captured_->definition.get() : nullptr));
        return {};
      }
      case SnapshotSection::kViews:
        if (!restore_) return Fail(ErrorCode::kCorruption, "rows of views before their layout");
        return restore_->Add(block.payload);
      case SnapshotSection::kViewClock: {
        columns::ByteReader in(block.payload);
        HR_TRY(view_clock_.us, in.I64());
        return {};
      }
      case SnapshotSection::kDeadLettersByEpoch:
      case SnapshotSection::kDeadLetters:
        if (!restore_) return Fail(ErrorCode::kCorruption, "dead letters before the views");
        return loaded_.derived.dead_letters->Decode(block.payload);
      case SnapshotSection::kSources:
        if (!restore_) return Fail(ErrorCode::kCorruption, "positions of sources before the views");
        return loaded_.derived.sources->Decode(block.payload);
      case SnapshotSection::kPublisher:
        publishers_.assign(block.payload.begin(), block.payload.end());
        return {};
      case SnapshotSection::kLogState:
        ChargeLogState(block.payload.size());
        loaded_.log_state.assign(block.payload.begin(), block.payload.end());
        return {};
      default: return {};
    }
  }

  // As a capture is while it is made. A start is not refused for it.
  void ChargeLogState(uint64_t bytes) {
    budget_.Force(base::MemoryAccount::kLog, static_cast<int64_t>(bytes));
    loaded_.log_state_charge = base::MemoryCharge(&budget_, base::MemoryAccount::kLog, bytes);
  }

  // Snapshots of earlier versions have the definition's id alone, behind the views.
  bool NamesStarted(std::span<const uint8_t> bytes) const {
    return std::string(bytes.begin(), bytes.end()) == options_.definition->id.ToString();
  }

  Result<void> Finish() {
    if (!restore_ || loaded_.log_state.empty())
      return Fail(ErrorCode::kCorruption, "a snapshot lacks its views or the log's state");
    HR_TRY_VOID(restore_->Finish(loaded_.end.after, view_clock_));
    loaded_.missing = restore_->missing();
    HR_TRY(const auto streams, log::StreamsOf(loaded_.log_state));
    for (const log::StreamEntry& stream : streams)
      BindStream(stream.name, stream.id, loaded_.derived);
    HR_TRY_VOID(loaded_.derived.publishers->Restore(publishers_));
    for (const log::StreamEntry& stream : streams)
      loaded_.derived.publishers->NoteSchema(stream.name, stream.schema);
    return {};
  }

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const CoreOptions& options_;
  const std::optional<pipeline::LoggedDefinition>& known_;  // in force, if a try has found it out
  std::optional<pipeline::LoggedDefinition> captured_;      // in force when it was taken
  std::optional<pipeline::LoggedDefinition> logged_;
  Loaded loaded_;
  std::optional<pipeline::ViewRestore> restore_;
  base::Timestamp view_clock_;
  std::vector<uint8_t> publishers_;
};

class CoreRecovery {
 public:
  CoreRecovery(env::Environment& environment, base::MemoryBudget& budget,
               const CoreOptions& options)
      : environment_(environment),
        budget_(budget),
        options_(options),
        clock_floor_(log::ClockMark::ReadFloor(environment, ClockMarkPath(options.data_folder))) {}

  Result<Recovered> Run() {
    HR_TRY_VOID(CheckUnlocked());
    auto log_id = log::ReadLogId(environment_.files(), LogFolder(options_));
    std::vector<log::SnapshotName> snapshots;
    if (log_id) {
      HR_TRY(snapshots, log::ListSnapshots(environment_.files(), SnapshotFolder(options_)));
    }
    for (const log::SnapshotName& snapshot : snapshots) {
      const bool known = known_.has_value();
      auto recovered = FromSnapshot(snapshot.path, *log_id);
      // What is in force was only found at the log's end.
      if (!recovered && !known && known_) recovered = FromSnapshot(snapshot.path, *log_id);
      if (recovered) return recovered;
      const bool not_read = !loaded_whole_ && recovered.error().code() == ErrorCode::kIoError;
      if (!not_read && !IsAboutSnapshot(recovered.error())) return recovered;
      // Damage that shows once the snapshot is loaded is the log's: the snapshot is good, and
      // needed when the log has been mended.
      if (loaded_whole_ && recovered.error().code() == ErrorCode::kCorruption) return recovered;
      PassOver(snapshot.path, recovered.error());
    }
    auto whole = FromLog(NewDerived(environment_, budget_, options_, known_), {}, {});
    // What is in force was only found at the log's end.
    if (!whole && known_ && IsAboutSnapshot(whole.error()))
      whole = FromLog(NewDerived(environment_, budget_, options_, known_), {}, {});
    if (!whole && !passed_over_.empty())
      return Fail(std::move(whole).error().With("snapshots", passed_over_));
    return whole;
  }

 private:
  // Another snapshot, or none, may do.
  static bool IsAboutSnapshot(const base::Error& error) {
    return error.code() == ErrorCode::kConflict || error.code() == ErrorCode::kFailedPrecondition ||
           error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kCorruption ||
           error.code() == ErrorCode::kNotFound;
  }

  // Before a large snapshot is read for nothing.
  Result<void> CheckUnlocked() {
    HR_TRY_VOID(environment_.files().CreateFolders(LogFolder(options_)));
    HR_TRY(const auto lock,
           environment_.files().Lock(LogFolder(options_) + "/" + std::string(log::kLockName)));
    return {};
  }

  // A damaged one is put aside, so that it does not count as the one before the newest.
  void PassOver(const std::string& path, const base::Error& error) {
    if (error.code() == ErrorCode::kCorruption)
      (void)environment_.files().Rename(path, path + ".damaged");
    ++figures_.passed_over;
    passed_over_ += (passed_over_.empty() ? "" : "; ") + error.ToString();
    base::LogWarning("wiring.snapshot_not_used", {{"file", path}, {"reason", error.ToString()}});
  }

  // The rows take about as much memory as the snapshot has bytes; half of what is left at most, as
  // there is more than rows.
  std::unique_ptr<env::PagesAhead> TakeAhead(uint64_t snapshot_bytes) const {
    constexpr uint64_t kWorthwhileBytes = 64ULL << 20;
    if (snapshot_bytes < kWorthwhileBytes) return nullptr;
    const uint64_t used = budget_.used_bytes() + budget_.uncharged_bytes();
    const uint64_t left = budget_.limit_bytes() - std::min(used, budget_.limit_bytes());
    return std::make_unique<env::PagesAhead>(std::min(snapshot_bytes, left / 2));
  }

  Result<Recovered> FromSnapshot(const std::string& path, base::LogId log_id) {
    const env::MonotonicTime begin = environment_.clock().Now();
    loaded_whole_ = false;
    HR_TRY(auto reader, log::SnapshotReader::Open(environment_.files(), path, log_id));
    auto ahead = TakeAhead(reader.end().bytes);
    auto loaded = SnapshotLoader(environment_, budget_, options_, known_).Load(reader);
    ahead.reset();
    if (!loaded) return Fail(std::move(loaded).error());
    loaded_whole_ = true;
    figures_.snapshot = path;
    figures_.snapshot_bytes = loaded->end.bytes;
    figures_.after = loaded->end.after;
    figures_.load_time = environment_.clock().Now() - begin;
    auto recovered = FromLog(std::move(loaded->derived), {loaded->end.after, loaded->log_state},
                             loaded->missing);
    if (!recovered) figures_ = {.passed_over = figures_.passed_over};
    return recovered;
  }

  // `missing`: views that have no state yet.
  Result<Recovered> FromLog(Derived derived, const log::ResumePoint& resume,
                            const std::vector<std::string>& missing) {
    const env::MonotonicTime begin = environment_.clock().Now();
    last_entry_.reset();
    std::vector<log::EpochRef> step;
    const auto on_recovered = [&](const log::Epoch& epoch) -> Result<void> {
      HR_TRY_VOID(Note(epoch, derived));
      figures_.replayed_rows += epoch.row_count();
      for (const log::StreamRejects& rejects : epoch.rejects)
        figures_.replayed_refused += rejects.rows.size();
      step.push_back(std::make_shared<const log::Epoch>(epoch));
      if (step.size() >= kRecoveryStep) derived.views->Apply(std::exchange(step, {}));
      return {};
    };
    log::LogOptions log = options_.log;
    log.clock_floor = clock_floor_;
    HR_TRY(auto sequencer, log::Sequencer::Open(environment_, budget_, LogFolder(options_), log,
                                                resume, on_recovered));
    derived.views->Apply(step);
    figures_.replay_time = environment_.clock().Now() - begin;
    if (last_entry_) derived.logged = Decode(last_entry_->entry, last_entry_->epoch);
    pipeline::LoggedDefinition standing = StandingAt(options_.definition, derived.logged);
    HR_TRY_VOID(Stand(standing, !missing.empty(), sequencer->status().durable, derived));
    return Recovered{std::move(derived), std::move(sequencer), clock_floor_, figures_,
                     std::move(standing)};
  }

  // Step 3.
  Result<void> Stand(const pipeline::LoggedDefinition& standing, bool incomplete,
                     base::EpochId newest, Derived& derived) {
    pipeline::ViewSet& views = *derived.views;
    const pipeline::LoggedDefinition current = views.current();
    if (!incomplete && current.definition->id == standing.definition->id &&
        current.since == standing.since)
      return {};
    for (const pipeline::ViewDefinition& view : standing.definition->views) {
      if (views.NumberOf(*standing.definition, view.stream)) continue;
      const std::string& stream = standing.definition->streams[view.stream].name;
      known_ = derived.logged;
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("the derived stream {} of view {} was not there at the snapshot: the "
                              "log has to be read whole",
                              stream, view.name));
    }
    environment_.CrashPoint("change.start_build");
    const auto needed = views.BeginChange(standing.definition, standing.since);
    std::map<size_t, base::EpochId> streams;  // of the definition, and what is not wanted of it
    for (const size_t view : needed.views) {
      const pipeline::ViewDefinition& of = standing.definition->views[view];
      const base::EpochId after = pipeline::SinceOf(standing.since, of.name);
      const auto [known, first] = streams.emplace(of.stream, after);
      if (!first) known->second = std::min(known->second, after);
      figures_.built_views.push_back(of.name);
    }
    for (const auto& [stream, after] : streams) {
      if (standing.definition->DependsOnOtherRows(stream)) {
        known_ = derived.logged;
        return Fail(ErrorCode::kFailedPrecondition,
                    fmt::format("views of stream {}, whose rows depend on others, were changed "
                                "after the snapshot: the log has to be read whole",
                                standing.definition->streams[stream].name));
      }
      auto built = BuildFrom(*standing.definition, stream, after, newest, derived);
      // Once more as what is in force: the snapshot may have it, as it was kept up, and lacks no
      // room for the rest.
      if (!built &&
          (current.definition->id != standing.definition->id || current.since != standing.since))
        known_ = derived.logged;
      if (!built)
        return Fail(std::move(built).error().With(
            "views", fmt::format("{}", fmt::join(figures_.built_views, ", "))));
    }
    views.CutOver();
    environment_.CrashPoint("change.start_built");
    return {};
  }

  Result<void> BuildFrom(const pipeline::PipelineDefinition& definition, size_t stream,
                         base::EpochId after, base::EpochId newest, Derived& derived) {
    const auto id = derived.streams.find(definition.streams[definition.RootOf(stream)].name);
    if (id == derived.streams.end()) return {};
    HR_TRY(const auto history, StreamHistory::Open(environment_, budget_,
                                                   {.definition = definition,
                                                    .number = stream,
                                                    .id = id->second,
                                                    .after = after,
                                                    .data_folder = options_.data_folder}));
    const auto number = derived.views->NumberOf(definition, stream);
    while (true) {
      HR_TRY_VOID(CheckMemory(derived));
      HR_TRY(auto rows, history->Next(newest));
      if (!rows) return {};
      rows->stream = *number;
      derived.views->Apply({}, &*rows);
      figures_.built_rows += rows->rows.rows();
      if (options_.progress == nullptr) continue;
      options_.progress->Note(0, rows->rows.rows());
      HR_TRY_VOID(options_.progress->Check());
    }
  }

  Result<void> CheckMemory(const Derived& derived) const {
    const uint64_t used = budget_.used_bytes() + budget_.uncharged_bytes();
    if (used < budget_.limit_bytes()) return {};
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("the views do not fit into the memory: after {} rows of history those that are "
                    "built have {} bytes, and {} of {} bytes are used; raise `memory`, use "
                    "`precision` or shorter windows",
                    figures_.built_rows, derived.views->building().bytes, used,
                    budget_.limit_bytes()));
  }

  Result<void> Note(const log::Epoch& epoch, Derived& derived) {
    for (const log::ControlEntry& entry : epoch.controls) {
      if (entry.kind == log::ControlEntry::Kind::kDefinition) last_entry_ = {epoch.id, entry};
      if (entry.kind != log::ControlEntry::Kind::kStream) continue;
      HR_TRY(const log::StreamEntry stream, log::DecodeStreamEntry(entry.name, entry.payload));
      BindStream(stream.name, stream.id, derived);
    }
    HR_TRY_VOID(derived.dead_letters->Note(epoch));
    HR_TRY_VOID(derived.sources->Note(epoch));
    return derived.publishers->NoteDurable(epoch);
  }

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const CoreOptions& options_;
  const log::ClockFloor clock_floor_;
  StartFigures figures_;
  struct Entry {
    base::EpochId epoch;
    log::ControlEntry entry;
  };
  std::optional<Entry> last_entry_;                  // of a definition, in what was replayed
  std::optional<pipeline::LoggedDefinition> known_;  // in force, as a try has found out
  bool loaded_whole_ = false;                        // the last snapshot that was tried
  std::string passed_over_;
};

}  // namespace

pipeline::LoggedDefinition StandingAt(const pipeline::PipelineRef& started,
                                      const std::optional<pipeline::LoggedDefinition>& logged) {
  using Origin = pipeline::LoggedDefinition::Origin;
  pipeline::LoggedDefinition standing{
      .definition = started, .since = {}, .started = started->id, .before = {}};
  if (!logged) return standing;
  const bool same = logged->definition->id == started->id;
  if (!same && logged->origin == Origin::kApplied && logged->started == started->id) return *logged;
  standing.before = same ? logged->before : logged->definition->id;
  if (same) {
    standing.since = logged->since;
    return standing;
  }
  for (const auto& view : Compare(*logged->definition, *started).views)
    if (const base::EpochId since = pipeline::SinceOf(logged->since, view.name);
        view.difference == pipeline::ChangeKind::kUnchanged && since.value > 0)
      standing.since[view.name] = since;
  return standing;
}

Result<Recovered> RecoverCore(env::Environment& environment, base::MemoryBudget& budget,
                              const CoreOptions& options) {
  HR_TRY(Recovered recovered, CoreRecovery(environment, budget, options).Run());
  const log::LogStatus status = recovered.sequencer->status();
  const StartFigures& figures = recovered.figures;
  base::LogInfo("wiring.recovered",
                {{"log", status.log.ToString()},
                 {"epoch", std::to_string(status.durable.value)},
                 {"rows", std::to_string(status.rows_accepted)},
                 {"snapshot_bytes", std::to_string(figures.snapshot_bytes)},
                 {"after_epoch", std::to_string(figures.after.value)},
                 {"load_ms", std::to_string(figures.load_time.count() / 1'000'000)},
                 {"replayed_rows", std::to_string(figures.replayed_rows)},
                 {"built_rows", std::to_string(figures.built_rows)},
                 {"replay_ms", std::to_string(figures.replay_time.count() / 1'000'000)}});
  return recovered;
}

}  // namespace headrace::wiring

#include "wiring/recovery.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "columns/batch_codec.h"
#include "log/catalogue.h"
#include "log/log_folder.h"
#include "log/snapshot_file.h"
#include "log/state_capture.h"
#include "pipeline/views/view_restore.h"
#include "wiring/answer_clock.h"
#include "wiring/applier.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using log::SnapshotSection;

// Epochs applied as one step during recovery.
constexpr size_t kRecoveryStep = 64;

Derived NewDerived(env::Environment& environment, base::MemoryBudget& budget,
                   const CoreOptions& options) {
  return {
      .views = std::make_unique<pipeline::ViewSet>(options.definition, budget, environment.clock()),
      .publishers = std::make_unique<TablePublishers>(environment, budget, *options.definition,
                                                      options.data_folder + "/tables"),
      .dead_letters = std::make_unique<DeadLetters>(),
      .logged_definition = {}};
}

void BindStream(const pipeline::PipelineDefinition& definition, const std::string& name,
                base::StreamId id, Derived& derived) {
  if (const auto index = definition.StreamNamed(name);
      index && !definition.streams[*index].derived())
    derived.views->BindStream(*index, id);
  derived.publishers->Bind(name, id);
}

std::string TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What a snapshot gives: everything derived, as of its parts' epochs, and the log's own state.
struct Loaded {
  Derived derived;
  log::SnapshotEnd end;
  std::vector<uint8_t> log_state;
};

// Sections as wiring::Snapshotter writes them. Views are restored as they are read, as they are
// large; the rest is small, and waits for the streams' ids.
class SnapshotLoader {
 public:
  SnapshotLoader(Derived derived, const CoreOptions& options)
      : definition_(*options.definition),
        progress_(options.progress),
        loaded_{.derived = std::move(derived), .end = {}, .log_state = {}} {}

  Result<Loaded> Load(log::SnapshotReader& reader) && {
    loaded_.end = reader.end();
    if (progress_ != nullptr) progress_->Begin(log::RecoveryPhase::kSnapshot, loaded_.end.bytes);
    while (true) {
      HR_TRY(const auto block, reader.Next());
      if (!block) break;
      HR_TRY_VOID(Take(*block));
      if (progress_ == nullptr) continue;
      progress_->Note(block->payload.size(), 0);
      HR_TRY_VOID(progress_->Check());
    }
    HR_TRY_VOID(Finish());
    return std::move(loaded_);
  }

 private:
  Result<void> Take(const log::SnapshotReader::Block& block) {
    switch (block.section) {
      case SnapshotSection::kViewLayout: {
        HR_TRY(restore_, pipeline::ViewRestore::Begin(*loaded_.derived.views, block.payload));
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
      case SnapshotSection::kDefinition:
        loaded_.derived.logged_definition = TextOf(block.payload);
        return {};
      case SnapshotSection::kDeadLetters:
        return loaded_.derived.dead_letters->Decode(block.payload);
      case SnapshotSection::kPublisher:
        publishers_.assign(block.payload.begin(), block.payload.end());
        return {};
      case SnapshotSection::kLogState:
        loaded_.log_state.assign(block.payload.begin(), block.payload.end());
        return {};
      default: return {};
    }
  }

  Result<void> Finish() {
    if (!restore_ || loaded_.log_state.empty())
      return Fail(ErrorCode::kCorruption, "a snapshot lacks its views or the log's state");
    restore_->Finish(loaded_.end.after, view_clock_);
    HR_TRY(const auto streams, log::StreamsOf(loaded_.log_state));
    for (const log::StreamEntry& stream : streams)
      BindStream(definition_, stream.name, stream.id, loaded_.derived);
    return loaded_.derived.publishers->Restore(publishers_);
  }

  const pipeline::PipelineDefinition& definition_;
  log::RecoveryProgress* const progress_;  // may be null
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
      auto recovered = FromSnapshot(snapshot.path, *log_id);
      if (recovered) return recovered;
      if (!IsAboutSnapshot(recovered.error())) return recovered;
      // Damage that shows once the snapshot is loaded is the log's: the snapshot is good, and
      // needed when the log has been mended.
      if (loaded_whole_ && recovered.error().code() == ErrorCode::kCorruption) return recovered;
      PassOver(snapshot.path, recovered.error());
    }
    auto whole = FromLog(NewDerived(environment_, budget_, options_), {});
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

  Result<Recovered> FromSnapshot(const std::string& path, base::LogId log_id) {
    const env::MonotonicTime begin = environment_.clock().Now();
    loaded_whole_ = false;
    HR_TRY(auto reader, log::SnapshotReader::Open(environment_.files(), path, log_id));
    auto loaded =
        SnapshotLoader(NewDerived(environment_, budget_, options_), options_).Load(reader);
    if (!loaded) return Fail(std::move(loaded).error());
    loaded_whole_ = true;
    figures_.snapshot = path;
    figures_.snapshot_bytes = loaded->end.bytes;
    figures_.after = loaded->end.after;
    figures_.load_time = environment_.clock().Now() - begin;
    auto recovered = FromLog(std::move(loaded->derived), {loaded->end.after, loaded->log_state});
    if (!recovered) figures_ = {.passed_over = figures_.passed_over};
    return recovered;
  }

  Result<Recovered> FromLog(Derived derived, const log::ResumePoint& resume) {
    const env::MonotonicTime begin = environment_.clock().Now();
    std::vector<log::EpochRef> step;
    const auto on_recovered = [&](const log::Epoch& epoch) -> Result<void> {
      HR_TRY_VOID(Note(epoch, derived));
      figures_.replayed_rows += RowsIn(epoch);
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
    return Recovered{std::move(derived), std::move(sequencer), clock_floor_, figures_};
  }

  Result<void> Note(const log::Epoch& epoch, Derived& derived) {
    for (const log::ControlEntry& entry : epoch.controls) {
      if (entry.kind == log::ControlEntry::Kind::kDefinition)
        derived.logged_definition = entry.name;
      if (entry.kind != log::ControlEntry::Kind::kStream) continue;
      HR_TRY(const log::StreamEntry stream, log::DecodeStreamEntry(entry.name, entry.payload));
      BindStream(*options_.definition, stream.name, stream.id, derived);
    }
    derived.dead_letters->Note(epoch);
    return derived.publishers->NoteDurable(epoch);
  }

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const CoreOptions& options_;
  const log::ClockFloor clock_floor_;
  StartFigures figures_;
  bool loaded_whole_ = false;  // the last snapshot that was tried
  std::string passed_over_;
};

}  // namespace

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
                 {"replay_ms", std::to_string(figures.replay_time.count() / 1'000'000)}});
  return recovered;
}

}  // namespace headrace::wiring

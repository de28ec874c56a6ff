// How a core starts:
//  1. The log is opened and recovered; each epoch goes to the state, the dead letters and the
//  publishers as it did when it was new.
//  2. The pipeline's streams get their ids; a definition that the log does not name last is logged.
//  3. The sequencer begins to accept; each durable epoch goes to the applier and to the publishers.
#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "env/process_memory.h"
#include "log/catalogue.h"
#include "log/log_clock.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "watch/status_document.h"
#include "wiring/answer_file.h"
#include "wiring/applier.h"
#include "wiring/dead_letters.h"
#include "wiring/end_to_end.h"
#include "wiring/engine.h"
#include "wiring/held_batches.h"
#include "wiring/table_publishers.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// Epochs applied as one step during recovery.
constexpr size_t kRecoveryStep = 64;

// "Now" under `clock: wall` for answers; the sequencer has its own for epochs.
class SharedLogClock {
 public:
  SharedLogClock(env::Clock& clock, base::Timestamp floor)
      : clock_(clock), log_clock_(floor, clock.Now(), clock.Wall()) {}
  base::Timestamp Now() {
    const std::lock_guard lock(mutex_);
    return log_clock_.Read(clock_.Now(), clock_.Wall());
  }

 private:
  env::Clock& clock_;
  std::mutex mutex_;
  log::LogClock log_clock_;
};

// Blocks a thread until `done` of some asynchronous step ran. Never used in simulation.
void WaitFor(const std::function<void(std::function<void()>)>& begin) {
  std::mutex mutex;
  std::condition_variable changed;
  bool finished = false;
  begin([&] {
    const std::lock_guard lock(mutex);
    finished = true;
    changed.notify_one();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return finished; });
}

class RunningCore final : public Core {
 public:
  RunningCore(env::Environment& environment, CoreOptions options)
      : environment_(environment),
        options_(std::move(options)),
        definition_(options_.definition),
        budget_(definition_->memory_bytes),
        views_(definition_, budget_, environment.clock()),
        publishers_(environment, budget_, *definition_, options_.data_folder + "/tables"),
        held_([this] { return applier_->backlog_rows() > Applier::kBacklogRowsMax; },
              [this](columns::EventBatch batch, log::AckCallback done) {
                sequencer_->Submit(std::move(batch), std::move(done));
              }) {}

  ~RunningCore() override { publishers_.Close(); }

  Result<void> Open() {
    HR_TRY_VOID(environment_.files().CreateFolders(options_.data_folder));
    HR_TRY_VOID(Recover());
    HR_TRY_VOID(BindStreams());
    HR_TRY(reader_, log::LogReader::Open(environment_, LogFolder()));
    HR_TRY_VOID(OpenAnswers());
    HR_TRY_VOID(publishers_.Start(LogFolder(), [this](log::ControlEntry entry, auto done) {
      sequencer_->Append(std::move(entry), std::move(done));
    }));
    applier_ = std::make_unique<Applier>(
        environment_, views_,
        [this](base::EpochId epoch, base::Timestamp at) { OnVisible(epoch, at); });
    sequencer_->Start([this](log::EpochRef epoch) { OnDurable(std::move(epoch)); });
    LogDefinition();
    return {};
  }

  void Submit(columns::EventBatch batch, log::AckCallback done) override {
    const env::MonotonicTime accepted = environment_.clock().Now();
    held_.Take(std::move(batch),
               [this, accepted, done = std::move(done)](Result<log::Acknowledgement> ack) mutable {
                 if (ack && ack->accepted > 0)
                   end_to_end_.NoteDurable(ack->epoch, accepted, environment_.clock().Now());
                 done(std::move(ack));
               });
  }

  serving::AnswerService& answers() override { return *answers_; }
  base::MemoryBudget& budget() override { return budget_; }
  const pipeline::PipelineDefinition& definition() const override { return *definition_; }
  uint64_t LastSequence(const std::string& producer) const override {
    return sequencer_->LastSequence(producer);
  }
  log::LogStatus log_status() const override { return sequencer_->status(); }
  base::EpochId visible() const override { return views_.visible(); }

  Result<base::StreamId> StreamNamed(const std::string& name) const override {
    const auto index = definition_->StreamNamed(name);
    if (!index)
      return Fail(ErrorCode::kNotFound,
                  fmt::format("no stream `{}` in pipeline {}", name, definition_->name));
    return stream_ids_[*index];
  }

  std::string StatusJson() const override { return watch::StatusJson(Figures()); }
  std::string MetricsText() const override { return watch::StatusMetrics(Figures()); }

  Result<std::string> DeadLettersJson(const std::string& stream, uint64_t after,
                                      uint64_t limit) const override {
    if (!stream.empty()) HR_TRY_VOID(StreamNamed(stream));
    return dead_letters_.ToJson(
        *reader_, [this](base::StreamId id) { return Described(id); }, stream, {after}, limit);
  }

  Result<void> CorruptForDemonstration(const std::string& view,
                                       const columns::KeyBytes& key) override {
    const auto index = definition_->ViewNamed(view);
    if (!index) return Fail(ErrorCode::kNotFound, fmt::format("no view `{}`", view));
    return views_.CorruptForDemonstration(*index, key);
  }

  void FlushTables(std::function<void(Result<void>)> done) override {
    publishers_.Flush(std::move(done));
  }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    held_.Close();
    WaitFor([this](std::function<void()> done) {
      WhenVisible(sequencer_->status().durable, std::move(done));
    });
    WaitFor([this](std::function<void()> done) {
      FlushTables([done = std::move(done)](const Result<void>& flushed) {
        if (!flushed)
          base::LogWarning("wiring.table_not_flushed", {{"error", flushed.error().ToString()}});
        done();
      });
    });
    sequencer_->Stop();
    publishers_.Close();
    if (answer_file_) answer_file_->Flush();
  }

 private:
  std::string LogFolder() const { return options_.data_folder + "/log"; }

  std::string NameOf(base::StreamId id) const { return Described(id).name; }

  DeadLetters::Stream Described(base::StreamId id) const {
    for (size_t i = 0; i < stream_ids_.size(); ++i)
      if (stream_ids_[i] == id)
        return {definition_->streams[i].name, definition_->streams[i].contract.get()};
    return {fmt::format("stream {}", id.value), nullptr};
  }

  watch::StatusFigures Figures() const {
    return {
        .definition = *definition_,
        .uptime = std::chrono::duration_cast<base::Duration>(environment_.clock().Now() - started_),
        .log = sequencer_->status(),
        .durability = options_.log.durability,
        .visible = views_.visible(),
        .backlog_rows = applier_->backlog_rows(),
        .sync_us = sequencer_->sync_us(),
        .durable_us = sequencer_->durable_us(),
        .visible_us = applier_->visible_us(),
        .end_to_end_us = end_to_end_.visible_us(),
        .serve_us = answers_->serve_us(),
        .views = views_.status(),
        .tables = publishers_.Figures(),
        .dead_letters = DeadLetterCounts(),
        .revoked_pins = answers_->revoked_pins(),
        .budget = budget_,
        .memory = env::ReadProcessMemory()};
  }

  std::map<std::string, std::map<std::string, uint64_t>> DeadLetterCounts() const {
    std::map<std::string, std::map<std::string, uint64_t>> counts;
    for (const auto& [stream, rules] : dead_letters_.counts()) counts[NameOf({stream})] = rules;
    return counts;
  }

  // Step 1. The log's folder holds what every one of them needs, so that nothing else has to be
  // read.
  Result<void> Recover() {
    started_ = environment_.clock().Now();
    std::vector<log::EpochRef> step;
    const auto on_recovered = [&](const log::Epoch& epoch) -> Result<void> {
      HR_TRY_VOID(NoteRecovered(epoch));
      step.push_back(std::make_shared<const log::Epoch>(epoch));
      if (step.size() >= kRecoveryStep) views_.Apply(std::exchange(step, {}));
      return {};
    };
    HR_TRY(sequencer_,
           log::Sequencer::Open(environment_, budget_, LogFolder(), options_.log, on_recovered));
    views_.Apply(step);
    const log::LogStatus status = sequencer_->status();
    const env::MonotonicTime took = environment_.clock().Now() - started_;
    base::LogInfo("wiring.recovered", {{"log", status.log.ToString()},
                                       {"epoch", std::to_string(status.durable.value)},
                                       {"rows", std::to_string(status.rows_accepted)},
                                       {"took_ms", std::to_string(took.count() / 1'000'000)}});
    return {};
  }

  Result<void> NoteRecovered(const log::Epoch& epoch) {
    for (const log::ControlEntry& entry : epoch.controls) {
      if (entry.kind == log::ControlEntry::Kind::kDefinition) logged_definition_ = entry.name;
      if (entry.kind != log::ControlEntry::Kind::kStream) continue;
      HR_TRY(const log::StreamEntry stream, log::DecodeStreamEntry(entry.name, entry.payload));
      if (const auto index = definition_->StreamNamed(stream.name))
        views_.BindStream(*index, stream.id);
    }
    dead_letters_.Note(epoch);
    return publishers_.NoteRecovered(epoch);
  }

  // Step 2.
  Result<void> BindStreams() {
    for (const pipeline::StreamDefinition& stream : definition_->streams) {
      HR_TRY(const base::StreamId id,
             sequencer_->AddStream(stream.name, stream.schema(), stream.timing));
      views_.BindStream(stream_ids_.size(), id);
      stream_ids_.push_back(id);
      publishers_.Bind(stream.name, id);
    }
    return {};
  }

  // Before the first row that is read under it, as the sequencer keeps the order of its mailbox.
  void LogDefinition() {
    if (logged_definition_ == definition_->id.ToString()) return;
    log::ControlEntry entry{log::ControlEntry::Kind::kDefinition, definition_->id.ToString(),
                            pipeline::EncodeDefinition(*definition_)};
    sequencer_->Append(std::move(entry), [](const Result<base::EpochId>& epoch) {
      if (!epoch)
        base::LogError("wiring.definition_not_logged", {{"error", epoch.error().ToString()}});
    });
  }

  Result<void> OpenAnswers() {
    log_clock_ = std::make_unique<SharedLogClock>(environment_.clock(), sequencer_->status().clock);
    waiting_ = environment_.NewExecutor("answers", env::Priority::kRealTime);
    serving::AnswerSources sources{.views = &views_,
                                   .log = sequencer_->status().log,
                                   .log_clock = [this] { return log_clock_->Now(); },
                                   .waiting = waiting_.get(),
                                   .clock = &environment_.clock(),
                                   .on_answer = {}};
    if (!options_.answers_file.empty()) {
      HR_TRY(answer_file_, AnswerFile::Open(environment_, options_.answers_file));
      sources.on_answer = [this](const serving::FeatureAnswer& answer) {
        answer_file_->Write(answer);
      };
    }
    HR_TRY(answers_, serving::AnswerService::Make(std::move(sources)));
    return {};
  }

  // Step 3, on the sequencer's executor.
  void OnDurable(log::EpochRef epoch) {
    dead_letters_.Note(*epoch);
    publishers_.NoteDurable(*epoch);
    applier_->Take(std::move(epoch));
  }

  // On the applier's executor.
  void OnVisible(base::EpochId epoch, base::Timestamp at) {
    sequencer_->MarkVisible(epoch, at);
    end_to_end_.NoteVisible(epoch, environment_.clock().Now());
    answers_->MarkVisible(epoch);
    held_.Release();
    const std::lock_guard lock(visible_mutex_);
    if (when_visible_ && epoch >= when_visible_epoch_) std::exchange(when_visible_, {})();
  }

  // Calls `done` once `epoch` is visible.
  void WhenVisible(base::EpochId epoch, std::function<void()> done) {
    {
      const std::lock_guard lock(visible_mutex_);
      if (views_.visible() < epoch) {
        when_visible_epoch_ = epoch;
        when_visible_ = std::move(done);
        return;
      }
    }
    done();
  }

  env::Environment& environment_;
  const CoreOptions options_;
  const pipeline::PipelineRef definition_;
  base::MemoryBudget budget_;
  pipeline::ViewSet views_;
  TablePublishers publishers_;
  HeldBatches held_;
  DeadLetters dead_letters_;
  EndToEnd end_to_end_;
  std::vector<base::StreamId> stream_ids_;
  std::string logged_definition_;
  env::MonotonicTime started_{0};
  bool stopped_ = false;
  std::unique_ptr<log::LogReader> reader_;
  std::unique_ptr<SharedLogClock> log_clock_;
  std::unique_ptr<AnswerFile> answer_file_;
  std::unique_ptr<env::Executor> waiting_;
  std::unique_ptr<serving::AnswerService> answers_;
  std::mutex visible_mutex_;
  base::EpochId when_visible_epoch_;
  std::function<void()> when_visible_;
  // Last, so that they end first: they call everything above. The sequencer feeds the applier.
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<log::Sequencer> sequencer_;
};

}  // namespace

Result<std::unique_ptr<Core>> Core::Start(env::Environment& environment, CoreOptions options) {
  options.log.clock = options.definition->clock;
  auto core = std::make_unique<RunningCore>(environment, std::move(options));
  HR_TRY_VOID(core->Open());
  return core;
}

}  // namespace headrace::wiring

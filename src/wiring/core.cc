// How a core starts:
//  1. State, dead letters and publishers come back from a snapshot and the log after it
//  (recovery.h).
//  2. The pipeline's streams get their ids; a definition that the log does not name last is logged.
//  3. The sequencer begins to accept; each durable epoch goes to the applier and to the publishers.
#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "env/process_memory.h"
#include "log/catalogue.h"
#include "log/log_clock.h"
#include "log/reader.h"
#include "pipeline/contract_change.h"
#include "serving/flight/recent_epochs.h"
#include "watch/recent_times.h"
#include "watch/status_document.h"
#include "wiring/answer_clock.h"
#include "wiring/answer_file.h"
#include "wiring/applier.h"
#include "wiring/dead_letter_replay.h"
#include "wiring/dead_letters.h"
#include "wiring/definition_changes.h"
#include "wiring/end_to_end.h"
#include "wiring/engine.h"
#include "wiring/expiry.h"
#include "wiring/held_batches.h"
#include "wiring/log_gate.h"
#include "wiring/log_retention.h"
#include "wiring/lookback.h"
#include "wiring/no_such_stream.h"
#include "wiring/recovery.h"
#include "wiring/snapshotter.h"
#include "wiring/table_scans.h"
#include "wiring/table_sources.h"
#include "wiring/visible_times.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// Only whole segments are let go, and never the one that is being written.
constexpr uint64_t kSegmentsOfLog = 8;  // in log.bytes_max, at least

class RunningCore final : public Core {
 public:
  RunningCore(env::Environment& environment, CoreOptions options)
      : environment_(environment),
        options_(std::move(options)),
        definition_(options_.definition),
        own_budget_(definition_->memory_bytes),
        budget_(options_.budget != nullptr ? *options_.budget : own_budget_),
        held_([this] { return applier_->IsBehind(); },
              [this](columns::EventBatch batch, log::AckCallback done) {
                sequencer_->Submit(std::move(batch), std::move(done));
              }) {}

  // The sequencer hands its last epochs to the applier, which tells the sequencer what is visible:
  // so the sequencer stops first, and is there until the applier, the last member, has ended.
  ~RunningCore() override {
    if (pushes_) pushes_->Close();
    CloseBackground();
    if (sequencer_) sequencer_->Stop();
  }

  Result<void> Open() {
    HR_TRY_VOID(environment_.files().CreateFolders(options_.data_folder));
    environment_.CrashPoint("start.after_folder");
    HR_TRY_VOID(Recover());
    environment_.CrashPoint("start.after_log");
    HR_TRY_VOID(BindStreams());
    environment_.CrashPoint("start.after_streams");
    HR_TRY(reader_, log::LogReader::Open(environment_, LogFolder(options_)));
    HR_TRY_VOID(OpenAnswers());
    environment_.CrashPoint("start.after_answers");
    HR_TRY_VOID(
        derived_.publishers->Start(LogFolder(options_), [this](log::ControlEntry entry, auto done) {
          sequencer_->Append(std::move(entry), std::move(done));
        }));
    environment_.CrashPoint("start.after_tables");
    applier_ = std::make_unique<Applier>(environment_, *derived_.views,
                                         [this](base::EpochId epoch) { OnVisible(epoch); });
    MakeBackground();
    visible_times_->Start(LogFolder(options_), log_clock_->Now());
    sequencer_->Start([this](log::EpochRef epoch) { OnDurable(std::move(epoch)); });
    expiry_ = std::make_unique<Expiry>(environment_, *sequencer_, *applier_, budget_, *definition_);
    environment_.CrashPoint("start.accepting");
    snapshotter_->Start(started_from_);  // before a change that goes on says what snapshots lack
    changes_->LogStarted(standing_);
    changes_->GoOn();
    retention_->Start();
    OpenSources();
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
  serving::PushService& pushes() override { return *pushes_; }
  base::MemoryBudget& budget() override { return budget_; }
  pipeline::PipelineRef definition() const override { return derived_.views->current().definition; }
  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override {
    return sequencer_->LastSequence(stream, producer);
  }
  log::LogStatus log_status() const override { return sequencer_->status(); }
  plan::StageMeasurements stages() const override {
    return {&sequencer_->durable_us(), &applier_->visible_us(), &answers_->serve_us(),
            &end_to_end_.visible_us()};
  }
  base::EpochId visible() const override { return derived_.views->visible(); }

  Result<base::StreamId> StreamNamed(const std::string& name) const override {
    const auto index = definition_->StreamNamed(name);
    if (!index) return Fail(NoSuchStream(*definition_, name));
    if (const auto& stream = definition_->streams[*index]; stream.derived())
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("stream `{}` is made of `{}`: send events to that one", name,
                              definition_->streams[definition_->RootOf(*index)].name));
    return stream_ids_[*index];
  }

  std::string StatusJson() const override {
    const pipeline::PipelineRef current = definition();
    return watch::StatusJson(Figures(*current));
  }
  std::string MetricsText() const override {
    const pipeline::PipelineRef current = definition();
    return watch::StatusMetrics(Figures(*current));
  }

  Result<DeadLetterPage> DeadLetters(const DeadLetterQuery& query) const override {
    if (!query.stream.empty()) HR_TRY_VOID(StreamNamed(query.stream));
    derived_.dead_letters->ForgetBefore(sequencer_->status().refused_from);
    return derived_.dead_letters->Page(
        *reader_, [this](base::StreamId id) { return Described(id); }, query);
  }

  void ReplayDeadLetters(ReplayRequest request, ReplayDone done) override {
    derived_.dead_letters->ForgetBefore(sequencer_->status().refused_from);
    replay_->Begin(std::move(request), std::move(done));
  }

  Result<void> CorruptForDemonstration(const std::string& view,
                                       const columns::KeyBytes& key) override {
    const auto index = definition()->ViewNamed(view);
    if (!index) return Fail(ErrorCode::kNotFound, fmt::format("no view `{}`", view));
    return derived_.views->CorruptForDemonstration(*index, key);
  }

  void FlushTables(std::function<void(Result<void>)> done) override {
    derived_.publishers->Flush(std::move(done));
  }

  void OptimizeTable(const std::string& table, tables::OptimizeRequest request,
                     tables::TableRewriter::OptimizeDone done) override {
    derived_.publishers->Optimize(table, std::move(request), std::move(done));
  }
  void VacuumTable(const std::string& table, const tables::VacuumRequest& request,
                   tables::TableRewriter::VacuumDone done) override {
    // A change that builds views reads a table's files as they were when it began.
    using State = watch::ChangeFigures::State;
    const State change = changes_->figures().state;
    if (change == State::kBuilding || change == State::kCuttingOver)
      return done(Fail(ErrorCode::kConflict,
                       "views are being built from the history of the tables: vacuum them when "
                       "`headrace status` says that the change is done"));
    derived_.publishers->Vacuum(table, request, read_pins_, std::move(done));
  }

  void TakeSnapshot(std::function<void(Result<void>)> done) override {
    snapshotter_->TakeNow(std::move(done));
  }
  DefinitionChanges& changes() override { return *changes_; }
  TableScans& scans() override { return *scans_; }
  log::LogReader& log_reader() override { return *reader_; }
  serving::RecentEpochs& recent_epochs() override { return recent_; }
  Lookback& lookback() override { return *lookback_; }
  const StartFigures& started_from() const override { return started_from_; }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    environment_.CrashPoint("stop.begin");
    sources_->Close();
    replay_->Close();
    held_.Close();
    scans_->Close();
    changes_->Close();
    snapshotter_->Close();
    retention_->Close();
    expiry_->Close();
    environment_.Await([this](std::function<void()> done) {
      WhenVisible(sequencer_->status().durable, std::move(done));
    });
    environment_.CrashPoint("stop.visible");
    environment_.Await([this](std::function<void()> done) {
      visible_times_->Tell([this, done = std::move(done)]() mutable {
        WhenVisible(sequencer_->status().durable, std::move(done));
      });
    });
    visible_times_->Close();
    environment_.CrashPoint("stop.told");
    environment_.Await([this](std::function<void()> done) {
      FlushTables([done = std::move(done)](const Result<void>& flushed) {
        if (!flushed)
          base::LogWarning("wiring.table_not_flushed", {{"error", flushed.error().ToString()}});
        done();
      });
    });
    environment_.CrashPoint("stop.tables_flushed");
    sequencer_->Stop();
    environment_.CrashPoint("stop.log_closed");
    derived_.publishers->Close();
    environment_.CrashPoint("stop.tables_closed");
    if (answer_file_) answer_file_->Flush();
  }

 private:
  void MakeBackground() {
    visible_times_ = std::make_unique<VisibleTimes>(environment_, *sequencer_, *definition_);
    snapshotter_ = std::make_unique<Snapshotter>(
        environment_, budget_,
        SnapshotterOptions{.folder = SnapshotFolder(options_),
                           .recovery = definition_->recovery,
                           .log_bytes_max = definition_->log.bytes_max},
        Snapshotter::Sources{.derived = derived_, .sequencer = *sequencer_, .definition = [this] {
                               return changes_->logged();
                             }});
    const plan::StageMeasurements stages = this->stages();
    recent_times_ = watch::RecentTimes::Make(
        environment_, {&sequencer_->sync_us(), stages.ingest, stages.transform, stages.serve,
                       stages.visible, pushes_->figures().answered_us});
    retention_ = std::make_unique<LogRetention>(
        environment_, LogRetention::Sources{.definition = *definition_,
                                            .publishers = *derived_.publishers,
                                            .snapshotter = *snapshotter_,
                                            .sequencer = *sequencer_,
                                            .left_out = LeftOut()});
    scans_ = std::make_unique<TableScans>(
        environment_, TableScans::Sources{.definition = *definition_,
                                          .data_folder = options_.data_folder,
                                          .publishers = *derived_.publishers,
                                          .retention = *retention_,
                                          .sequencer = *sequencer_,
                                          .budget = budget_,
                                          .pins = read_pins_,
                                          .current = [this] { return definition(); }});
    lookback_ = std::make_unique<Lookback>(
        environment_,
        Lookback::Sources{
            .views = *derived_.views,
            .definition = *definition_,
            .publishers = *derived_.publishers,
            .scans = *scans_,
            .log_folder = LogFolder(options_),
            .log = sequencer_->status().log,
            .log_clock = [this] { return log_clock_->Now(); },
            .stream_id = [this](const std::string& name) { return StreamNamed(name); }});
    changes_ = std::make_unique<DefinitionChanges>(
        environment_,
        DefinitionChanges::Sources{.options = options_,
                                   .derived = derived_,
                                   .budget = budget_,
                                   .applier = *applier_,
                                   .sequencer = *sequencer_,
                                   .retention = *retention_,
                                   .snapshotter = *snapshotter_},
        derived_.logged);
    replay_ = std::make_unique<DeadLetterReplay>(DeadLetterReplay::Parts{
        .environment = environment_,
        .budget = budget_,
        .letters = *derived_.dead_letters,
        .reader = *reader_,
        .definition = [this] { return definition(); },
        .stream_id = [this](const std::string& name) { return StreamNamed(name); },
        .submit = [this](columns::EventBatch batch,
                         log::AckCallback done) { Submit(std::move(batch), std::move(done)); }});
  }

  void OpenSources() {
    sources_ = std::make_unique<TableSources>(
        TableSources::Parts{.environment = environment_,
                            .budget = budget_,
                            .definition = *definition_,
                            .ids = stream_ids_,
                            .current = [this] { return definition(); },
                            .pipeline_folder = options_.pipeline_folder,
                            .positions = *derived_.sources},
        tables::TableSource::Log{
            .submit = [this](columns::EventBatch batch,
                             log::AckCallback done) { Submit(std::move(batch), std::move(done)); },
            .append = [this](log::ControlEntry entry,
                             auto done) { sequencer_->Append(std::move(entry), std::move(done)); },
            .last_sequence =
                [this](base::StreamId stream, const std::string& producer) {
                  return LastSequence(stream, producer);
                },
            .id = sequencer_->status().log.ToString()});
  }

  // They call the sequencer.
  void CloseBackground() {
    if (sources_) sources_->Close();
    if (replay_) replay_->Close();
    if (scans_) scans_->Close();
    if (changes_) changes_->Close();
    if (snapshotter_) snapshotter_->Close();
    if (retention_) retention_->Close();
    if (visible_times_) visible_times_->Close();
    if (expiry_) expiry_->Close();
    if (derived_.publishers) derived_.publishers->Close();
  }

  std::string NameOf(base::StreamId id) const { return Described(id).name; }

  wiring::DeadLetters::Stream Described(base::StreamId id) const {
    const pipeline::PipelineRef current = definition();
    for (size_t i = 0; i < stream_ids_.size(); ++i) {
      if (stream_ids_[i] != id) continue;
      const std::string& name = definition_->streams[i].name;
      const auto index = current->StreamNamed(name);
      return {name, index ? current->streams[*index].contract : nullptr};
    }
    return {fmt::format("stream {}", id.value), nullptr};
  }

  watch::StatusFigures Figures(const pipeline::PipelineDefinition& current) const {
    const Applier::Ages ages = applier_->ages();
    return {
        .definition = current,
        .uptime = std::chrono::duration_cast<base::Duration>(environment_.clock().Now() - started_),
        .log = sequencer_->status(),
        .clock = log_clock_->Steps(),
        .durability = options_.log.durability,
        .visible = derived_.views->visible(),
        .backlog_rows = applier_->backlog_rows(),
        .backlog_age = ages.oldest,
        .step_age = ages.step,
        .sync_us = sequencer_->sync_us(),
        .durable_us = sequencer_->durable_us(),
        .visible_us = applier_->visible_us(),
        .end_to_end_us = end_to_end_.visible_us(),
        .serve_us = answers_->serve_us(),
        .recent = recent_times_->figures(),
        .views = derived_.views->status(),
        .since = derived_.views->current().since,
        .change = changes_->figures(),
        .derived_streams = derived_.views->derived_status(),
        .tables = derived_.publishers->Figures(),
        .sources = sources_ ? sources_->Figures() : std::vector<watch::SourceFigures>(),
        .dead_letters = DeadLetterCounts(),
        .dead_letters_replayed = derived_.dead_letters->replayed(),
        .revoked_pins = answers_->revoked_pins(),
        .pushes = pushes_->figures(),
        .recovery = options_.progress == nullptr ? std::nullopt
                                                 : std::optional(options_.progress->figures()),
        .snapshots = SnapshotFigures(),
        .retention = retention_->figures(),
        .background = options_.background ? options_.background() : std::nullopt,
        .tls = options_.tls ? options_.tls() : std::nullopt,
        .budget = budget_,
        .memory = env::ReadProcessMemory()};
  }

  watch::SnapshotFigures SnapshotFigures() const {
    watch::SnapshotFigures figures = snapshotter_->figures();
    figures.used_at_start = started_from_.snapshot;
    figures.passed_over_at_start = started_from_.passed_over;
    figures.replayed_rows_at_start = started_from_.replayed_rows;
    return figures;
  }

  std::map<std::string, std::map<std::string, uint64_t>> DeadLetterCounts() const {
    std::map<std::string, std::map<std::string, uint64_t>> counts;
    for (const auto& [stream, rules] : derived_.dead_letters->counts())
      counts[NameOf({stream})] = rules;
    return counts;
  }

  // Step 1.
  Result<void> Recover() {
    started_ = environment_.clock().Now();
    HR_TRY(Recovered recovered, RecoverCore(environment_, budget_, options_));
    derived_ = std::move(recovered.derived);
    sequencer_ = std::move(recovered.sequencer);
    clock_floor_ = recovered.clock_floor;
    started_from_ = std::move(recovered.figures);
    standing_ = std::move(recovered.standing);
    if (standing_.definition->id != definition_->id)
      base::LogWarning("wiring.definition_kept",
                       {{"file", definition_->id.ToString()},
                        {"in_force", standing_.definition->id.ToString()},
                        {"how",
                         "what is in force was applied while the engine ran: serve that file, or "
                         "apply this one again"}});
    WarnOfAbandoned();
    return {};
  }

  // Step 2.
  Result<void> BindStreams() {
    HR_TRY_VOID(CheckContracts());
    for (const pipeline::StreamDefinition& started : definition_->streams) {
      if (started.derived() && !definition_->HasTable(stream_ids_.size())) {
        stream_ids_.emplace_back();  // the log need not know it
        continue;
      }
      // What was applied since the start with that file may have changed its contract.
      const auto standing = standing_.definition->StreamNamed(started.name);
      const pipeline::StreamDefinition& stream =
          standing ? standing_.definition->streams[*standing] : started;
      HR_TRY(const base::StreamId id,
             sequencer_->AddStream(stream.name, stream.schema(), stream.timing));
      if (const auto number = derived_.views->StreamNumber(stream.name))
        derived_.views->BindStream(*number, id);
      derived_.streams[stream.name] = id;
      stream_ids_.push_back(id);
      derived_.publishers->Bind(stream.name, id);
    }
    return {};
  }

  // Who gives another pipeline's file by mistake should not have to find out by features that are
  // empty.
  void WarnOfAbandoned() const {
    if (!derived_.logged) return;
    const pipeline::PipelineDefinition& before = *derived_.logged->definition;
    if (before.name != standing_.definition->name)
      base::LogWarning("wiring.another_pipeline",
                       {{"was", before.name},
                        {"is", standing_.definition->name},
                        {"how",
                         "if that is a mistake: serve the file of before, or give this one a "
                         "--data folder of its own"}});
    for (const pipeline::StreamDefinition& stream : before.streams)
      if (!stream.derived() && !standing_.definition->StreamNamed(stream.name))
        base::LogWarning("wiring.stream_left_out",
                         {{"stream", stream.name},
                          {"how",
                           "its rows stay in the log and in its table, which does not grow "
                           "any more; serve a file that has it to go on with it, or say log.keep: "
                           "without it the log lets nothing go"}});
  }

  std::vector<std::string> LeftOut() const {
    std::vector<std::string> names;
    for (const auto& [name, id] : derived_.streams)
      if (!definition_->StreamNamed(name)) names.push_back(name);
    return names;
  }

  // Of a start with another file.
  Result<void> CheckContracts() const {
    if (!derived_.logged) return {};
    std::vector<std::string> refused;
    for (const auto& change : ContractChanges(*derived_.logged->definition, *standing_.definition))
      refused.insert(refused.end(), change.refused.begin(), change.refused.end());
    for (std::string& why : TablesTooNarrow(*derived_.logged->definition, *standing_.definition))
      refused.push_back(std::move(why));
    if (refused.empty()) return {};
    return Fail(ErrorCode::kConflict,
                fmt::format("{}; or give the changed stream a new name", fmt::join(refused, "; ")));
  }

  Result<void> OpenAnswers() {
    const base::Timestamp floor =
        std::max(sequencer_->status().clock, clock_floor_.At(environment_.clock().Now()));
    HR_TRY(log_clock_, AnswerClock::Start(environment_, options_.data_folder, floor));
    waiting_ = environment_.NewExecutor("answers", env::Priority::kRealTime);
    push_timers_ = environment_.NewExecutor("push-deadlines", env::Priority::kRealTime);
    push_readers_ = environment_.NewExecutor("push-answers", env::Priority::kRealTime);
    serving::AnswerSources sources{
        .views = derived_.views.get(),
        .log = sequencer_->status().log,
        .log_clock = [this](env::MonotonicTime now) { return log_clock_->At(now); },
        .waiting = waiting_.get(),
        .waiting_pushes = push_readers_.get(),
        .clock = &environment_.clock(),
        .budget = &budget_,
        .on_answer = {}};
    if (!options_.answers_file.empty()) {
      HR_TRY(answer_file_, AnswerFile::Open(environment_, options_.answers_file));
      sources.on_answer = [this](const serving::FeatureAnswer& answer) {
        answer_file_->Write(answer);
      };
    }
    HR_TRY(answers_, serving::AnswerService::Make(std::move(sources)));
    pushes_ = serving::PushService::Make(
        {.gate = &push_gate_,
         .answers = answers_.get(),
         .timers = push_timers_.get(),
         .readers = push_readers_.get(),
         .environment = &environment_,
         .budget = &budget_,
         .follows = [this](const auto& batch, const auto& timing, base::EpochId epoch) {
           return sequencer_->WouldFollow(batch, timing, epoch);
         }});
    return {};
  }

  // Step 3, on the sequencer's executor.
  void OnDurable(log::EpochRef epoch) {
    if (const auto noted = derived_.dead_letters->Note(*epoch); !noted)
      base::LogError("wiring.replay_not_read", {{"error", noted.error().ToString()}});
    if (const auto noted = derived_.sources->Note(*epoch); !noted)
      base::LogError("wiring.position_not_read", {{"error", noted.error().ToString()}});
    changes_->NoteDurable(*epoch);
    scans_->NoteDurable(*epoch);
    visible_times_->NoteDurable(*epoch);
    retention_->NoteDurable(*epoch);
    recent_.Note(epoch);
    if (const auto noted = derived_.publishers->NoteDurable(*epoch); !noted)
      base::LogError("wiring.plan_not_read", {{"error", noted.error().ToString()}});
    applier_->Take(std::move(epoch));
  }

  // On the applier's executor.
  void OnVisible(base::EpochId epoch) {
    // On the clock that answers are given on, not the wall's: rows become known by it.
    sequencer_->MarkVisible(epoch, log_clock_->Now());
    changes_->NoteVisible(epoch);
    end_to_end_.NoteVisible(epoch, environment_.clock().Now());
    answers_->MarkVisible(epoch);
    scans_->NoteVisible(epoch);
    visible_times_->NoteVisible(epoch);
    held_.Release();
    const std::lock_guard lock(visible_mutex_);
    if (when_visible_ && epoch >= when_visible_epoch_) std::exchange(when_visible_, {})();
  }

  // Calls `done` once `epoch` is visible.
  void WhenVisible(base::EpochId epoch, std::function<void()> done) {
    {
      const std::lock_guard lock(visible_mutex_);
      if (derived_.views->visible() < epoch) {
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
  base::MemoryBudget own_budget_;
  base::MemoryBudget& budget_;
  tables::ReadPins read_pins_;
  Derived derived_;
  pipeline::LoggedDefinition standing_;  // until it is logged
  HeldBatches held_;
  EndToEnd end_to_end_;
  std::vector<base::StreamId> stream_ids_;
  log::ClockFloor clock_floor_;
  StartFigures started_from_;
  env::MonotonicTime started_{0};
  bool stopped_ = false;
  std::unique_ptr<log::LogReader> reader_;
  serving::RecentEpochs recent_;
  std::unique_ptr<AnswerClock> log_clock_;
  std::unique_ptr<AnswerFile> answer_file_;
  std::unique_ptr<env::Executor> waiting_;
  std::unique_ptr<env::Executor> push_timers_;
  std::unique_ptr<env::Executor> push_readers_;
  std::unique_ptr<serving::AnswerService> answers_;
  LogGate push_gate_{*this};
  std::unique_ptr<serving::PushService> pushes_;
  std::mutex visible_mutex_;
  base::EpochId when_visible_epoch_;
  std::function<void()> when_visible_;
  std::unique_ptr<Snapshotter> snapshotter_;
  std::unique_ptr<LogRetention> retention_;
  std::unique_ptr<TableScans> scans_;
  std::unique_ptr<VisibleTimes> visible_times_;
  std::unique_ptr<Expiry> expiry_;
  std::unique_ptr<Lookback> lookback_;
  std::unique_ptr<DefinitionChanges> changes_;
  std::unique_ptr<TableSources> sources_;
  std::unique_ptr<DeadLetterReplay> replay_;
  // Last, as they call everything above; the destructor says how they end.
  std::unique_ptr<log::Sequencer> sequencer_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<watch::RecentTimes> recent_times_;  // reads what those measure
};

}  // namespace

Result<std::unique_ptr<Core>> Core::Start(env::Environment& environment, CoreOptions options) {
  options.log.clock = options.definition->clock;
  options.log.durability = options.definition->log.durability;
  options.log.log_bytes_max = options.definition->log.bytes_max;
  options.log.segment_bytes =
      std::min(options.log.segment_bytes, options.log.log_bytes_max / kSegmentsOfLog);
  options.log.progress = options.progress;
  auto core = std::make_unique<RunningCore>(environment, std::move(options));
  HR_TRY_VOID(core->Open());
  return core;
}

}  // namespace headrace::wiring

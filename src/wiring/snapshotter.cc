#include "wiring/snapshotter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "columns/batch_codec.h"

namespace headrace::wiring {
namespace {

using base::Result;
using log::SnapshotSection;
using Seconds = std::chrono::duration<double>;

// The disk is left alone this many times as long as it was worked.
constexpr int kPauseShare = 3;
// Until this machine has shown its own: half of what two cores of a virtual machine do. Lower ones
// would write snapshots all the time for a bound that holds.
constexpr double kLoadBytesPerSecond = 600e6;
constexpr double kReplayRowsPerSecond = 1e6;
constexpr double kReplayBytesPerSecond = 250e6;  // as of refused rows, which have their payloads
constexpr double kWriteBytesPerSecond = 25e6;
// What a recovery must have done for its speed to count.
constexpr uint64_t kLoadBytesMeasured = 32 << 20;
constexpr uint64_t kReplayRowsMeasured = 200'000;
constexpr uint64_t kReplayBytesMeasured = 64 << 20;
// A snapshot begins when a start would take this much of the bound: on a busy machine the next
// start has been twice as slow as the one that was measured, and a snapshot that yields takes
// longer.
constexpr double kShareOfBound = 0.55;
// But not before replaying takes so much of it: a bound that can't be kept does not keep the disk
// busy for nothing.
constexpr double kLeastShareOfBound = 0.2;
constexpr uint64_t kLogShare = 4;  // of log_bytes_max, written since the last snapshot
// How fast the estimate of rows a second follows, per look.
constexpr double kRateSmoothing = 0.1;
// A piece, its block, and the copy that goes to the disk.
constexpr uint64_t kMemoryBytes = 3 * pipeline::ViewCapture::kPieceBytes;

uint64_t RowsLogged(const log::LogStatus& status) {
  return status.rows_accepted + status.rows_refused;
}

uint64_t BytesLogged(const log::LogStatus& status) {
  return status.bytes_replayed + status.bytes_written;
}

double SecondsOf(env::MonotonicTime time) { return Seconds(time).count(); }

// What a snapshot says before its views: of which definition it is, and how they are kept.
Result<std::vector<uint8_t>> ReadHead(log::SnapshotReader& reader) {
  std::vector<uint8_t> head;
  while (true) {
    HR_TRY(const auto block, reader.Next());
    if (!block || block->section == SnapshotSection::kViews) return head;
    head.insert(head.end(), block->payload.begin(), block->payload.end());
    if (block->section == SnapshotSection::kViewLayout) return head;
  }
}

}  // namespace

// The snapshot under way.
struct Snapshotter::Task {
  Task(env::Environment& environment, pipeline::ViewSet& views, log::SnapshotWriter out,
       base::MemoryCharge memory, const std::string& bound, env::MonotonicTime wait_max)
      : capture(views),
        writer(std::move(out)),
        charge(std::move(memory)),
        pass(environment, env::WorkClass::kSnapshots, bound, wait_max) {}

  pipeline::ViewCapture capture;
  log::SnapshotWriter writer;
  base::MemoryCharge charge;
  env::BackgroundPass pass;
  env::MonotonicTime begun{0};
  env::MonotonicTime writing{0};
  uint64_t rows = 0;   // logged when it began
  uint64_t bytes = 0;  // of the log, replayed ones included, likewise
  base::EpochId after;
  std::vector<uint8_t> piece;
};

Snapshotter::Snapshotter(env::Environment& environment, base::MemoryBudget& budget,
                         SnapshotterOptions options, Sources sources)
    : environment_(environment),
      budget_(budget),
      options_(std::move(options)),
      sources_(std::move(sources)),
      load_bytes_per_s_(kLoadBytesPerSecond),
      replay_rows_per_s_(kReplayRowsPerSecond),
      replay_bytes_per_s_(kReplayBytesPerSecond),
      write_bytes_per_s_(kWriteBytesPerSecond),
      executor_(environment.NewExecutor("snapshots", env::Priority::kBackground)) {}

Snapshotter::~Snapshotter() { Close(); }

void Snapshotter::Close() {
  closed_ = true;
  std::unique_ptr<env::Executor> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::move(executor_);
  }
  ending.reset();
  if (task_ != nullptr || !waiting_.empty())
    Finish(base::Fail(base::ErrorCode::kUnavailable, "the engine is stopping"));
}

void Snapshotter::Post(void (Snapshotter::*step)(), env::MonotonicTime at) {
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr) return;
  executor_->PostAt(at, [this, step] {
    if (!closed_) (this->*step)();
  });
}

void Snapshotter::Start(const StartFigures& recovered) {
  if (recovered.snapshot_bytes >= kLoadBytesMeasured)
    load_bytes_per_s_ =
        static_cast<double>(recovered.snapshot_bytes) / SecondsOf(recovered.load_time);
  const uint64_t replayed = recovered.replayed_rows + recovered.replayed_refused;
  if (replayed >= kReplayRowsMeasured)
    replay_rows_per_s_ = static_cast<double>(replayed) / SecondsOf(recovered.replay_time);
  const log::LogStatus status = sources_.sequencer.status();
  // Long rows have more bytes a second. Fewer say nothing: there were many rows in them.
  if (status.bytes_replayed >= kReplayBytesMeasured)
    replay_bytes_per_s_ = std::max(replay_bytes_per_s_, static_cast<double>(status.bytes_replayed) /
                                                            SecondsOf(recovered.replay_time));
  const Logged again{static_cast<double>(replayed), static_cast<double>(status.bytes_replayed)};
  hurries_ = ReplaySeconds(again) > kLeastShareOfBound * Seconds(options_.recovery).count();
  bytes_seen_ = BytesLogged(status);
  rows_seen_ = RowsLogged(status);
  rows_at_snapshot_ = rows_seen_ - std::min(rows_seen_, replayed);
  seen_at_ = environment_.clock().Now();
  {
    const std::lock_guard lock(mutex_);
    figures_.after = recovered.after;
    figures_.bytes = recovered.snapshot_bytes;
  }
  if (!recovered.snapshot.empty() && recovered.built_views.empty()) {
    newest_ = {recovered.after, recovered.snapshot};
    if (auto found = FindBefore(recovered.snapshot); !found)
      base::LogWarning("wiring.snapshot_before_not_read", {{"error", found.error().ToString()}});
  }
  lacks_views_ = !recovered.built_views.empty();
  hurries_ = hurries_ || lacks_views_;
  Post(&Snapshotter::Tick, seen_at_ + options_.check_every);
}

// The one before the newest counts if a start from it would find the same views.
Result<void> Snapshotter::FindBefore(const std::string& newest) {
  env::Files& files = environment_.files();
  const base::LogId log = sources_.sequencer.status().log;
  HR_TRY(auto reader, log::SnapshotReader::Open(files, newest, log));
  const std::lock_guard lock(mutex_);
  figures_.through = reader.end().through;
  HR_TRY(const auto snapshots, log::ListSnapshots(files, options_.folder));
  const auto found = std::ranges::find(snapshots, newest, &log::SnapshotName::path);
  if (std::distance(found, snapshots.end()) < 2) return {};
  const std::string& path = std::next(found)->path;
  HR_TRY(auto before, log::SnapshotReader::Open(files, path, log));
  HR_TRY(const auto head, ReadHead(reader));
  HR_TRY(const auto head_before, ReadHead(before));
  if (head != head_before) return {};
  before_ = {before.end().after, path};
  safe_after_ = before_->after;
  return {};
}

void Snapshotter::NoteChange() {
  const std::lock_guard lock(mutex_);
  safe_after_ = {};
  if (executor_ == nullptr) return;
  executor_->Post([this] {
    newest_ = before_ = {};
    lacks_views_ = true;
  });
}

void Snapshotter::TakeNow(std::function<void(Result<void>)> done) {
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr) {
    done(base::Fail(base::ErrorCode::kUnavailable, "the engine is stopping"));
    return;
  }
  executor_->Post([this, done = std::move(done)]() mutable {
    waiting_.push_back(std::move(done));
    if (task_ == nullptr) Begin();
  });
}

watch::SnapshotFigures Snapshotter::figures() const {
  const std::lock_guard lock(mutex_);
  watch::SnapshotFigures figures = figures_;
  figures.recovery = options_.recovery;
  if (ended_at_.count() > 0)
    figures.age =
        std::chrono::duration_cast<base::Duration>(environment_.clock().Now() - ended_at_);
  return figures;
}

void Snapshotter::NoteLogWaits(bool waits) {
  const std::lock_guard lock(mutex_);
  log_waits_ = waits;
}

base::EpochId Snapshotter::SafeAfter() const {
  const std::lock_guard lock(mutex_);
  return safe_after_;
}

void Snapshotter::Tick() {
  const env::MonotonicTime now = environment_.clock().Now();
  const bool due = IsDue() || lacks_views_;
  if (due && task_ == nullptr && now >= not_before_) Begin();
  Post(&Snapshotter::Tick, now + options_.check_every);
}

double Snapshotter::ReplaySeconds(Logged logged) const {
  return std::max(logged.rows / replay_rows_per_s_, logged.bytes / replay_bytes_per_s_);
}

// How long a start would take that has to replay `logged`.
double Snapshotter::EstimateSeconds(Logged logged, double snapshot_bytes) const {
  return snapshot_bytes / load_bytes_per_s_ + ReplaySeconds(logged);
}

bool Snapshotter::IsDue() {
  const log::LogStatus status = sources_.sequencer.status();
  const env::MonotonicTime now = environment_.clock().Now();
  const double passed = SecondsOf(now - seen_at_);
  if (passed > 0) {
    const auto follow = [passed](double& rate, uint64_t& seen, uint64_t value) {
      rate += kRateSmoothing * (static_cast<double>(value - seen) / passed - rate);
      seen = value;
    };
    follow(per_s_.rows, rows_seen_, RowsLogged(status));
    follow(per_s_.bytes, bytes_seen_, BytesLogged(status));
    seen_at_ = now;
  }
  const Logged logged{static_cast<double>(RowsLogged(status) - rows_at_snapshot_),
                      static_cast<double>(BytesLogged(status) - bytes_at_snapshot_)};
  const auto state_bytes = static_cast<double>(sources_.derived.views->bytes());
  const double writing_s = state_bytes / write_bytes_per_s_;
  const Logged behind{logged.rows + per_s_.rows * writing_s,
                      logged.bytes + per_s_.bytes * writing_s};
  const Logged back_to_back{2 * per_s_.rows * writing_s, 2 * per_s_.bytes * writing_s};
  const double bound = Seconds(options_.recovery).count();
  const std::lock_guard lock(mutex_);
  const double now_estimate = EstimateSeconds(logged, static_cast<double>(figures_.bytes));
  figures_.recovery_estimate = std::chrono::duration_cast<base::Duration>(Seconds(now_estimate));
  // Back to back, a snapshot is at worst two writing times old.
  figures_.bound_holds = EstimateSeconds(back_to_back, state_bytes) <= bound;
  if (log_waits_ && status.durable > figures_.through) return true;
  if (BytesLogged(status) > bytes_at_snapshot_ + options_.log_bytes_max / kLogShare) return true;
  return EstimateSeconds(behind, state_bytes) > kShareOfBound * bound &&
         ReplaySeconds(logged) > kLeastShareOfBound * bound;
}

void Snapshotter::Begin() {
  auto charge = budget_.TryCharge(base::MemoryAccount::kSnapshots, kMemoryBytes);
  if (!charge) return Finish(base::Fail(std::move(charge).error()));
  auto writer =
      log::SnapshotWriter::Create(environment_, options_.folder, sources_.sequencer.status().log);
  if (!writer) return Finish(base::Fail(std::move(writer).error()));
  task_ = std::make_unique<Task>(
      environment_, *sources_.derived.views, std::move(*writer), std::move(*charge),
      "recovery: " + base::FormatDuration(options_.recovery),
      std::chrono::duration_cast<env::MonotonicTime>(Slack() * options_.recovery));
  const log::LogStatus status = sources_.sequencer.status();
  task_->begun = environment_.clock().Now();
  task_->rows = RowsLogged(status);
  task_->bytes = BytesLogged(status);
  {
    const std::lock_guard lock(mutex_);
    figures_.under_way = true;
  }
  if (auto written = WriteHead(); !written) return Finish(std::move(written));
  WritePieces();
}

// Of other views by now. A moment later: in the middle of a cut-over it would find the same again.
void Snapshotter::StartOver() {
  task_.reset();
  Post(&Snapshotter::BeginAnew, environment_.clock().Now() + env::BackgroundGate::kAskAgain);
}

void Snapshotter::BeginAnew() {
  if (task_ == nullptr) Begin();
}

// The definition is read before the first page is: a cut-over after that ends the capture.
Result<void> Snapshotter::WriteHead() {
  if (const auto logged = sources_.definition()) {
    const log::ControlEntry entry = pipeline::EncodeEntry(*logged);
    std::vector<uint8_t> bytes(entry.name.begin(), entry.name.end());
    bytes.insert(bytes.end(), entry.payload.begin(), entry.payload.end());
    HR_TRY_VOID(task_->writer.Append(SnapshotSection::kDefinition, bytes));
  }
  return task_->writer.Append(SnapshotSection::kViewLayout, task_->capture.Layout());
}

void Snapshotter::WritePieces() {
  const env::MonotonicTime begin = environment_.clock().Now();
  if (!task_->pass.MayGoOn())
    return Post(&Snapshotter::WritePieces, begin + env::BackgroundGate::kAskAgain);
  env::MonotonicTime at_disk{0};
  auto wrote = WritePiece(at_disk);
  if (!wrote && wrote.error().code() == base::ErrorCode::kResourceExhausted)
    return Post(&Snapshotter::WritePieces, begin + env::BackgroundGate::kAskAgain);
  if (!wrote && wrote.error().code() == base::ErrorCode::kConflict) return StartOver();
  if (!wrote) return Finish(base::Fail(std::move(wrote).error()));
  task_->writing += at_disk;
  Post(*wrote ? &Snapshotter::WritePieces : &Snapshotter::WriteRest,
       environment_.clock().Now() +
           std::chrono::duration_cast<env::MonotonicTime>(kPauseShare * Calm() * at_disk));
}

// What a start now would leave of the bound, none: 0.
double Snapshotter::Slack() const {
  if (hurries_) return 0;
  const std::lock_guard lock(mutex_);
  return std::max(0.0, 1 - Seconds(figures_.recovery_estimate) / Seconds(options_.recovery));
}

// 1 when a snapshot begins in time. Less the later it is: then the bound comes before the disk's
// quiet. None after a start that had much to replay, as after a crash the next one is likeliest,
// and would have all of that to replay again and more.
double Snapshotter::Calm() const { return std::min(1.0, Slack() / (1 - kShareOfBound)); }

// False: the views are done.
Result<bool> Snapshotter::WritePiece(env::MonotonicTime& at_disk) {
  task_->piece.clear();
  HR_TRY(const bool more, task_->capture.Next(task_->piece));
  if (!more) return false;
  const env::MonotonicTime begin = environment_.clock().Now();
  HR_TRY_VOID(task_->writer.Append(SnapshotSection::kViews, task_->piece));
  HR_TRY_VOID(task_->writer.Sync());
  at_disk = environment_.clock().Now() - begin;
  return true;
}

void Snapshotter::WriteRest() {
  if (auto written = WriteSmallParts(); !written) return Finish(std::move(written));
  sources_.sequencer.CaptureState([this](Result<log::StateCapture> state) {
    const std::lock_guard lock(mutex_);
    if (executor_ == nullptr) return;
    executor_->Post([this, state = std::move(state)]() mutable {
      if (closed_ || task_ == nullptr) return;
      if (!task_->capture.IsCurrent()) return StartOver();
      Finish(state ? End(*state) : base::Fail(state.error()));
    });
  });
}

Result<void> Snapshotter::WriteSmallParts() {
  log::SnapshotWriter& writer = task_->writer;
  task_->after = task_->capture.after();
  std::vector<uint8_t> bytes;
  columns::ByteWriter(bytes).I64(task_->capture.after_clock().us);
  HR_TRY_VOID(writer.Append(SnapshotSection::kViewClock, bytes));
  bytes.clear();
  sources_.derived.dead_letters->ForgetBefore(sources_.sequencer.status().refused_from);
  sources_.derived.dead_letters->Encode(bytes);
  HR_TRY_VOID(writer.Append(SnapshotSection::kDeadLetters, bytes));
  bytes.clear();
  sources_.derived.sources->Encode(bytes);
  if (!bytes.empty()) HR_TRY_VOID(writer.Append(SnapshotSection::kSources, bytes));
  if (const auto publishers = sources_.derived.publishers->Capture())
    HR_TRY_VOID(writer.Append(SnapshotSection::kPublisher, publishers->bytes));
  return {};
}

Result<void> Snapshotter::End(const log::StateCapture& state) {
  HR_TRY_VOID(task_->writer.Append(SnapshotSection::kLogState, state.bytes));
  HR_TRY(const log::SnapshotEnd end, task_->writer.Commit(task_->after, state.epoch));
  const env::MonotonicTime now = environment_.clock().Now();
  const env::MonotonicTime took = now - task_->begun;
  const env::MonotonicTime left_out =
      hurries_ ? kPauseShare * task_->writing : env::MonotonicTime{0};
  if (end.bytes >= kLoadBytesMeasured)
    write_bytes_per_s_ = static_cast<double>(end.bytes) / SecondsOf(took + left_out);
  const Known known{end.after, log::SnapshotPath(options_.folder, end.through)};
  if (!task_->capture.IsCurrent()) return {};  // it lacks views by now: of no help
  hurries_ = lacks_views_ = false;
  rows_at_snapshot_ = task_->rows;
  bytes_at_snapshot_ = task_->bytes;
  // Of the same epoch it took the place of the newest, and the one before stays.
  if (!newest_ || newest_->path != known.path) before_ = newest_;
  newest_ = known;
  {
    const std::lock_guard lock(mutex_);
    ++figures_.taken;
    figures_.after = end.after;
    figures_.through = end.through;
    figures_.bytes = end.bytes;
    figures_.took = std::chrono::duration_cast<base::Duration>(took);
    figures_.writing = std::chrono::duration_cast<base::Duration>(task_->writing);
    ended_at_ = now;
    // Once more: after a cut-over, NoteChange may have been here already.
    if (before_ && task_->capture.IsCurrent()) safe_after_ = before_->after;
    log_waits_ = false;
  }
  base::LogInfo("wiring.snapshot", {{"after_epoch", std::to_string(end.after.value)},
                                    {"through_epoch", std::to_string(end.through.value)},
                                    {"bytes", std::to_string(end.bytes)},
                                    {"took_ms", std::to_string(took.count() / 1'000'000)}});
  return before_ ? RemoveAllBut(known.path, before_->path) : Result<void>();
}

// Two stay, should the newest be damaged; the third is room for the next.
Result<void> Snapshotter::RemoveAllBut(const std::string& newest, const std::string& before) {
  HR_TRY(const auto snapshots, log::ListSnapshots(environment_.files(), options_.folder));
  for (const log::SnapshotName& snapshot : snapshots) {
    if (snapshot.path == newest || snapshot.path == before) continue;
    environment_.CrashPoint("snapshot.before_remove");
    HR_TRY_VOID(log::RetireSnapshot(environment_.files(), options_.folder, snapshot.path));
  }
  return {};
}

void Snapshotter::Finish(Result<void> result) {
  // At a stop its room stays for the next life.
  if (!result && task_ != nullptr && !closed_) task_->writer.Abandon();
  task_.reset();
  {
    const std::lock_guard lock(mutex_);
    figures_.under_way = false;
    figures_.reason = result ? "" : result.error().ToString();
    if (!result && !closed_) ++figures_.failed;
  }
  if (!result && !closed_) {
    base::LogWarning("wiring.snapshot_failed", {{"error", result.error().ToString()}});
    not_before_ = environment_.clock().Now() + options_.retry_after;
  }
  for (auto& done : std::exchange(waiting_, {})) done(result);
}

}  // namespace headrace::wiring

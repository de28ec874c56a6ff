#include "wiring/table_scans.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "contract/no_such_name.h"
#include "tables/publish/plan.h"

namespace headrace::wiring {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr env::MonotonicTime kTick = std::chrono::seconds(1);
constexpr env::MonotonicTime kSealAgain = std::chrono::milliseconds(20);

std::unexpected<base::Error> Stopping() {
  return Fail(ErrorCode::kUnavailable, "the engine is stopping: scan again when it is back");
}

}  // namespace

TableScan::~TableScan() {
  scans_.Unregister(*this);
  LetGo();
}

void TableScan::LetGo() {
  scan_.reset();
  made_.reset();
  log_pin_ = {};
  files_pin_ = {};
}

Result<std::optional<columns::ColumnBatch>> TableScan::Next() {
  const std::lock_guard lock(mutex_);
  if (scan_ == nullptr)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the reader took no rows for {} s, and its scan was revoked: begin "
                            "again, and read faster or less",
                            TableScans::kSlowReaderMax / std::chrono::seconds(1)));
  auto batch = scan_->Next();
  figures_ = scan_->figures();
  if (scan_->TailIsRead()) log_pin_ = {};
  taken_at_ = scans_.environment_.clock().Now();
  return batch;
}

tables::ScanFigures TableScan::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

// Whoever is in Next is not slow.
bool TableScan::RevokeIfSlow(env::MonotonicTime now) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || scan_ == nullptr || now - taken_at_ < TableScans::kSlowReaderMax)
    return false;
  LetGo();
  revoked_.store(true);
  return true;
}

TableScans::TableScans(env::Environment& environment, Sources sources)
    : environment_(environment),
      sources_(std::move(sources)),
      visible_(sources_.sequencer.status().durable),
      with_rows_(visible_),
      executor_(environment.NewExecutor("scans", env::Priority::kBackground)) {
  for (size_t i = 0; i < sources_.definition.streams.size(); ++i)
    streams_.emplace(sources_.definition.streams[i].name, sources_.publishers.Describe(i));
}

TableScans::~TableScans() { Close(); }

void TableScans::Close() {
  closed_.store(true);
  std::unique_ptr<env::Executor> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::move(executor_);
  }
  Wake();
}

Result<TablePublishers::Described> TableScans::Find(const std::string& stream) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) {
    std::vector<std::string> names;
    for (const auto& [name, described] : streams_) names.push_back(name);
    return Fail(contract::NoSuchName("stream", stream, names));
  }
  if (!found->second) return Fail(found->second.error());
  TablePublishers::Described described = *found->second;
  const pipeline::PipelineRef current = sources_.current();
  if (const auto index = current->StreamNamed(stream);
      index && !current->streams[*index].derived()) {
    const pipeline::StreamDefinition& now = current->streams[*index];
    described.stream.schema = now.schema();
    described.stream.event_time_field = now.timing.event_time_field;
    described.stream.known_at = now.known_at;
  }
  return described;
}

Result<EpochId> TableScans::EpochOf(const tables::ScanRequest& request) const {
  const EpochId durable = sources_.sequencer.status().durable;
  if (!request.epoch) return durable;
  if (EpochId{*request.epoch} <= durable) return EpochId{*request.epoch};
  return Fail(ErrorCode::kInvalidInput, fmt::format("epoch {} is not there yet: the newest is {}",
                                                    *request.epoch, durable.value));
}

Result<TableScans::Fixed> TableScans::Fix(const tables::ScanRequest& request) const {
  HR_TRY(const TablePublishers::Described described, Find(request.stream));
  HR_TRY(const EpochId epoch, EpochOf(request));
  HR_TRY(const tables::ScanColumns columns,
         tables::ScanColumns::Make(described.stream, request, environment_.clock().Wall()));
  Fixed fixed{request, columns.wanted};
  fixed.request.epoch = epoch.value;
  return fixed;
}

Result<std::vector<std::string>> TableScans::ColumnsRead(const tables::ScanRequest& request) const {
  HR_TRY(const TablePublishers::Described described, Find(request.stream));
  HR_TRY(tables::ScanColumns columns,
         tables::ScanColumns::Make(described.stream, request, environment_.clock().Wall()));
  std::vector<std::string> read;
  for (size_t i = 0; i < columns.names.size(); ++i)
    if (i < columns.wanted->size() || columns.names[i] != tables::kEpochColumn)
      read.push_back(std::move(columns.names[i]));
  return read;
}

Result<std::unique_ptr<TableScan>> TableScans::Open(const tables::ScanRequest& request,
                                                    std::function<bool()> gone,
                                                    tables::RowsOfOthers of_others) {
  HR_TRY(const TablePublishers::Described described, Find(request.stream));
  HR_TRY(const EpochId epoch, EpochOf(request));
  std::unique_ptr<TableScan> scan(new TableScan(*this));
  HR_TRY_VOID(Register(*scan));
  HR_TRY_VOID(WaitForRows(described.stream, epoch));

  const std::lock_guard lock(scan->mutex_);
  scan->log_pin_ = sources_.retention.PinAll();
  scan->files_pin_ = sources_.pins.Hold(described.folder, environment_.clock().Wall());
  tables::ScanSource source{
      .stream = described.stream,
      .table_folder = described.folder,
      .log_folder = sources_.data_folder + "/log",
      .epoch = epoch,
      .planned = [this, stream = request.stream] { return sources_.publishers.Planned(stream); },
      .of_others = of_others};
  // Before the table's marker is read: what is not waiting any more is in it by then.
  if (source.stream.made != nullptr) {
    scan->made_ = source.stream.made->Copy();
    source.stream.made = scan->made_.get();
  }
  auto opened =
      tables::SnapshotScan::Open(environment_, sources_.budget, std::move(source), request);
  if (closed_) return Stopping();  // and so what was planned is not known
  HR_TRY(scan->scan_, std::move(opened));
  scan->scan_->StopWhen([this, gone = std::move(gone)] { return closed_ || (gone && gone()); });
  scan->figures_ = scan->scan_->figures();
  scan->log_pin_.MoveTo(scan->figures_.marker);
  scan->schema_ = scan->scan_->schema();
  scan->log_ = sources_.sequencer.status().log;
  scan->taken_at_ = environment_.clock().Now();
  return scan;
}

Result<void> TableScans::WaitForRows(const tables::PublishedStream& stream, EpochId epoch) {
  const env::MonotonicTime deadline = environment_.clock().Now() + kReadyWithin;
  Await([this, epoch] { return visible_ >= epoch; }, deadline);
  const auto known = [this, epoch] { return told_ >= std::min(epoch, with_rows_); };
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return Stopping();
      if (visible_ >= epoch && (stream.known_at.assumed() || known())) return {};
    }
    if (environment_.clock().Now() >= deadline)
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("rows up to epoch {} are not visible after {} s: retry", epoch.value,
                              kReadyWithin / std::chrono::seconds(1)));
    HR_TRY_VOID(SealEpoch(stream.name));
    Await(known, std::min(deadline, environment_.clock().Now() + kSealAgain));
  }
}

// The epoch of an empty entry says when those before it became visible.
Result<void> TableScans::SealEpoch(const std::string& stream) {
  auto sealed = std::make_shared<Result<EpochId>>(EpochId{});
  environment_.Await([&](const std::function<void()>& done) {
    sources_.sequencer.Append(tables::SealingEntry(stream), [sealed, done](Result<EpochId> logged) {
      *sealed = std::move(logged);
      done();
    });
  });
  if (*sealed) return {};
  return Fail(std::move(*sealed).error().With("stream", stream));
}

void TableScans::Await(std::function<bool()> ready, env::MonotonicTime deadline) {
  environment_.Await([&](std::function<void()> done) {
    {
      const std::lock_guard lock(mutex_);
      if (executor_ != nullptr && !ready()) {
        waiters_.push_back({std::move(ready), deadline, std::move(done)});
        executor_->PostAt(deadline, [this] { Wake(); });
        return;
      }
    }
    done();
  });
}

void TableScans::Wake() {
  std::vector<std::function<void()>> woken;
  {
    const std::lock_guard lock(mutex_);
    const env::MonotonicTime now = environment_.clock().Now();
    std::erase_if(waiters_, [&](Waiter& waiter) {
      if (!closed_ && now < waiter.deadline && !waiter.ready()) return false;
      woken.push_back(std::move(waiter.done));
      return true;
    });
  }
  for (const auto& done : woken) done();
}

void TableScans::NoteDurable(const log::Epoch& epoch) {
  {
    const std::lock_guard lock(mutex_);
    told_ = std::max(told_, epoch.visible_through);
    if (epoch.row_count() > 0) with_rows_ = epoch.id;
    if (waiters_.empty()) return;
  }
  Wake();
}

void TableScans::NoteVisible(EpochId epoch) {
  {
    const std::lock_guard lock(mutex_);
    visible_ = std::max(visible_, epoch);
    if (waiters_.empty()) return;
  }
  Wake();
}

Result<void> TableScans::Register(TableScan& scan) {
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr) return Stopping();
  const auto live =
      std::ranges::count_if(open_, [](const TableScan* each) { return !each->revoked_.load(); });
  if (static_cast<size_t>(live) >= kScansMax)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} scans are under way, the most there may be: retry", live));
  open_.insert(&scan);
  if (!std::exchange(ticking_, true))
    executor_->PostAt(environment_.clock().Now() + kTick, [this] { Tick(); });
  return {};
}

void TableScans::Unregister(TableScan& scan) {
  const std::lock_guard lock(mutex_);
  open_.erase(&scan);
}

void TableScans::Tick() {
  const std::lock_guard lock(mutex_);
  const env::MonotonicTime now = environment_.clock().Now();
  for (TableScan* scan : open_)
    if (scan->RevokeIfSlow(now))
      base::LogWarning("wiring.scan_revoked",
                       {{"epoch", std::to_string(scan->figures_.epoch.value)}});
  ticking_ = !open_.empty() && executor_ != nullptr;
  if (ticking_) executor_->PostAt(now + kTick, [this] { Tick(); });
}

}  // namespace headrace::wiring

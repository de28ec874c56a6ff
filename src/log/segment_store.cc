#include "log/segment_store.h"

#include <algorithm>

#include "base/log.h"
#include "log/log_folder.h"
#include "log/record.h"

namespace headrace::log {
namespace {

constexpr uint64_t kFirstSegmentBytes = 8ULL << 20;
constexpr uint64_t kGrowth = 2;
constexpr env::MonotonicTime kRetryAfter = std::chrono::seconds(1);

constexpr uint64_t Aligned(uint64_t bytes) {
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

}  // namespace

SegmentStore::SegmentStore(env::Environment& environment, std::string folder,
                           const LogOptions& options, env::Executor& reply_to,
                           std::function<void()> on_prepared)
    : environment_(environment),
      folder_(std::move(folder)),
      options_(options),
      reply_to_(reply_to),
      on_prepared_(std::move(on_prepared)),
      background_(environment.NewExecutor("log-segments", env::Priority::kBackground)),
      next_size_(std::min(kFirstSegmentBytes, options.segment_bytes)) {}

SegmentStore::~SegmentStore() { StopPreparing(); }

void SegmentStore::StopPreparing() { background_.reset(); }

base::Result<void> SegmentStore::Open(const LogTail& tail) {
  if (tail.segment.empty()) {
    HR_TRY(next_, Prepare(next_size_));
    return {};
  }
  HR_TRY(const auto reader, environment_.files().OpenForReading(tail.segment));
  HR_TRY(auto file, environment_.files().OpenForWriting(tail.segment, env::Files::Open::kExisting));
  active_ = Segment{std::move(file), reader->size() / kRecordAlignment * kRecordAlignment};
  offset_ = tail.offset;
  next_size_ = std::min(options_.segment_bytes, active_->size * kGrowth);
  taken_at_ = environment_.clock().Now();
  PrepareAhead();
  return {};
}

uint64_t SegmentStore::Reserve() const {
  return active_ ? std::min(options_.reserve_bytes, active_->size / 4) : 0;
}

SegmentStore::Room SegmentStore::RoomFor(uint64_t bytes, Use use) {
  PrepareAhead();
  const bool fits = bytes <= Remaining();
  if (next_) {
    if (fits || bytes <= next_->size) return Room::kHere;
    next_.reset();  // too small for a huge epoch: prepared again, larger
  } else if (fits && (use == Use::kControl || Remaining() - bytes >= Reserve())) {
    return Room::kHere;
  }
  if (!preparing_) {
    if (error_ && environment_.clock().Now() - failed_at_ < kRetryAfter) return Room::kNone;
    BeginPreparing(bytes);
  }
  if (preparing_) {
    hurry_ = true;
    return Room::kPreparing;
  }
  return next_ ? Room::kHere : Room::kNone;  // prepared in the foreground
}

// From a segment's first record on, so that there is a whole segment's time for it.
void SegmentStore::PrepareAhead() {
  if (!active_ || next_ || preparing_ || error_ || !background_ || offset_ == 0) return;
  BeginPreparing(0);
}

void SegmentStore::BeginPreparing(uint64_t at_least_bytes) {
  const uint64_t size = Aligned(std::max(next_size_, at_least_bytes));
  if (!background_) {
    EndPreparing(Prepare(size));
    return;
  }
  preparing_ = true;
  hurry_ = fills_fast_;
  background_->Post([this, size] {
    reply_to_.Post([this, prepared = Prepare(size)]() mutable {
      EndPreparing(std::move(prepared));
      on_prepared_();
    });
  });
}

void SegmentStore::EndPreparing(base::Result<Segment> prepared) {
  preparing_ = false;
  if (prepared) {
    if (error_) base::LogInfo("log.segment_prepared", {{"folder", folder_}});
    next_ = std::move(*prepared);
    error_.reset();
    return;
  }
  if (!error_)
    base::LogWarning("log.segment_failed",
                     {{"folder", folder_}, {"error", prepared.error().ToString()}});
  error_ = std::move(prepared).error();
  failed_at_ = environment_.clock().Now();
}

base::Result<SegmentStore::Segment> SegmentStore::Prepare(uint64_t size) {
  env::Files& files = environment_.files();
  const std::string path = folder_ + "/" + std::string(kNextSegmentName);
  environment_.CrashPoint("segment.before_create");
  HR_TRY(const bool exists, files.Exists(path));
  if (exists) HR_TRY_VOID(files.Remove(path));
  HR_TRY(auto file, files.OpenForWriting(path, env::Files::Open::kCreateNew));
  environment_.CrashPoint("segment.after_create");
  auto reserved = file->Preallocate(size, hurry_);
  if (!reserved) {
    file.reset();
    (void)files.Remove(path);  // gives the space back; the first error is the one to tell
    return base::Fail(std::move(reserved).error());
  }
  environment_.CrashPoint("segment.after_preallocate");
  return Segment{std::move(file), size};
}

void SegmentStore::NoteFilled() {
  const env::MonotonicTime now = environment_.clock().Now();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - taken_at_);
  if (active_)
    fills_fast_ = offset_ * 1'000'000 >
                  kZeroedBytesPerS * static_cast<uint64_t>(std::max<int64_t>(1, took.count()));
  taken_at_ = now;
}

base::Result<void> SegmentStore::MakeRoom(uint64_t bytes, base::EpochId first) {
  if (bytes <= Remaining()) return {};
  HR_CHECK(next_.has_value(), "no segment to take");
  // Recovery lets only the last record of the log be torn.
  if (active_ && options_.durability == Durability::kOs) HR_TRY_VOID(active_->file->Sync());
  environment_.CrashPoint("segment.before_rename");
  HR_TRY_VOID(environment_.files().Rename(folder_ + "/" + std::string(kNextSegmentName),
                                          SegmentPath(folder_, first)));
  environment_.CrashPoint("segment.after_rename");
  HR_TRY_VOID(environment_.files().SyncFolder(folder_));
  environment_.CrashPoint("segment.after_folder_sync");
  NoteFilled();
  active_ = std::move(next_);
  next_.reset();
  offset_ = 0;
  next_size_ =
      std::min(options_.segment_bytes, std::max(active_->size, kRecordAlignment) * kGrowth);
  return {};
}

}  // namespace headrace::log

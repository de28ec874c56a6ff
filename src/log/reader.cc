#include "log/reader.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include <fmt/core.h>

#include "log/durable_mark.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Result;
using Visitor = std::function<Result<void>(const EpochRef&)>;

std::unexpected<base::Error> Corrupt(const std::string& path, uint64_t offset, std::string what) {
  return base::Fail(base::Error(ErrorCode::kCorruption, std::move(what))
                        .With("file", path)
                        .With("offset", std::to_string(offset)));
}

// How far the log was seen to reach.
struct End {
  std::string segment;
  uint64_t offset = 0;  // where the record after `newest` will be
  EpochId newest;
};

class FolderReader final : public LogReader {
 public:
  FolderReader(env::Environment& environment, std::string folder, base::LogId log)
      : files_(environment.files()), folder_(std::move(folder)), log_(log) {}

  base::LogId log() const override { return log_; }
  Result<EpochId> Newest() override;
  Result<void> Scan(EpochId first, EpochId last, const Visitor& visit) override;

 private:
  Result<std::vector<SegmentName>> SegmentsFrom(EpochId first);
  Result<void> WalkToEnd(End& end);
  Result<void> WalkSegment(SegmentCursor& cursor, End& end);
  Result<bool> IsWholeAt(const std::string& path, uint64_t offset);
  Result<void> CheckEnd(const End& end);
  Result<void> ScanSegment(SegmentCursor& cursor, EpochId& next, EpochId first, EpochId last,
                           const Visitor& visit);

  env::Files& files_;
  const std::string folder_;
  const base::LogId log_;
  std::mutex mutex_;
  End end_;                               // under mutex_
  bool looked_behind_blank_end_ = false;  // under mutex_
};

// Segments from the one that holds `first` (or would) on.
Result<std::vector<SegmentName>> FolderReader::SegmentsFrom(EpochId first) {
  HR_TRY(std::vector<SegmentName> segments, ListSegments(files_, folder_));
  while (segments.size() > 1 && segments[1].first <= first) segments.erase(segments.begin());
  return segments;
}

Result<bool> FolderReader::IsWholeAt(const std::string& path, uint64_t offset) {
  HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, path, log_, offset));
  HR_TRY(const auto record, cursor.Next());
  return record.has_value();
}

// Steps over records by their headers; only the last one's checksum is looked at, as it alone may
// be half written.
Result<void> FolderReader::WalkSegment(SegmentCursor& cursor, End& end) {
  while (true) {
    const uint64_t offset = cursor.offset();
    HR_TRY(const auto header, cursor.Peek());
    if (!header || header->epoch != end.newest.Next()) return {};
    cursor.Skip(*header);
    HR_TRY(const auto successor, cursor.Peek());
    if (!successor || successor->epoch != header->epoch.Next()) {
      HR_TRY(const bool whole, IsWholeAt(cursor.path(), offset));
      if (!whole) return {};
    }
    end = {cursor.path(), cursor.offset(), header->epoch};
  }
}

Result<void> FolderReader::WalkToEnd(End& end) {
  HR_TRY(const std::vector<SegmentName> segments, SegmentsFrom(end.newest.Next()));
  for (const SegmentName& segment : segments) {
    if (segment.path != end.segment) {
      // Segments that have a successor are whole: whatever is missing at their end is damage.
      if (segment.first != end.newest.Next())
        return Corrupt(end.segment.empty() ? segment.path : end.segment, end.offset,
                       fmt::format("epoch {} is damaged or missing", end.newest.Next().value));
      end = {segment.path, 0, end.newest};
    }
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, segment.path, log_, end.offset));
    HR_TRY_VOID(WalkSegment(cursor, end));
  }
  return {};
}

// What lies at the end is nothing, or a record being written; a whole record behind it says that it
// is a damaged one.
Result<void> FolderReader::CheckEnd(const End& end) {
  if (end.segment.empty()) return {};
  HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, end.segment, log_, end.offset));
  HR_TRY(const bool blank, cursor.IsBlank());
  if (blank && looked_behind_blank_end_) return {};
  HR_TRY(const auto later, cursor.FindLater(end.newest.Next()));
  looked_behind_blank_end_ = true;
  if (!later) return {};
  HR_TRY(const bool whole_by_now, IsWholeAt(end.segment, end.offset));
  if (whole_by_now) return {};  // the engine completed it meanwhile
  return Corrupt(end.segment, end.offset,
                 fmt::format("epoch {} is damaged: epoch {} after it is whole",
                             end.newest.Next().value, later->header.epoch.value));
}

Result<EpochId> FolderReader::Newest() {
  const std::lock_guard lock(mutex_);
  // The mark first: what it covers is in the file by the time that is read.
  const EpochId marked = ReadDurableMark(files_, folder_, log_);
  HR_TRY_VOID(WalkToEnd(end_));
  HR_TRY_VOID(CheckEnd(end_));
  // A record with a successor was synced before that was written. The last one may still fail to
  // be.
  const EpochId proven{end_.newest.value - std::min<uint64_t>(end_.newest.value, 1)};
  return std::max(proven, std::min(marked, end_.newest));
}

Result<void> FolderReader::ScanSegment(SegmentCursor& cursor, EpochId& next, EpochId first,
                                       EpochId last, const Visitor& visit) {
  Catalogue catalogue;
  for (; next <= last; next = next.Next()) {
    const uint64_t offset = cursor.offset();
    HR_TRY(const auto header, cursor.Peek());
    if (!header || header->epoch != next)
      return {};  // it is in the next segment, or Scan misses it
    if (next < first && (header->flags & kChangesCatalogue) == 0) {
      cursor.Skip(*header);
      continue;
    }
    HR_TRY(const auto record, cursor.Next());
    if (!record) return {};
    if (next < first) {
      HR_TRY_VOID(LearnStreams(record->payload, catalogue));
      continue;
    }
    auto epoch = DecodeEpoch(record->payload, catalogue, record->owner);
    if (!epoch || epoch->id != next)
      return Corrupt(cursor.path(), offset,
                     epoch ? "a header names another epoch" : epoch.error().message());
    HR_TRY_VOID(visit(std::make_shared<const Epoch>(std::move(*epoch))));
  }
  return {};
}

Result<void> FolderReader::Scan(EpochId first, EpochId last, const Visitor& visit) {
  HR_TRY(const EpochId newest, Newest());
  last = std::min(last, newest);
  first = std::max(first, EpochId{1});
  if (first > last) return {};
  HR_TRY(const std::vector<SegmentName> segments, SegmentsFrom(first));
  if (segments.empty()) return {};
  EpochId next = segments.front().first;
  for (const SegmentName& segment : segments) {
    if (segment.first > last) break;
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, segment.path, log_));
    HR_TRY_VOID(ScanSegment(cursor, next, first, last, visit));
    const bool goes_on = &segment != &segments.back() && (&segment)[1].first == next;
    if (next <= last && !goes_on)
      return Corrupt(segment.path, cursor.offset(), fmt::format("epoch {} is damaged", next.value));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LogReader>> LogReader::Open(env::Environment& environment,
                                                   const std::string& folder) {
  auto log = ReadLogId(environment.files(), folder);
  if (!log) {
    if (log.error().code() != ErrorCode::kNotFound) return base::Fail(std::move(log).error());
    return base::Fail(
        base::Error(ErrorCode::kNotFound, "there is no log in this folder").With("folder", folder));
  }
  return std::make_unique<FolderReader>(environment, folder, *log);
}

}  // namespace headrace::log

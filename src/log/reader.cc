#include "log/reader.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include <fmt/core.h>

#include "log/durable_mark.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/residue.h"
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

// One look at the folder.
struct Contents {
  std::vector<ResidueName> residues;
  std::vector<SegmentName> segments;  // whose rows are held
  EpochId first{1};                   // of the first of these
};

constexpr int kLooksMax = 4;  // at a folder that changes under the reader

class FolderReader final : public LogReader {
 public:
  FolderReader(env::Environment& environment, std::string folder, base::LogId log)
      : files_(environment.files()), folder_(std::move(folder)), log_(log) {}

  base::LogId log() const override { return log_; }
  Result<EpochId> First() override;
  Result<EpochId> Newest() override;
  Result<EpochRef> Unproven() override;
  Result<void> Scan(EpochId first, EpochId last, const Visitor& visit) override;
  Result<void> ScanRefused(EpochId first, EpochId last, const Visitor& visit) override;

 private:
  // One reading of one call: how far it came, and whether a file went away under it.
  struct Walk {
    EpochId next;
    EpochId last;
    const Visitor& visit;
    bool refused_only = false;
    bool file_went = false;
  };

  Result<Contents> Look();
  Result<Contents> LookOnce(bool& changing);
  Result<SegmentCursor> Open(const std::string& path, uint64_t offset, bool& file_went);
  Result<void> WalkToEnd(End& end);
  Result<void> WalkSegment(SegmentCursor& cursor, End& end);
  Result<bool> IsWholeAt(const std::string& path, uint64_t offset);
  Result<void> CheckEnd(const End& end);
  Result<EpochId> NewestOnce();
  Result<void> WalkAll(Walk& walk);
  Result<void> WalkResidues(const Contents& contents, Walk& walk);
  Result<void> WalkSegments(const Contents& contents, Walk& walk);
  Result<void> ScanSegment(SegmentCursor& cursor, EpochId at, Walk& walk);
  static Result<EpochRef> Decode(const Record& record, Catalogue& catalogue, const Walk& walk);

  env::Files& files_;
  const std::string folder_;
  const base::LogId log_;
  std::mutex mutex_;
  End end_;                               // under mutex_
  bool looked_behind_blank_end_ = false;  // under mutex_
};

// Segments from the one that holds `first` (or would) on.
std::vector<SegmentName> SegmentsFrom(std::vector<SegmentName> segments, EpochId first) {
  while (segments.size() > 1 && segments[1].first <= first) segments.erase(segments.begin());
  return segments;
}

Result<SegmentCursor> FolderReader::Open(const std::string& path, uint64_t offset,
                                         bool& file_went) {
  auto cursor = SegmentCursor::Open(files_, path, log_, offset);
  if (!cursor && cursor.error().code() == ErrorCode::kNotFound) file_went = true;
  return cursor;
}

// `changing`: what was found may be half of a change.
Result<Contents> FolderReader::LookOnce(bool& changing) {
  HR_TRY(LogFiles found, ListLog(files_, folder_));
  auto residues = SortResidues(found.residues);
  if (!residues) {
    changing = true;
    return base::Fail(std::move(residues).error());
  }
  const EpochId first = residues->through().Next();
  Contents contents{std::move(residues->files), std::move(found.segments), first};
  std::erase_if(contents.segments,
                [&](const SegmentName& segment) { return segment.first < contents.first; });
  if (!contents.segments.empty() && contents.segments.front().first != contents.first) {
    changing = true;
    return Corrupt(contents.segments.front().path, 0,
                   fmt::format("epochs {} to {} are missing before this segment",
                               contents.first.value, contents.segments.front().first.value - 1));
  }
  return contents;
}

// Names that come and go while a folder is listed may be missing from the list.
Result<Contents> FolderReader::Look() {
  for (int look = 1;; ++look) {
    bool changing = false;
    auto contents = LookOnce(changing);
    if (contents || !changing || look == kLooksMax) return contents;
  }
}

Result<EpochId> FolderReader::First() {
  HR_TRY(const Contents contents, Look());
  return contents.first;
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
  HR_TRY(Contents contents, Look());
  if (end.newest.Next() < contents.first) end = {"", 0, EpochId{contents.first.value - 1}};
  for (const SegmentName& segment : SegmentsFrom(std::move(contents.segments), end.newest.Next())) {
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
// is a damaged one. It has to say so twice: a writer may have overtaken the first look.
Result<void> FolderReader::CheckEnd(const End& end) {
  if (end.segment.empty()) return {};
  std::optional<Record> later;
  for (int look = 0; look < 2; ++look) {
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, end.segment, log_, end.offset));
    HR_TRY(const bool blank, cursor.IsBlank());
    if (blank && looked_behind_blank_end_) return {};
    HR_TRY(later, cursor.FindLater(end.newest.Next()));
    if (!later) {
      looked_behind_blank_end_ = true;
      return {};
    }
  }
  HR_TRY(const bool whole_by_now, IsWholeAt(end.segment, end.offset));
  if (whole_by_now) return {};  // the engine completed it meanwhile
  return Corrupt(end.segment, end.offset,
                 fmt::format("epoch {} is damaged: epoch {} after it is whole",
                             end.newest.Next().value, later->header.epoch.value));
}

Result<EpochId> FolderReader::NewestOnce() {
  // The mark first: what it covers is in the file by the time that is read.
  const MarkedEpoch mark = ReadDurableMark(files_, folder_, log_);
  HR_TRY_VOID(WalkToEnd(end_));
  HR_TRY_VOID(CheckEnd(end_));
  if (end_.newest < mark.synced)
    return Corrupt(end_.segment.empty() ? folder_ : end_.segment, end_.offset,
                   fmt::format("epoch {} is damaged or gone, and epochs up to {} were durable",
                               end_.newest.Next().value, mark.synced.value));
  // A record with a successor was synced before that was written. The last one may still fail to
  // be.
  const EpochId proven{end_.newest.value - std::min<uint64_t>(end_.newest.value, 1)};
  return std::max(proven, std::min(mark.epoch, end_.newest));
}

std::unexpected<base::Error> Changing() {
  return base::Fail(ErrorCode::kUnavailable,
                    "the engine let segments go while they were being read: retry");
}

Result<EpochId> FolderReader::Newest() {
  const std::lock_guard lock(mutex_);
  for (int look = 0; look < kLooksMax; ++look) {
    auto newest = NewestOnce();
    if (newest || newest.error().code() != ErrorCode::kNotFound) return newest;
  }
  return Changing();
}

Result<EpochRef> FolderReader::Unproven() {
  HR_TRY(const EpochId newest, Newest());
  auto bare = std::make_shared<Epoch>();
  {
    const std::lock_guard lock(mutex_);
    bare->id = end_.newest;
  }
  if (bare->id <= newest) return EpochRef();
  EpochRef unproven = std::move(bare);
  const Visitor take = [&](const EpochRef& epoch) -> Result<void> {
    unproven = epoch;
    return {};
  };
  Walk walk{unproven->id, unproven->id, take, true};
  HR_TRY_VOID(WalkAll(walk));
  return unproven;
}

Result<EpochRef> FolderReader::Decode(const Record& record, Catalogue& catalogue,
                                      const Walk& walk) {
  HR_TRY(Epoch epoch, walk.refused_only ? DecodeEpochWithoutRows(record.payload, catalogue)
                                        : DecodeEpoch(record.payload, catalogue, record.owner));
  if (epoch.id != record.header.epoch)
    return base::Fail(ErrorCode::kCorruption, "a header names another epoch");
  return std::make_shared<const Epoch>(std::move(epoch));
}

// `at`: the segment's first epoch. Ends at the walk's last epoch, or where the next is not.
Result<void> FolderReader::ScanSegment(SegmentCursor& cursor, EpochId at, Walk& walk) {
  Catalogue catalogue;
  for (; at <= walk.last; at = at.Next()) {
    const uint64_t offset = cursor.offset();
    HR_TRY(const auto header, cursor.Peek());
    if (!header || header->epoch != at) return {};  // it is in the next segment, or was missed
    if (at < walk.next && (header->flags & kChangesCatalogue) == 0) {
      cursor.Skip(*header);
      continue;
    }
    HR_TRY(const auto record, cursor.Next());
    if (!record) return {};
    if (at < walk.next) {
      HR_TRY_VOID(LearnStreams(record->payload, catalogue));
      continue;
    }
    const auto epoch = Decode(*record, catalogue, walk);
    if (!epoch) return Corrupt(cursor.path(), offset, epoch.error().message());
    const bool wanted =
        !walk.refused_only || !(*epoch)->rejects.empty() || !(*epoch)->controls.empty();
    if (wanted) HR_TRY_VOID(walk.visit(*epoch));
    walk.next = at.Next();
  }
  return {};
}

Result<void> FolderReader::WalkSegments(const Contents& contents, Walk& walk) {
  const auto segments = SegmentsFrom(contents.segments, walk.next);
  for (const SegmentName& segment : segments) {
    if (segment.first > walk.last) break;
    HR_TRY(SegmentCursor cursor, Open(segment.path, 0, walk.file_went));
    HR_TRY_VOID(ScanSegment(cursor, segment.first, walk));
    const bool goes_on = &segment != &segments.back() && (&segment)[1].first == walk.next;
    if (walk.next <= walk.last && !goes_on)
      return Corrupt(segment.path, cursor.offset(),
                     fmt::format("epoch {} is damaged", walk.next.value));
  }
  return {};
}

Result<void> FolderReader::WalkResidues(const Contents& contents, Walk& walk) {
  for (const ResidueName& name : contents.residues) {
    if (name.last < walk.next || name.first > walk.last) continue;
    const auto take = [&](const EpochRef& epoch) -> Result<void> {
      if (epoch->id > walk.last) return {};
      HR_TRY_VOID(walk.visit(epoch));
      walk.next = epoch->id.Next();
      return {};
    };
    const auto residue = OpenResidue(files_, log_, name);
    const auto scanned = residue ? ScanResidue(files_, log_, *residue, walk.next, take)
                                 : Result<void>(base::Fail(residue.error()));
    if (!scanned) {
      HR_TRY(const bool there, files_.Exists(name.path));
      walk.file_went = !there;
      return scanned;
    }
    walk.next = std::max(walk.next, std::min(name.last, walk.last).Next());
  }
  return {};
}

Result<void> FolderReader::WalkAll(Walk& walk) {
  const EpochId first = walk.next;
  for (int look = 0; look < kLooksMax; ++look) {
    HR_TRY(const Contents contents, Look());
    if (walk.refused_only) {
      walk.file_went = false;
      auto walked = WalkResidues(contents, walk);
      if (!walked && walk.file_went) continue;
      HR_TRY_VOID(std::move(walked));
    }
    if (walk.next > walk.last || contents.segments.empty()) return {};
    if (walk.next < contents.first) {
      if (walk.next != first) return Changing();
      return base::Fail(
          base::Error(ErrorCode::kFailedPrecondition,
                      fmt::format("the rows of epoch {} were let go: epoch {} is the first whose "
                                  "rows the log holds",
                                  first.value, contents.first.value))
              .With("first_held", std::to_string(contents.first.value)));
    }
    walk.file_went = false;
    auto walked = WalkSegments(contents, walk);
    if (walked || !walk.file_went) return walked;
  }
  return Changing();
}

Result<void> FolderReader::Scan(EpochId first, EpochId last, const Visitor& visit) {
  HR_TRY(const EpochId newest, Newest());
  Walk walk{std::max(first, EpochId{1}), std::min(last, newest), visit};
  return walk.next > walk.last ? Result<void>() : WalkAll(walk);
}

Result<void> FolderReader::ScanRefused(EpochId first, EpochId last, const Visitor& visit) {
  HR_TRY(const EpochId newest, Newest());
  Walk walk{std::max(first, EpochId{1}), std::min(last, newest), visit, true};
  return walk.next > walk.last ? Result<void>() : WalkAll(walk);
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

#include "log/recovery.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/core.h>

#include "base/log.h"
#include "env/paths.h"
#include "log/durable_mark.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Result;

std::unexpected<base::Error> Corrupt(const SegmentCursor& cursor, uint64_t offset,
                                     std::string what) {
  return base::Fail(base::Error(ErrorCode::kCorruption, std::move(what))
                        .With("file", cursor.path())
                        .With("offset", std::to_string(offset)));
}

Result<void> RemoveLeftovers(env::Environment& environment, const std::string& folder) {
  HR_TRY(const auto names, environment.files().List(folder));
  for (const std::string& name : names) {
    if (name != kNextSegmentName && !env::IsTemporaryName(name)) continue;
    HR_TRY_VOID(environment.files().Remove(folder + "/" + name));
    environment.CrashPoint("recovery.after_leftover");
  }
  return {};
}

// One reading of a log.
struct Reading {
  const RecoverFrom& from;
  RecoveryProgress& progress;
  const std::function<Result<void>(const Epoch&)>& visit;
  base::EpochId synced;  // as DURABLE says
  LogTail tail;
  bool knows_last_checksum = true;  // of the record before the next
  // Of this segment: the last record, and those before it that may be in memory only.
  uint64_t doubtful_bytes = 0;
};

Result<void> CheckSuccession(const SegmentCursor& cursor, const Record& record,
                             const Reading& reading) {
  const LogTail& tail = reading.tail;
  if (record.header.epoch != tail.last.Next())
    return Corrupt(cursor, record.offset,
                   fmt::format("epoch {} stands where {} belongs", record.header.epoch.value,
                               tail.last.Next().value));
  if (reading.knows_last_checksum && record.header.previous_checksum != tail.last_checksum)
    return Corrupt(
        cursor, record.offset,
        fmt::format("epoch {} does not follow the one before it", record.header.epoch.value));
  return {};
}

// A capture of the state after an epoch is worth nothing to a log in which that epoch is another.
Result<void> CheckDecided(const RecordHeader& header, const RecoverFrom& from) {
  const bool follows = header.epoch == from.decided.Next();
  const uint64_t found = follows ? header.previous_checksum : header.checksum;
  const bool tells = from.decided.value > 0 && (follows || header.epoch == from.decided);
  if (!tells || found == from.decided_checksum) return {};
  return base::Fail(ErrorCode::kConflict,
                    fmt::format("the state was captured after another epoch {} than this log has: "
                                "the log was restored from an older copy and went on from there",
                                from.decided.value));
}

void Advance(const RecordHeader& header, Reading& reading) {
  LogTail& tail = reading.tail;
  tail.last = header.epoch;
  tail.last_checksum = header.checksum;
  reading.knows_last_checksum = true;
  tail.last_bytes = RecordBytes(header.payload_bytes);
  tail.log_bytes += tail.last_bytes;
  if (header.epoch > reading.from.after) tail.visited_bytes += tail.last_bytes;
  if (header.epoch <= reading.synced.Next()) reading.doubtful_bytes = 0;
  reading.doubtful_bytes += tail.last_bytes;
  tail.segments.back().last = header.epoch;
  tail.segments.back().bytes += tail.last_bytes;
  reading.progress.Note(tail.last_bytes, 0);
}

// Steps over records before `from.after` by their headers. What is no record stays for ReadRecords
// to judge.
Result<void> StepOverRecords(SegmentCursor& cursor, Reading& reading) {
  while (reading.tail.last.Next() < reading.from.after) {
    HR_TRY(const auto header, cursor.Peek());
    if (!header || header->epoch != reading.tail.last.Next()) return {};
    if ((header->flags & kChangesCatalogue) != 0) {
      HR_TRY(const auto record, cursor.Next());
      if (!record) return {};
      if (auto learnt = LearnStreams(record->payload, reading.tail.catalogue); !learnt)
        return Corrupt(cursor, record->offset, learnt.error().message());
    } else {
      cursor.Skip(*header);
    }
    Advance(*header, reading);
  }
  return {};
}

Result<void> ReadEpoch(const SegmentCursor& cursor, const Record& record, Reading& reading) {
  if (record.header.epoch <= reading.from.after) {
    if (auto learnt = LearnStreams(record.payload, reading.tail.catalogue); !learnt)
      return Corrupt(cursor, record.offset, learnt.error().message());
    return {};
  }
  auto epoch = DecodeEpoch(record.payload, reading.tail.catalogue, record.owner);
  if (!epoch) return Corrupt(cursor, record.offset, epoch.error().message());
  if (epoch->id != record.header.epoch)
    return Corrupt(cursor, record.offset, "an epoch's header and payload name different epochs");
  HR_TRY_VOID(reading.progress.Check());
  HR_TRY_VOID(reading.visit(*epoch));
  reading.progress.Note(0, epoch->row_count());
  return {};
}

// Reads all whole records of a segment from cursor on.
Result<void> ReadRecords(SegmentCursor& cursor, Reading& reading) {
  while (true) {
    HR_TRY(const auto record, cursor.Next());
    if (!record) return {};
    HR_TRY_VOID(CheckSuccession(cursor, *record, reading));
    HR_TRY_VOID(CheckDecided(record->header, reading.from));
    HR_TRY_VOID(ReadEpoch(cursor, *record, reading));
    Advance(record->header, reading);
  }
}

// The header goes last: until then it says how far the record reaches that is half there, and what
// lies in its rows proves nothing.
Result<void> ZeroTail(env::Environment& environment, env::WritableFile& file, uint64_t begin,
                      uint64_t end) {
  constexpr uint64_t kChunkBytes = 1ULL << 20;
  environment.CrashPoint("recovery.before_zero_tail");
  const std::vector<uint8_t> zeros(std::min(kChunkBytes, end - begin), 0);
  for (uint64_t at = begin + kRecordAlignment; at < end; at += zeros.size())
    HR_TRY_VOID(
        file.WriteAt(at, std::span(zeros).first(std::min<uint64_t>(zeros.size(), end - at))));
  if (begin + kRecordAlignment < end) HR_TRY_VOID(file.Sync());
  HR_TRY_VOID(file.WriteAt(begin, std::span(zeros).first(kRecordAlignment)));
  environment.CrashPoint("recovery.after_zero_write");
  return {};
}

// The `bytes` before the cursor. A write of the same bytes harms nothing, however far it comes.
Result<void> RewriteDoubtful(env::Files& files, env::WritableFile& file,
                             const SegmentCursor& cursor, uint64_t bytes) {
  constexpr uint64_t kChunkBytes = 1ULL << 20;
  HR_TRY(const auto reader, files.OpenForReading(cursor.path()));
  std::vector<uint8_t> chunk(std::min(kChunkBytes, bytes));
  for (uint64_t at = cursor.offset() - bytes; at < cursor.offset(); at += chunk.size()) {
    chunk.resize(std::min<uint64_t>(chunk.size(), cursor.offset() - at));
    HR_TRY_VOID(reader->ReadAt(at, chunk));
    HR_TRY_VOID(file.WriteAt(at, chunk));
  }
  return {};
}

// A segment without a record: the sync of its name may have failed, and then the next one says
// nothing about it. Where a record is in it, the name was durable before.
Result<void> NameAnew(env::Environment& environment, const std::string& segment) {
  env::Files& files = environment.files();
  const std::string away = env::FolderOf(segment) + "/" + std::string(kNextSegmentName);
  HR_TRY_VOID(files.Rename(segment, away));
  environment.CrashPoint("recovery.between_names");
  return files.Rename(away, segment);
}

std::string WhyNoEnd(base::EpochId missing, const RecordHeader& found, base::LogId log) {
  if (found.log != log)
    return fmt::format("there are records of another log, {}", found.log.ToString());
  return fmt::format("epoch {} is damaged: epoch {} after it is whole", missing.value,
                     found.epoch.value);
}

Result<void> CheckReachesDecided(const LogTail& tail, const RecoverFrom& from) {
  if (tail.last >= from.decided) return {};
  return base::Fail(
      ErrorCode::kConflict,
      fmt::format("the state was captured after epoch {}, and this log ends with epoch {}: it was "
                  "restored from an older copy, or has lost its end",
                  from.decided.value, tail.last.value));
}

// What the durable mark says was synced was: if it can't be read it is damage, no torn write.
Result<void> CheckReachesMark(const std::string& path, uint64_t offset, base::EpochId last,
                              const MarkedEpoch& mark) {
  if (last >= mark.synced) return {};
  return base::Fail(
      base::Error(ErrorCode::kCorruption,
                  fmt::format("epoch {} is damaged or gone, and epochs up to {} were durable: "
                              "restore the file from a copy",
                              last.Next().value, mark.synced.value))
          .With("file", path)
          .With("offset", std::to_string(offset)));
}

// What lies behind the cursor is overwritten, and the last records in front of it once more.
struct TailWrites {
  uint64_t end_of_dirt = 0;
  uint64_t doubtful_bytes = 0;
};

// Steps 4 and 5, as often as need be.
Result<void> WriteTail(env::Environment& environment, env::WritableFile& file,
                       const SegmentCursor& cursor, const TailWrites& writes) {
  if (writes.end_of_dirt > cursor.offset())
    HR_TRY_VOID(ZeroTail(environment, file, cursor.offset(), writes.end_of_dirt));
  environment.CrashPoint("recovery.before_rewrite");
  HR_TRY_VOID(RewriteDoubtful(environment.files(), file, cursor, writes.doubtful_bytes));
  environment.CrashPoint("recovery.after_rewrite");
  return file.Sync();
}

// On a disk that copies on write, what is there may not be written again when it is full. Then the
// space goes that retention holds for a residue; it is taken again when a segment went.
Result<void> WriteTailOnFullDisk(env::Environment& environment, env::WritableFile& file,
                                 const SegmentCursor& cursor, const TailWrites& writes) {
  auto written = WriteTail(environment, file, cursor, writes);
  if (written || written.error().code() != ErrorCode::kStorageFull) return written;
  env::Files& files = environment.files();
  const std::string folder = env::FolderOf(cursor.path());
  const std::string reserve = folder + "/" + std::string(kReserveName);
  HR_TRY(const bool there, files.Exists(reserve));
  if (!there) return written;
  base::LogWarning("log.reserve_given_up",
                   {{"file", reserve}, {"error", written.error().ToString()}});
  HR_TRY_VOID(files.Remove(reserve));
  HR_TRY_VOID(files.SyncFolder(folder));
  return WriteTail(environment, file, cursor, writes);
}

// Steps 3 to 5 for the last segment.
Result<void> CloseTail(env::Environment& environment, SegmentCursor& cursor, const Reading& reading,
                       base::LogId log, const MarkedEpoch& mark) {
  const LogTail& tail = reading.tail;
  HR_TRY(auto file, environment.files().OpenForWriting(cursor.path(), env::Files::Open::kExisting));
  HR_TRY(const uint64_t end_of_dirt, cursor.EndOfDirt());
  const uint64_t torn_bytes = end_of_dirt - cursor.offset();
  if (torn_bytes > 0) {
    HR_TRY(const auto later, cursor.FindLater(tail.last.Next()));
    if (later)
      return Corrupt(cursor, cursor.offset(), WhyNoEnd(tail.last.Next(), later->header, log));
  }
  HR_TRY_VOID(CheckReachesDecided(tail, reading.from));
  HR_TRY_VOID(CheckReachesMark(cursor.path(), cursor.offset(), tail.last, mark));
  if (torn_bytes > 0) {
    base::LogWarning("log.torn_tail_zeroed", {{"file", cursor.path()},
                                              {"offset", std::to_string(cursor.offset())},
                                              {"bytes", std::to_string(torn_bytes)},
                                              {"after_epoch", std::to_string(tail.last.value)}});
  }
  HR_TRY_VOID(
      WriteTailOnFullDisk(environment, *file, cursor,
                          {.end_of_dirt = end_of_dirt, .doubtful_bytes = reading.doubtful_bytes}));
  environment.CrashPoint("recovery.after_sync");
  if (torn_bytes > 0) environment.CrashPoint("recovery.after_zero_tail");
  return tail.last_bytes == 0 ? NameAnew(environment, cursor.path()) : Result<void>();
}

// A segment with a successor, which begins with epoch `next`, was whole and blank behind its
// records. What is there now is a damaged record; or, when no epoch is missing, zeros that the disk
// changed.
Result<void> CheckSealed(SegmentCursor& cursor, base::EpochId last, base::EpochId next) {
  HR_TRY(const uint64_t end_of_dirt, cursor.EndOfDirt());
  if (end_of_dirt == cursor.offset()) return {};
  HR_TRY(const auto later, cursor.FindLater(last.Next()));
  if (later || next != last.Next())
    return Corrupt(cursor, cursor.offset(), "a record is damaged, and a later segment follows");
  base::LogWarning("log.not_blank_behind_records",
                   {{"file", cursor.path()},
                    {"offset", std::to_string(cursor.offset())},
                    {"bytes", std::to_string(end_of_dirt - cursor.offset())},
                    {"after_epoch", std::to_string(last.value)},
                    {"why", "the disk changed what was zero there; no epoch is missing"}});
  return {};
}

// The sync of its name may have failed. On a full disk it is believed: only what goes makes room.
Result<void> PutResidueAgain(env::Files& files, const std::string& folder,
                             const std::string& path) {
  auto put = env::PutAgain(files, path);
  if (put || put.error().code() != ErrorCode::kStorageFull) return put;
  HR_TRY_VOID(files.SyncFolder(folder));
  base::LogWarning("log.residue_not_put_again",
                   {{"file", path}, {"error", put.error().ToString()}});
  return {};
}

// What retention had begun when the engine ended is finished.
Result<void> SettleRetention(env::Environment& environment, const std::string& folder,
                             base::LogId log, LogFiles& found, LogTail& tail) {
  env::Files& files = environment.files();
  HR_TRY(const ResidueNames residues, SortResidues(found.residues));
  for (const ResidueName& name : residues.files) {
    HR_TRY(ResidueFile file, OpenResidue(files, log, name));
    tail.residues.push_back(std::move(file));
  }
  const auto was_let_go = [&](const SegmentName& segment) {
    return segment.first <= residues.through();
  };
  if (!found.segments.empty() && was_let_go(found.segments.front())) {
    // Only what is whole takes a segment's place.
    HR_TRY_VOID(ScanResidue(files, log, tail.residues.back(), {},
                            [](const EpochRef&) { return Result<void>(); }));
    environment.CrashPoint("retain.before_settle");
  }
  for (const ResidueName& name : residues.files) {
    const bool replaces = (name.last == residues.through() && !found.segments.empty() &&
                           was_let_go(found.segments.front())) ||
                          std::ranges::any_of(residues.superfluous, [&](const ResidueName& each) {
                            return name.first <= each.first && each.last <= name.last;
                          });
    if (replaces) HR_TRY_VOID(PutResidueAgain(files, folder, name.path));
  }
  for (const ResidueName& name : residues.superfluous) HR_TRY_VOID(files.Remove(name.path));
  for (const SegmentName& segment : found.segments) {
    if (!was_let_go(segment)) continue;
    base::LogInfo("log.segment_let_go", {{"file", segment.path}, {"at", "start"}});
    HR_TRY_VOID(files.Remove(segment.path));
  }
  std::erase_if(found.segments, was_let_go);
  return {};
}

// Begins behind what was let go.
Result<void> PassResidues(Reading& reading) {
  LogTail& tail = reading.tail;
  if (tail.residues.empty()) return {};
  const ResidueHead& head = tail.residues.back().head;
  if (reading.from.after < head.last)
    return base::Fail(
        base::Error(ErrorCode::kFailedPrecondition,
                    fmt::format("epochs {} to {} of the log were let go, and no usable snapshot "
                                "covers them",
                                reading.from.after.value + 1, head.last.value))
            .With("first_held", std::to_string(head.last.Next().value)));
  tail.last = head.last;
  tail.last_checksum = head.last_checksum;
  return {};
}

Result<void> CheckBegin(const SegmentName& segment, base::EpochId last) {
  if (segment.first == last.Next()) return {};
  return base::Fail(base::Error(ErrorCode::kCorruption,
                                fmt::format("epochs {} to {} are missing before this segment",
                                            last.Next().value, segment.first.value - 1))
                        .With("file", segment.path)
                        .With("offset", "0"));
}

// Segments that hold only epochs before `from.after` are counted, and not opened.
Result<size_t> PassSegments(env::Files& files, const std::vector<SegmentName>& segments,
                            Reading& reading) {
  size_t first = 0;
  while (first + 1 < segments.size() && segments[first + 1].first <= reading.from.after) {
    HR_TRY(const auto file, files.OpenForReading(segments[first].path));
    const base::EpochId last{segments[first + 1].first.value - 1};
    reading.tail.segments.push_back(
        {segments[first].first, last, segments[first].path, file->size()});
    reading.tail.log_bytes += file->size();
    ++first;
  }
  if (first > 0) {
    reading.tail.last = reading.tail.segments.back().last;
    reading.knows_last_checksum = false;
  }
  return first;
}

// About where the zeros of a preallocated segment begin: found by halving, so a record with a
// blank stretch may mislead it. For estimates only.
Result<uint64_t> AboutWritten(env::Files& files, const std::string& path) {
  HR_TRY(const auto file, files.OpenForReading(path));
  uint64_t begin = 0;
  uint64_t end = file->size() / kRecordAlignment;
  std::array<uint8_t, kRecordAlignment> block{};
  while (begin < end) {
    const uint64_t middle = begin + (end - begin) / 2;
    HR_TRY_VOID(file->ReadAt(middle * kRecordAlignment, block));
    const bool blank = std::ranges::all_of(block, [](uint8_t byte) { return byte == 0; });
    blank ? end = middle : begin = middle + 1;
  }
  return begin * kRecordAlignment;
}

// Sealed segments count whole: what is left free at their ends is less than a record.
Result<uint64_t> AboutWritten(env::Files& files, std::span<const SegmentName> segments) {
  if (segments.empty()) return 0;
  HR_TRY(uint64_t bytes, AboutWritten(files, segments.back().path));
  for (const SegmentName& segment : segments.first(segments.size() - 1)) {
    HR_TRY(const auto file, files.OpenForReading(segment.path));
    bytes += file->size();
  }
  return bytes;
}

}  // namespace

Result<LogTail> Recover(env::Environment& environment, const std::string& folder, base::LogId log,
                        const RecoverFrom& from, RecoveryProgress& progress,
                        const std::function<Result<void>(const Epoch&)>& visit) {
  env::Files& files = environment.files();
  const MarkedEpoch mark = ReadDurableMark(files, folder, log);
  HR_TRY_VOID(RemoveLeftovers(environment, folder));
  HR_TRY(LogFiles found, ListLog(files, folder));
  Reading reading{from, progress, visit, mark.synced, {}};
  LogTail& tail = reading.tail;
  HR_TRY_VOID(SettleRetention(environment, folder, log, found, tail));
  HR_TRY_VOID(PassResidues(reading));
  const std::vector<SegmentName>& segments = found.segments;
  // The name of a segment is on stable storage before a record in it is, and the last one stays.
  // One without a record may have none (NameAnew).
  if (segments.empty() && (!tail.residues.empty() || mark.synced.value > 0))
    return base::Fail(base::Error(ErrorCode::kCorruption, "the log's segments are gone")
                          .With("file", SegmentPath(folder, tail.last.Next())));
  if (!segments.empty()) HR_TRY_VOID(CheckBegin(segments.front(), tail.last));
  HR_TRY(const size_t first_read, PassSegments(files, segments, reading));
  HR_TRY(const uint64_t bytes, AboutWritten(files, std::span(segments).subspan(first_read)));
  progress.Begin(RecoveryPhase::kLog, bytes);
  for (size_t i = first_read; i < segments.size(); ++i) {
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files, segments[i].path, log));
    HR_TRY_VOID(CheckBegin(segments[i], tail.last));
    tail.segments.push_back({segments[i].first, tail.last, segments[i].path, 0});
    tail.last_bytes = 0;
    reading.doubtful_bytes = 0;
    HR_TRY_VOID(StepOverRecords(cursor, reading));
    HR_TRY_VOID(ReadRecords(cursor, reading));
    const bool is_last = i + 1 == segments.size();
    environment.CrashPoint("recovery.after_segment");
    HR_TRY_VOID(is_last ? CloseTail(environment, cursor, reading, log, mark)
                        : CheckSealed(cursor, tail.last, segments[i + 1].first));
    tail.segment = cursor.path();
    tail.offset = cursor.offset();
  }
  HR_TRY_VOID(CheckReachesDecided(tail, from));
  HR_TRY_VOID(CheckReachesMark(folder, 0, tail.last, mark));
  HR_TRY_VOID(files.SyncFolder(folder));
  environment.CrashPoint("recovery.after_folder_sync");
  return std::move(tail);
}

}  // namespace headrace::log

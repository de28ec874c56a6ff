#include "log/recovery.h"

#include <algorithm>
#include <vector>

#include <fmt/core.h>

#include "base/log.h"
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

Result<void> RemoveLeftovers(env::Files& files, const std::string& folder) {
  HR_TRY(const auto names, files.List(folder));
  for (const std::string& name : names)
    if (name == kNextSegmentName || env::IsTemporaryName(name))
      HR_TRY_VOID(files.Remove(folder + "/" + name));
  return {};
}

Result<void> CheckSuccession(const SegmentCursor& cursor, const Record& record,
                             const LogTail& tail) {
  if (record.header.epoch != tail.last.Next())
    return Corrupt(cursor, record.offset,
                   fmt::format("epoch {} stands where {} belongs", record.header.epoch.value,
                               tail.last.Next().value));
  if (record.header.previous_checksum != tail.last_checksum)
    return Corrupt(
        cursor, record.offset,
        fmt::format("epoch {} does not follow the one before it", record.header.epoch.value));
  return {};
}

// Reads all whole records of a segment.
Result<void> ReadRecords(SegmentCursor& cursor, LogTail& tail,
                         const std::function<Result<void>(const Epoch&)>& visit) {
  tail.last_bytes = 0;
  while (true) {
    HR_TRY(const auto record, cursor.Next());
    if (!record) return {};
    HR_TRY_VOID(CheckSuccession(cursor, *record, tail));
    auto epoch = DecodeEpoch(record->payload, tail.catalogue, record->owner);
    if (!epoch) return Corrupt(cursor, record->offset, epoch.error().message());
    if (epoch->id != record->header.epoch)
      return Corrupt(cursor, record->offset, "an epoch's header and payload name different epochs");
    HR_TRY_VOID(visit(*epoch));
    tail.last = record->header.epoch;
    tail.last_checksum = record->header.checksum;
    tail.last_bytes = RecordBytes(record->header.payload_bytes);
    tail.log_bytes += tail.last_bytes;
  }
}

Result<void> ZeroTail(env::Environment& environment, env::WritableFile& file, uint64_t begin,
                      uint64_t end) {
  constexpr uint64_t kChunkBytes = 1ULL << 20;
  environment.CrashPoint("recovery.before_zero_tail");
  const std::vector<uint8_t> zeros(std::min(kChunkBytes, end - begin), 0);
  for (uint64_t at = begin; at < end; at += zeros.size())
    HR_TRY_VOID(
        file.WriteAt(at, std::span(zeros).first(std::min<uint64_t>(zeros.size(), end - at))));
  return {};
}

Result<void> RewriteLast(env::Files& files, env::WritableFile& file, const SegmentCursor& cursor,
                         const LogTail& tail) {
  if (tail.last_bytes == 0) return {};
  std::vector<uint8_t> record(tail.last_bytes);
  const uint64_t offset = cursor.offset() - tail.last_bytes;
  HR_TRY(const auto reader, files.OpenForReading(cursor.path()));
  HR_TRY_VOID(reader->ReadAt(offset, record));
  return file.WriteAt(offset, record);
}

std::string WhyNoEnd(base::EpochId missing, const RecordHeader& found, base::LogId log) {
  if (found.log != log)
    return fmt::format("there are records of another log, {}", found.log.ToString());
  return fmt::format("epoch {} is damaged: epoch {} after it is whole", missing.value,
                     found.epoch.value);
}

// Steps 3 to 5 for the last segment.
Result<void> CloseTail(env::Environment& environment, SegmentCursor& cursor, const LogTail& tail,
                       base::LogId log) {
  HR_TRY(auto file, environment.files().OpenForWriting(cursor.path(), env::Files::Open::kExisting));
  HR_TRY(const uint64_t end_of_dirt, cursor.EndOfDirt());
  const uint64_t torn_bytes = end_of_dirt - cursor.offset();
  if (torn_bytes > 0) {
    HR_TRY(const auto later, cursor.FindLater(tail.last.Next()));
    if (later)
      return Corrupt(cursor, cursor.offset(), WhyNoEnd(tail.last.Next(), later->header, log));
    base::LogWarning("log.torn_tail_zeroed", {{"file", cursor.path()},
                                              {"offset", std::to_string(cursor.offset())},
                                              {"bytes", std::to_string(torn_bytes)},
                                              {"after_epoch", std::to_string(tail.last.value)}});
    HR_TRY_VOID(ZeroTail(environment, *file, cursor.offset(), end_of_dirt));
  }
  HR_TRY_VOID(RewriteLast(environment.files(), *file, cursor, tail));
  HR_TRY_VOID(file->Sync());
  if (torn_bytes > 0) environment.CrashPoint("recovery.after_zero_tail");
  return {};
}

// A segment with a successor must be whole to its end.
Result<void> CheckSealed(SegmentCursor& cursor) {
  HR_TRY(const uint64_t end_of_dirt, cursor.EndOfDirt());
  if (end_of_dirt == cursor.offset()) return {};
  return Corrupt(cursor, cursor.offset(), "a record is damaged, and a later segment follows");
}

}  // namespace

Result<LogTail> Recover(env::Environment& environment, const std::string& folder, base::LogId log,
                        const std::function<Result<void>(const Epoch&)>& visit) {
  env::Files& files = environment.files();
  HR_TRY_VOID(RemoveLeftovers(files, folder));
  HR_TRY(const std::vector<SegmentName> segments, ListSegments(files, folder));
  LogTail tail;
  for (size_t i = 0; i < segments.size(); ++i) {
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files, segments[i].path, log));
    if (segments[i].first != tail.last.Next())
      return Corrupt(cursor, 0,
                     fmt::format("epochs {} to {} are missing before this segment",
                                 tail.last.Next().value, segments[i].first.value - 1));
    HR_TRY_VOID(ReadRecords(cursor, tail, visit));
    const bool is_last = i + 1 == segments.size();
    HR_TRY_VOID(is_last ? CloseTail(environment, cursor, tail, log) : CheckSealed(cursor));
    tail.segment = cursor.path();
    tail.offset = cursor.offset();
  }
  HR_TRY_VOID(files.SyncFolder(folder));
  return tail;
}

}  // namespace headrace::log

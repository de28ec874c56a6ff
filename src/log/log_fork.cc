// ForkLog: the records of a log under another id, without what they plan for the original's tables.

#include <algorithm>

#include <fmt/core.h>

#include "log/durable_mark.h"
#include "log/epoch_codec.h"
#include "log/log_folder.h"
#include "log/log_survey.h"
#include "log/reader.h"
#include "log/record.h"
#include "log/residue.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr size_t kBytesBeforePreface = 48;  // of an epoch: its number and its times

class Fork {
 public:
  Fork(env::Environment& environment, base::LogId from, std::string to,
       const SurveyProgress& progress)
      : files_(environment.files()), from_(from), to_(std::move(to)), progress_(progress) {
    environment.Random(report_.log.bytes);
  }

  Result<ForkReport> Copy(const LogFiles& found, const ResidueNames& residues, EpochId last) {
    for (const SegmentName& segment : found.segments) {
      HR_TRY(const auto file, files_.OpenForReading(segment.path));
      total_bytes_ += file->size();
    }
    for (const ResidueName& name : residues.files) HR_TRY_VOID(CopyResidue(name));
    for (const SegmentName& segment : found.segments)
      if (segment.first > residues.through() && segment.first <= last)
        HR_TRY_VOID(CopySegment(segment, last));
    if (report_.last != last)
      return Fail(base::Error(ErrorCode::kCorruption,
                              fmt::format("epoch {} is damaged", report_.last.value + 1)));
    HR_TRY(DurableMark mark, DurableMark::Open(files_, to_, report_.log, Durability::kFsync));
    HR_TRY_VOID(mark.End(last));
    HR_TRY_VOID(files_.SyncFolder(to_));
    HR_TRY_VOID(WriteLogId(files_, to_, report_.log));
    return report_;
  }

 private:
  Result<void> CopyResidue(const ResidueName& name) {
    HR_TRY(const ResidueFile residue, OpenResidue(files_, from_, name));
    // Its last checksum is that of the last segment let go, in the original's chain: the copy's
    // first segment follows the same number, which no other log has with this id.
    std::vector<uint8_t> bytes;
    uint64_t previous = 0;
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, name.path, from_));
    for (uint32_t i = 0; i <= residue.head.records; ++i) {
      HR_TRY(const auto record, cursor.Next());
      if (!record) return Damaged(name.path, cursor.offset());
      const std::vector<uint8_t> sealed = Sealed(record->header, record->payload, previous);
      bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    }
    chain_ = residue.head.last_checksum;
    report_.last = name.last;
    ++report_.residues;
    report_.bytes += bytes.size();
    const std::string path = ResiduePath(to_, name.first, name.last);
    HR_TRY(auto file, files_.OpenForWriting(path, env::Files::Open::kCreateNew));
    HR_TRY_VOID(file->WriteAt(0, bytes));
    return file->Sync();
  }

  Result<void> CopySegment(const SegmentName& segment, EpochId last) {
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, segment.path, from_));
    const std::string path = SegmentPath(to_, segment.first);
    HR_TRY(auto file, files_.OpenForWriting(path, env::Files::Open::kCreateNew));
    uint64_t offset = 0;
    Catalogue catalogue;  // of this segment
    while (report_.last < last) {
      const uint64_t read_from = cursor.offset();
      HR_TRY(const auto record, cursor.Next());
      if (!record) break;
      if (record->header.epoch != report_.last.Next()) return Damaged(segment.path, read_from);
      const auto kept = WithoutPlans(*record, catalogue);
      if (!kept) return Damaged(segment.path, read_from);
      const std::vector<uint8_t> sealed = Sealed(record->header, *kept, chain_);
      HR_TRY_VOID(file->WriteAt(offset, sealed));
      offset += sealed.size();
      report_.last = record->header.epoch;
      copied_bytes_ += sealed.size();
      if (progress_) progress_(copied_bytes_, total_bytes_);
    }
    ++report_.segments;
    report_.bytes += offset;
    return file->Sync();
  }

  std::unexpected<base::Error> Damaged(const std::string& path, uint64_t offset) const {
    return Fail(base::Error(ErrorCode::kCorruption,
                            fmt::format("epoch {} is damaged: nothing behind it is copied",
                                        report_.last.value + 1))
                    .With("file", path)
                    .With("offset", std::to_string(offset)));
  }

  // An epoch's payload. What is planned is about the original's tables, which the copy does not
  // have: its own publisher begins with its first epoch. Of a log that has let rows go no engine
  // starts, and the plans tell a reader that those are in no table.
  Result<std::vector<uint8_t>> WithoutPlans(const Record& record, Catalogue& catalogue) const {
    const auto is_plan = [this](const ControlEntry& entry) {
      return report_.residues == 0 && (entry.kind == ControlEntry::Kind::kPublishPlan ||
                                       entry.kind == ControlEntry::Kind::kRewritePlan);
    };
    HR_TRY(const Epoch head, DecodeEpochWithoutRows(record.payload, catalogue));
    if (std::ranges::none_of(head.controls, is_plan))
      return std::vector<uint8_t>(record.payload.begin(), record.payload.end());
    HR_TRY(Epoch epoch, DecodeEpoch(record.payload, catalogue, record.owner));
    std::erase_if(epoch.controls, is_plan);
    Catalogue preface;
    columns::ByteReader in(record.payload);
    HR_TRY_VOID(in.Bytes(kBytesBeforePreface));
    HR_TRY_VOID(DecodePreface(in, preface));
    std::vector<uint8_t> payload;
    columns::ByteWriter out(payload);
    EncodeEpoch(epoch, preface.entries(), out);
    return payload;
  }

  // The record under the new id, behind `previous`, which it becomes.
  std::vector<uint8_t> Sealed(RecordHeader header, std::span<const uint8_t> payload,
                              uint64_t& previous) const {
    std::vector<uint8_t> bytes(kRecordHeaderBytes, 0);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    header.payload_bytes = payload.size();
    header.log = report_.log;
    header.previous_checksum = previous;
    previous = SealRecord(header, bytes);
    return bytes;
  }

  env::Files& files_;
  const base::LogId from_;
  const std::string to_;
  const SurveyProgress& progress_;
  ForkReport report_;
  uint64_t chain_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t copied_bytes_ = 0;
};

// After a power cut nothing but its being whole tells of the last epoch, which may be acknowledged:
// a start keeps it, and so does a fork. While an engine has the log it may still fail to be synced.
Result<EpochId> WithWhatAStartKeeps(env::Files& files, const std::string& from, LogReader& reader,
                                    EpochId durable) {
  const auto lock = files.Lock(from + "/" + std::string(kLockName));
  if (!lock && lock.error().code() == ErrorCode::kConflict) return durable;
  HR_TRY(const EpochRef unproven, reader.Unproven());
  return unproven == nullptr ? durable : unproven->id;
}

Result<void> CheckTarget(env::Files& files, const std::string& to) {
  HR_TRY_VOID(files.CreateFolders(to));
  HR_TRY(const auto names, files.List(to));
  if (names.empty()) return {};
  return Fail(
      base::Error(ErrorCode::kAlreadyExists, "the folder for the copy is not empty: name a new one")
          .With("folder", to));
}

}  // namespace

Result<ForkReport> ForkLog(env::Environment& environment, const std::string& from,
                           const std::string& to, std::optional<EpochId> through,
                           const SurveyProgress& progress) {
  env::Files& files = environment.files();
  HR_TRY(const auto reader, LogReader::Open(environment, from));
  HR_TRY(const EpochId durable, reader->Newest());
  HR_TRY(const EpochId first, reader->First());
  HR_TRY(const LogFiles found, ListLog(files, from));
  HR_TRY(const EpochId newest, WithWhatAStartKeeps(files, from, *reader, durable));
  const EpochId last = through.value_or(newest);
  if (last > newest || last.Next() < first || last.value == 0)
    return Fail(base::Error(ErrorCode::kFailedPrecondition,
                            fmt::format("the log has the rows of epochs {} to {}", first.value,
                                        newest.value))
                    .With("through", std::to_string(last.value)));
  HR_TRY(const ResidueNames residues, SortResidues(found.residues));
  if (last <= residues.through())
    return Fail(base::Error(ErrorCode::kFailedPrecondition,
                            "a log can't end among epochs that were let go"));
  // The plans of later epochs tell which rows it has let go.
  if (!residues.files.empty() && last < newest)
    return Fail(base::Error(ErrorCode::kFailedPrecondition,
                            "a log that has let rows go is copied to its end only"));
  HR_TRY_VOID(CheckTarget(files, to));
  Fork fork(environment, reader->log(), to, progress);
  auto copied = fork.Copy(found, residues, last);
  if (!copied && copied.error().code() == ErrorCode::kNotFound)
    return Fail(base::Error(ErrorCode::kUnavailable,
                            "the engine let segments go while they were being copied: remove the "
                            "unfinished copy and retry")
                    .With("folder", to));
  return copied;
}

}  // namespace headrace::log

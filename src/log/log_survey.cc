#include "log/log_survey.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/counts.h"
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

class Surveyor {
 public:
  Surveyor(env::Files& files, std::string folder, const SurveyProgress& progress)
      : files_(files), folder_(std::move(folder)), progress_(progress) {}

  Result<LogSurvey> Look(bool& changed) {
    HR_TRY(survey_.log, ReadLogId(files_, folder_));
    // Before the segments: what it covers must be there.
    mark_ = ReadDurableMark(files_, folder_, survey_.log);
    survey_.durable = mark_.epoch;
    HR_TRY_VOID(CheckMark());
    HR_TRY(const LogFiles found, ListLog(files_, folder_));
    const auto residues = SortResidues(found.residues);
    if (!residues) {
      AddDamage(residues.error());
      changed_ = true;
    }
    HR_TRY_VOID(SumBytes(found));
    for (const ResidueName& name : residues ? residues->files : std::vector<ResidueName>())
      HR_TRY_VOID(LookAtResidue(name));
    survey_.first = residues ? residues->through().Next() : EpochId{1};
    HR_TRY_VOID(LookAtSegments(found.segments));
    CheckReach();
    survey_.streams = catalogue_.entries();
    changed = changed_;
    return std::move(survey_);
  }

 private:
  void Add(const std::string& path, uint64_t offset, std::string what) {
    survey_.damages.push_back({path, offset, std::move(what)});
  }

  void AddDamage(const base::Error& error) {
    Damage damage{folder_, 0, error.message()};
    for (const auto& [name, value] : error.context()) {
      if (name == "file") damage.path = value;
      if (name == "offset") damage.offset = std::stoull(value);
    }
    survey_.damages.push_back(std::move(damage));
  }

  // A file that went since it was listed is a change, no damage.
  Result<void> Judge(const Result<void>& looked) {
    if (looked) return {};
    if (looked.error().code() == ErrorCode::kNotFound) {
      changed_ = true;
      return {};
    }
    if (looked.error().code() != ErrorCode::kCorruption) return looked;
    AddDamage(looked.error());
    return {};
  }

  Result<void> CheckMark() {
    const std::string path = folder_ + "/DURABLE";
    HR_TRY(const bool there, files_.Exists(path));
    if (!there) return {};
    const auto bytes = files_.ReadAll(path);
    if (!bytes || bytes->size() < 16) return {};  // its first bytes did not fit the disk
    if (DurableMarkIsWhole(files_, folder_, survey_.log)) return {};
    Add(path, 0, "the durable mark fails its checksum: a start writes it anew");
    return {};
  }

  Result<void> SumBytes(const LogFiles& found) {
    const auto add = [&](const std::string& path) -> Result<void> {
      const auto file = files_.OpenForReading(path);
      if (file) total_bytes_ += (*file)->size();
      return file || file.error().code() == ErrorCode::kNotFound
                 ? Result<void>()
                 : Result<void>(base::Fail(file.error()));
    };
    for (const SegmentName& segment : found.segments) HR_TRY_VOID(add(segment.path));
    for (const ResidueName& residue : found.residues) HR_TRY_VOID(add(residue.path));
    return {};
  }

  Result<void> LookAtResidue(const ResidueName& name) {
    SurveyedFile file{.path = name.path, .first = name.first, .last = name.last};
    const auto look = [&]() -> Result<void> {
      HR_TRY(const ResidueFile residue, OpenResidue(files_, survey_.log, name));
      file.bytes = file.file_bytes = residue.bytes;
      survey_.refused_forgotten += residue.head.forgotten;
      for (const StreamEntry& entry : residue.head.streams) catalogue_.Put(entry);
      previous_checksum_ = residue.head.last_checksum;
      return ScanResidue(files_, survey_.log, residue, {}, [&](const EpochRef& epoch) {
        Count(*epoch, file);
        return Result<void>();
      });
    };
    previous_checksum_.reset();
    HR_TRY_VOID(Judge(look()));
    Tell(file.file_bytes);
    survey_.residues.push_back(std::move(file));
    return {};
  }

  static void Count(const Epoch& epoch, SurveyedFile& file) {
    for (const StreamRows& rows : epoch.streams) file.rows += rows.rows.rows();
    for (const StreamRejects& rejects : epoch.rejects) file.refused += rejects.rows.size();
    file.controls += epoch.controls.size();
  }

  Result<void> LookAtSegments(const std::vector<SegmentName>& segments) {
    EpochId expected = survey_.first;
    if (survey_.residues.empty()) previous_checksum_ = 0;
    for (const SegmentName& segment : segments) {
      if (segment.first < survey_.first) continue;  // a start removes it: the residue covers it
      if (segment.first != expected) {
        Add(segment.path, 0,
            fmt::format("epochs {} to {} are missing before this segment", expected.value,
                        segment.first.value - 1));
        previous_checksum_.reset();
      }
      SurveyedFile file{
          .path = segment.path, .first = segment.first, .last = EpochId{segment.first.value - 1}};
      const bool is_last = &segment == &segments.back();
      if (!is_last) expected = (&segment)[1].first;
      HR_TRY_VOID(Judge(LookAtSegment(file, is_last ? std::nullopt : std::optional(expected))));
      if (!is_last && file.last.Next() != expected) {
        previous_checksum_.reset();
        if (survey_.damages.empty() || survey_.damages.back().path != segment.path)
          Add(segment.path, file.bytes,
              fmt::format("epoch {} is damaged or missing", file.last.Next().value));
      }
      survey_.last = std::max(survey_.last, file.last);
      survey_.segments.push_back(std::move(file));
    }
    return {};
  }

  // `next`: with which epoch the segment behind it begins; nothing: there is none.
  Result<void> LookAtSegment(SurveyedFile& file, std::optional<EpochId> next) {
    HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files_, file.path, survey_.log));
    file.file_bytes = cursor.size();
    Catalogue catalogue;
    uint64_t told = 0;
    while (true) {
      const uint64_t offset = cursor.offset();
      HR_TRY(const auto record, cursor.Next());
      if (!record) break;
      if (!Follows(*record, file)) {
        Add(file.path, offset,
            fmt::format("epoch {} does not follow the one before it", record->header.epoch.value));
      }
      previous_checksum_ = record->header.checksum;
      file.last = record->header.epoch;
      file.bytes = cursor.offset();
      const auto epoch = DecodeEpoch(record->payload, catalogue, record->owner);
      if (!epoch) {
        Add(file.path, offset, epoch.error().message());
        continue;
      }
      Count(*epoch, file);
      survey_.clock_first = std::min(survey_.clock_first, epoch->clock);
      survey_.clock_last = std::max(survey_.clock_last, epoch->clock);
      Tell(cursor.offset() - std::exchange(told, cursor.offset()));
    }
    for (const StreamEntry& entry : catalogue.entries()) catalogue_.Put(entry);
    HR_TRY_VOID(LookBehind(cursor, file, next));
    Tell(file.file_bytes - told);
    return {};
  }

  bool Follows(const Record& record, const SurveyedFile& file) const {
    return record.header.epoch == file.last.Next() &&
           (!previous_checksum_ || record.header.previous_checksum == *previous_checksum_);
  }

  // What is no record, and not nothing.
  Result<void> LookBehind(SegmentCursor& cursor, const SurveyedFile& file,
                          std::optional<EpochId> next) {
    HR_TRY(const uint64_t end_of_dirt, cursor.EndOfDirt());
    if (end_of_dirt == cursor.offset()) return {};
    HR_TRY(const auto later, cursor.FindLater(file.last.Next()));
    if (later && later->header.log != survey_.log) {
      Add(file.path, later->offset,
          fmt::format("there are records of another log, {}", later->header.log.ToString()));
    } else if (later) {
      HR_TRY(SegmentCursor again,
             SegmentCursor::Open(files_, file.path, survey_.log, cursor.offset()));
      HR_TRY(const auto whole_by_now, again.Next());
      HR_TRY(const auto still, again.FindLater(file.last.Next()));
      if (whole_by_now || !still) return {};  // an engine went on writing
      Add(file.path, cursor.offset(), fmt::format("epoch {} is damaged", file.last.value + 1));
    } else if (!next) {
      survey_.torn_bytes = end_of_dirt - cursor.offset();
    } else if (*next == file.last.Next()) {
      survey_.strays.push_back(
          {file.path, cursor.offset(),
           fmt::format("within the {} behind epoch {} some are not zero; no epoch is missing",
                       base::Counted(end_of_dirt - cursor.offset(), "byte"), file.last.value)});
    } else {
      Add(file.path, cursor.offset(), fmt::format("epoch {} is damaged", file.last.value + 1));
    }
    return {};
  }

  void CheckReach() {
    if (survey_.segments.empty()) {
      // The name of a segment is on stable storage before a record in it is, and the last one
      // stays.
      if (mark_.synced.value > 0 || !survey_.residues.empty())
        Add(SegmentPath(folder_, survey_.first), 0, "the log's segments are gone");
      return;
    }
    if (mark_.synced <= survey_.last || !survey_.damages.empty()) return;
    const SurveyedFile& last = survey_.segments.back();
    Add(last.path, last.bytes,
        fmt::format("epoch {} was durable and is not whole now", survey_.last.value + 1));
  }

  void Tell(uint64_t bytes) {
    told_bytes_ += bytes;
    if (progress_) progress_(std::min(told_bytes_, total_bytes_), total_bytes_);
  }

  env::Files& files_;
  const std::string folder_;
  const SurveyProgress& progress_;
  LogSurvey survey_;
  MarkedEpoch mark_;
  Catalogue catalogue_;
  std::optional<uint64_t> previous_checksum_;  // nothing: it can't be known
  bool changed_ = false;
  uint64_t total_bytes_ = 0;
  uint64_t told_bytes_ = 0;
};

}  // namespace

Result<LogSurvey> SurveyLog(env::Environment& environment, const std::string& folder,
                            const SurveyProgress& progress) {
  constexpr int kLooksMax = 4;  // at a folder that an engine changes meanwhile
  for (int look = 1;; ++look) {
    bool changed = false;
    Surveyor surveyor(environment.files(), folder, progress);
    auto survey = surveyor.Look(changed);
    if (!survey || !changed || look == kLooksMax) return survey;
  }
}

}  // namespace headrace::log

#include "tables/publish/plan_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/hash_stream.h"
#include "tables/stream_rows.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

// One data file on its way to the disk. Until End it has another name, which goes with this object.
class NewDataFile {
 public:
  static Result<std::unique_ptr<NewDataFile>> Begin(env::Files& files,
                                                    const columns::SchemaRef& schema,
                                                    std::string path) {
    files.CrashPoint("publish.before_file");
    HR_TRY(env::NewFile file, env::NewFile::Create(files, path));
    std::unique_ptr<NewDataFile> made(new NewDataFile(files, std::move(path), std::move(file)));
    HR_TRY(made->writer_,
           ParquetWriter::Make(schema, [data_file = made.get()](std::span<const uint8_t> bytes) {
             data_file->hash_.Add(bytes);
             return data_file->file_.Append(bytes);
           }));
    return made;
  }

  ParquetWriter& writer() { return *writer_; }

  // Whole and durable under its own name.
  Result<DataFile> End() {
    HR_TRY(EncodedFile encoded, writer_->Finish());
    DataFile ended{path_.substr(path_.rfind('/') + 1), file_.bytes(), encoded.rows,
                   std::move(encoded.stats), hash_.value()};
    auto published = file_.Publish();
    if (!published && published.error().code() == ErrorCode::kAlreadyExists)
      published = TakeThatThereIs(ended);
    if (!published) return Fail(std::move(published).error());
    files_.CrashPoint("publish.after_file");
    return ended;
  }

 private:
  NewDataFile(env::Files& files, std::string path, env::NewFile file)
      : files_(files), path_(std::move(path)), file_(std::move(file)) {}

  Result<void> TakeThatThereIs(const DataFile& ended) {
    HR_TRY(const bool same, HasBytesOf(ended));
    if (!same) {
      return Fail(
          base::Error(
              ErrorCode::kConflict,
              "a data file of this plan is there with other bytes; it is not overwritten: find out "
              "who wrote it (another build of this program?), then move it away")
              .With("file", path_));
    }
    files_.CrashPoint("publish.file_was_there");
    return files_.SyncFolder(path_.substr(0, path_.rfind('/')));
  }

  Result<bool> HasBytesOf(const DataFile& ended) {
    HR_TRY(const auto there, files_.OpenForReading(path_));
    if (there->size() != ended.bytes) return false;
    base::HashStream hash;
    std::vector<uint8_t> piece(ParquetWriter::kPieceBytes);
    for (uint64_t at = 0; at < ended.bytes; at += piece.size()) {
      piece.resize(std::min<uint64_t>(piece.size(), ended.bytes - at));
      HR_TRY_VOID(there->ReadAt(at, piece));
      hash.Add(piece);
    }
    return hash.value() == ended.checksum;
  }

  env::Files& files_;
  const std::string path_;
  env::NewFile file_;
  base::HashStream hash_;
  std::unique_ptr<ParquetWriter> writer_;
};

// One plan's files on their way to the disk.
class PlanFiles {
 public:
  PlanFiles(env::Files& files, base::MemoryBudget& budget, std::string folder, base::LogId log,
            const PublishPlan& plan, const FileLimits& limits, columns::SchemaRef schema)
      : files_(files),
        budget_(budget),
        folder_(std::move(folder)),
        log_(log),
        plan_(plan),
        limits_(limits),
        schema_(std::move(schema)) {}

  Result<void> Add(EpochRows epoch) {
    if (file_ == nullptr) {
      HR_TRY(file_, NewDataFile::Begin(files_, schema_,
                                       folder_ + "/" + FileName(log_, plan_, written_.size())));
    }
    HR_TRY_VOID(ChargeWriter(epoch.rows.ByteSize()));
    ParquetWriter& writer = file_->writer();
    HR_TRY_VOID(
        writer.Write(ToTableRows(schema_, epoch.epoch, epoch.rows, std::move(epoch.known_at))));
    const bool full =
        writer.rows() >= limits_.file_rows_max || writer.bytes() >= limits_.file_raw_bytes_max;
    return full ? EndFile() : Result<void>();
  }

  Result<std::vector<DataFile>> Finish() {
    if (file_ != nullptr) HR_TRY_VOID(EndFile());
    return std::move(written_);
  }

 private:
  // What the writer holds, and will with rows of `bytes` more. Charged in steps, which stay charged
  // until the plan ends.
  Result<void> ChargeWriter(uint64_t bytes) {
    const uint64_t wanted = file_->writer().held_bytes() + 2 * bytes;
    while (charges_.size() * kChargeStepBytes < wanted) {
      HR_TRY(base::MemoryCharge charge,
             budget_.TryCharge(base::MemoryAccount::kTables, kChargeStepBytes));
      charges_.push_back(std::move(charge));
    }
    return {};
  }

  Result<void> EndFile() {
    HR_TRY(DataFile file, file_->End());
    file_.reset();
    written_.push_back(std::move(file));
    return {};
  }

  static constexpr uint64_t kChargeStepBytes = 4ULL << 20;

  env::Files& files_;
  base::MemoryBudget& budget_;
  std::vector<base::MemoryCharge> charges_;
  const std::string folder_;
  const base::LogId log_;
  const PublishPlan plan_;
  const FileLimits limits_;
  const columns::SchemaRef schema_;
  std::unique_ptr<NewDataFile> file_;
  std::vector<DataFile> written_;
};

}  // namespace

Result<std::vector<DataFile>> WritePlanFiles(env::Environment& environment,
                                             base::MemoryBudget& budget, log::LogReader& log,
                                             const PublishedStream& stream, const PublishPlan& plan,
                                             const std::string& folder, const FileLimits& limits,
                                             env::BackgroundPass& pass) {
  HR_TRY(columns::SchemaRef schema, TableSchema(*stream.schema));
  PlanFiles files(environment.files(), budget, folder, log.log(), plan, limits, std::move(schema));
  HR_TRY_VOID(ScanStreamRows(log, stream, plan.after, plan.last, UnknownTime::kRefuse,
                             [&](EpochRows epoch) {
                               pass.Wait();
                               return files.Add(std::move(epoch));
                             }));
  return files.Finish();
}

}  // namespace headrace::tables

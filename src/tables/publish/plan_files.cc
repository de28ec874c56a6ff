#include "tables/publish/plan_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/hash.h"
#include "tables/stream_rows.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

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
    if (writer_ == nullptr) {
      HR_TRY(writer_, ParquetWriter::Make(schema_));
    }
    HR_TRY_VOID(ChargeWriter(epoch.rows.ByteSize()));
    HR_TRY_VOID(
        writer_->Write(ToTableRows(schema_, epoch.epoch, epoch.rows, std::move(epoch.known_at))));
    const bool full =
        writer_->rows() >= limits_.file_rows_max || writer_->bytes() >= limits_.file_raw_bytes_max;
    return full ? EndFile() : Result<void>();
  }

  Result<std::vector<DataFile>> Finish() {
    if (writer_ != nullptr) HR_TRY_VOID(EndFile());
    return std::move(written_);
  }

 private:
  // What the writer holds, and will with rows of `bytes` more. Charged in steps, which stay charged
  // until the plan ends.
  Result<void> ChargeWriter(uint64_t bytes) {
    const uint64_t wanted = writer_->held_bytes() + 2 * bytes;
    while (charges_.size() * kChargeStepBytes < wanted) {
      HR_TRY(base::MemoryCharge charge,
             budget_.TryCharge(base::MemoryAccount::kTables, kChargeStepBytes));
      charges_.push_back(std::move(charge));
    }
    return {};
  }

  Result<void> EndFile() {
    HR_TRY(EncodedFile file, writer_->Finish());
    writer_.reset();
    std::string name = FileName(log_, plan_, written_.size());
    files_.CrashPoint("publish.before_file");
    HR_TRY_VOID(Put(folder_ + "/" + name, file.bytes.bytes()));
    files_.CrashPoint("publish.after_file");
    written_.push_back({std::move(name), file.bytes.size(), file.rows, std::move(file.stats),
                        base::Hash64(file.bytes.bytes())});
    return {};
  }

  Result<void> Put(const std::string& path, std::span<const uint8_t> bytes) {
    auto put = env::PutIfAbsent(files_, path, bytes);
    if (put || put.error().code() != ErrorCode::kAlreadyExists) return put;
    HR_TRY(const std::vector<uint8_t> there, files_.ReadAll(path));
    if (!std::ranges::equal(there, bytes)) {
      return Fail(
          base::Error(
              ErrorCode::kConflict,
              "a data file of this plan is there with other bytes; it is not overwritten: find out "
              "who wrote it (another build of this program?), then move it away")
              .With("file", path));
    }
    files_.CrashPoint("publish.file_was_there");
    return files_.SyncFolder(folder_);
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
  std::unique_ptr<ParquetWriter> writer_;
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

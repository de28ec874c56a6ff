#include "tables/publish/plan_files.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "columns/conform.h"
#include "tables/new_data_file.h"
#include "tables/stepped_charge.h"
#include "tables/stream_rows.h"

namespace headrace::tables {
namespace {

using base::Result;

// One plan's files on their way to the disk.
class PlanFiles {
 public:
  PlanFiles(env::Files& files, base::MemoryBudget& budget, std::string folder, base::LogId log,
            const PublishPlan& plan, const FileLimits& limits, columns::SchemaRef schema)
      : files_(files),
        charge_(budget),
        folder_(std::move(folder)),
        log_(log),
        plan_(plan),
        limits_(limits),
        schema_(std::move(schema)) {}

  Result<void> Add(EpochRows epoch) {
    if (file_ == nullptr) {
      HR_TRY(file_, NewDataFile::Begin(files_, schema_,
                                       folder_ + "/" + FileName(log_, plan_, written_.size()),
                                       {"publish.before_file", "publish.after_file"}));
    }
    NoteSealed({epoch.sealed_at, epoch.rows.rows()});
    ParquetWriter& writer = file_->writer();
    HR_TRY_VOID(charge_.Cover(writer.held_bytes() + 2 * epoch.rows.ByteSize()));
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
  Result<void> EndFile() {
    HR_TRY(DataFile file, file_->End());
    file_.reset();
    file.sealed = std::exchange(sealed_, {});
    written_.push_back(std::move(file));
    return {};
  }

  void NoteSealed(const SealedRows& rows) {
    const bool apart = sealed_.empty() || rows.at - sealed_.back().at >= kSealedApart;
    if (apart && sealed_.size() < limits_.sealed_times_max) {
      sealed_.push_back(rows);
    } else {
      sealed_.back().rows += rows.rows;
    }
  }

  static constexpr base::Duration kSealedApart = std::chrono::milliseconds(1);

  env::Files& files_;
  SteppedCharge charge_;
  const std::string folder_;
  const base::LogId log_;
  const PublishPlan plan_;
  const FileLimits limits_;
  const columns::SchemaRef schema_;
  std::unique_ptr<NewDataFile> file_;
  std::vector<SealedRows> sealed_;  // of file_
  std::vector<DataFile> written_;
};

}  // namespace

Result<std::vector<DataFile>> WritePlanFiles(env::Environment& environment,
                                             base::MemoryBudget& budget, log::LogReader& log,
                                             const PublishedStream& stream,
                                             const columns::SchemaRef& schema,
                                             const LoggedPlan& plan, const std::string& folder,
                                             const FileLimits& limits, env::BackgroundPass& pass) {
  HR_TRY(columns::SchemaRef of_table, TableSchema(*schema));
  PlanFiles files(environment.files(), budget, folder, log.log(), plan, limits,
                  std::move(of_table));
  HR_TRY_VOID(ScanStreamRows(log, stream, plan.rows_after, plan.last, UnknownTime::kRefuse,
                             [&](EpochRows epoch) {
                               pass.Wait();
                               epoch.rows = columns::ConformTo(schema, epoch.rows);
                               return files.Add(std::move(epoch));
                             }));
  return files.Finish();
}

}  // namespace headrace::tables

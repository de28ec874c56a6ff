#include "tables/delta/checkpoint_reader.h"

#include <arrow/array.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <charconv>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "tables/delta/checkpoint_checksum.h"
#include "tables/delta/checkpoint_columns.h"
#include "tables/delta/checkpoint_schema.h"
#include "tables/delta/table_path.h"
#include "tables/parquet/arrow_file.h"
#include "tables/parquet/decoding_pool.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr int64_t kBatchRows = 8192;
constexpr int64_t kStreamBytes = 1 << 20;  // of one column, at a time

std::unexpected<base::Error> Broken(const std::string& why) {
  return Fail(ErrorCode::kCorruption, "no readable checkpoint: " + why);
}

template <typename Number>
std::optional<Number> NumberOf(const arrow::KeyValueMetadata& pairs, const char* key) {
  const auto text = pairs.Get(key);
  if (!text.ok()) return std::nullopt;
  Number number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// Passes reads on and keeps the first that failed, which Arrow makes a text of: a disk that could
// not read is no damage, and may be able to the next time.
class NotingFile final : public env::ReadableFile {
 public:
  NotingFile(std::unique_ptr<env::ReadableFile> file, std::optional<base::Error>& failed)
      : file_(std::move(file)), failed_(failed) {}
  uint64_t size() const override { return file_->size(); }
  Result<void> ReadAt(uint64_t offset, std::span<uint8_t> out) const override {
    auto read = file_->ReadAt(offset, out);
    if (!read && !failed_) failed_ = read.error();
    return read;
  }

 private:
  std::unique_ptr<env::ReadableFile> file_;
  std::optional<base::Error>& failed_;
};

// One Parquet file of a checkpoint.
class ParquetActions {
 public:
  Result<void> Open(std::unique_ptr<env::ReadableFile> file) {
    parquet::ReaderProperties reading(DecodingPool());
    reading.enable_buffered_stream();
    reading.set_buffer_size(kStreamBytes);
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_batch_size(kBatchRows);
    properties.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    if (const auto opened = builder.Open(OpenForArrow(std::move(file)), reading); !opened.ok())
      return Broken(opened.message());
    builder.memory_pool(DecodingPool());
    const auto built = builder.properties(properties)->Build(&reader_);
    return built.ok() ? Result<void>() : Broken(built.message());
  }

  Result<void> Read(Commit& head, FileSink* sink) {
    std::vector<int> groups(static_cast<size_t>(reader_->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    const std::vector<int> columns = Columns(sink != nullptr);
    if (columns.empty() || groups.empty()) return {};
    auto batches = reader_->GetRecordBatchReader(groups, columns);
    if (!batches.ok()) return Broken(batches.status().message());
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      if (const auto read = (*batches)->ReadNext(&batch); !read.ok()) return Broken(read.message());
      if (batch == nullptr) return {};
      if (const auto valid = batch->Validate(); !valid.ok()) return Broken(valid.message());
      HR_TRY_VOID(TakeActions(*batch, head, sink));
    }
  }

  std::optional<FileSums> sums() const {
    const auto pairs = reader_->parquet_reader()->metadata()->key_value_metadata();
    if (pairs == nullptr) return std::nullopt;
    const auto files = NumberOf<uint64_t>(*pairs, kFilesKey);
    const auto bytes = NumberOf<uint64_t>(*pairs, kFileBytesKey);
    return files && bytes ? std::optional(FileSums{*files, *bytes}) : std::nullopt;
  }

  bool removals_known() const {
    const auto pairs = reader_->parquet_reader()->metadata()->key_value_metadata();
    return pairs != nullptr && pairs->Get(kRemovalsKey).ValueOr("") == kRemovalsKnown;
  }
  std::optional<int64_t> forgotten_ms() const {
    const auto pairs = reader_->parquet_reader()->metadata()->key_value_metadata();
    return pairs == nullptr ? std::nullopt : NumberOf<int64_t>(*pairs, kForgottenKey);
  }

 private:
  std::vector<int> Columns(bool with_files) const {
    const auto* schema = reader_->parquet_reader()->metadata()->schema();
    std::vector<int> columns;
    for (int i = 0; i < schema->num_columns(); ++i)
      if (IsActionColumn(schema->Column(i)->path()->ToDotVector(), with_files))
        columns.push_back(i);
    return columns;
  }

  std::unique_ptr<parquet::arrow::FileReader> reader_;
};

Result<void> ReadActions(std::unique_ptr<env::ReadableFile> file, CheckpointHead& head,
                         FileSink* sink) {
  HR_TRY(const Author author, CheckCheckpointFile(*file));
  try {
    ParquetActions actions;
    HR_TRY_VOID(actions.Open(std::move(file)));
    HR_TRY_VOID(actions.Read(head.actions, sink));
    head.ours = author == Author::kOurs;
    if (head.ours) head.sums = actions.sums();
    if (const auto forgotten = actions.forgotten_ms(); head.ours && forgotten)
      head.forgotten_ms = *forgotten;
    head.removals_known = head.ours && actions.removals_known();
    return {};
  } catch (const parquet::ParquetException& e) {
    return Broken(e.what());
  }
}

Result<void> ReadParquet(env::Files& files, const std::string& path, CheckpointHead& head,
                         FileSink* sink) {
  HR_TRY(std::unique_ptr<env::ReadableFile> file, files.OpenForReading(path));
  std::optional<base::Error> failed;  // outlives the file, which is gone with ReadActions
  auto read = ReadActions(std::make_unique<NotingFile>(std::move(file), failed), head, sink);
  if (!read && failed) return Fail(std::move(*failed));
  return read;
}

Result<void> ReadJson(env::Files& files, const std::string& path, CheckpointHead& head,
                      FileSink* sink) {
  HR_TRY(const std::vector<uint8_t> bytes, files.ReadAll(path));
  HR_TRY(head.actions, ParseCommit(bytes));
  for (AddFile& add : head.actions.adds)
    if (sink != nullptr) HR_TRY_VOID(sink->Add(std::move(add)));
  for (RemoveFile& remove : head.actions.removes)
    if (sink != nullptr) HR_TRY_VOID(sink->Remove(std::move(remove)));
  head.actions.adds.clear();
  head.actions.removes.clear();
  return {};
}

// A file of the checkpoint that is not there makes the checkpoint damaged, no table missing.
base::Error InFile(base::Error error, const std::string& path) {
  if (error.code() == ErrorCode::kNotFound)
    error = base::Error(ErrorCode::kCorruption, "a file of this checkpoint is missing");
  return std::move(error).With("file", path);
}
Result<void> InFile(Result<void> read, const std::string& path) {
  if (read) return read;
  return Fail(InFile(std::move(read).error(), path));
}

Result<std::string> InLog(env::Files& files, const std::string& log_folder,
                          const std::string& name) {
  auto path = PathInLog(files, log_folder, name);
  if (path) return path;
  return Fail(InFile(std::move(path).error(), log_folder + "/" + name));
}

}  // namespace

Result<CheckpointHead> ReadCheckpoint(env::Files& files, const std::string& log_folder,
                                      const CheckpointFiles& checkpoint, FileSink* sink) {
  const std::string top = log_folder + "/" + checkpoint.names.front();
  CheckpointHead head;
  const auto facts = files.Facts(top);
  // Of 1970: the file system keeps no times.
  head.forgotten_ms = facts && facts->modified_at.us > 0 ? facts->modified_at.us / 1000
                                                         : std::numeric_limits<int64_t>::max();
  for (const std::string& name : checkpoint.names) {
    HR_TRY(const std::string path, InLog(files, log_folder, name));
    HR_TRY_VOID(InFile(name.ends_with(".json") ? ReadJson(files, path, head, sink)
                                               : ReadParquet(files, path, head, sink),
                       path));
  }
  if (!head.actions.protocol || !head.actions.metadata)
    return Fail(base::Error(ErrorCode::kCorruption, "a checkpoint without protocol or metaData")
                    .With("file", top));
  for (const std::string& sidecar : head.actions.sidecars) {
    if (sink == nullptr) break;
    if (sidecar.find('/') != std::string::npos)
      return Fail(base::Error(ErrorCode::kCorruption, "a sidecar whose name is a path")
                      .With("file", top)
                      .With("path", sidecar));
    HR_TRY(const std::string path, InLog(files, log_folder, "_sidecars/" + sidecar));
    CheckpointHead none;
    HR_TRY_VOID(InFile(ReadParquet(files, path, none, sink), path));
  }
  return head;
}

}  // namespace headrace::tables::delta

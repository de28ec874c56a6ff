#include "rows_file.h"

#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/core.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "base/next_step.h"
#include "columns/arrow/arrow_bridge.h"
#include "columns/value.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using Rows = std::shared_ptr<arrow::RecordBatch>;

std::string JsonOf(const columns::ColumnBatch& rows) {
  std::string text;
  const columns::Schema& schema = *rows.schema();
  for (size_t row = 0; row < rows.rows(); ++row) {
    for (size_t field = 0; field < schema.size(); ++field) {
      text += field == 0 ? '{' : ',';
      columns::AppendJsonString(text, schema.field(field).name);
      text += ':';
      rows.column(field).At(row).AppendJson(text);
    }
    text += "}\n";
  }
  return text;
}

void AppendCsv(std::string_view field, std::string& out) {
  if (!field.empty() && field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

// What is a text in JSON (times, dates, decimals, bytes) has nothing in it that JSON escapes.
void AppendCsv(const columns::Value& value, std::string& out) {
  if (value.is_null()) return;
  if (value.type() == columns::Type::kString) return AppendCsv(value.as_text(), out);
  const std::string json = value.ToJson();
  std::string_view field = json;
  if (field.size() >= 2 && field.front() == '"') field = field.substr(1, field.size() - 2);
  AppendCsv(field, out);
}

std::string CsvHeader(const columns::Schema& schema) {
  std::string text;
  for (size_t field = 0; field < schema.size(); ++field) {
    if (field > 0) text += ',';
    AppendCsv(schema.field(field).name, text);
  }
  return text + '\n';
}

std::string CsvOf(const columns::ColumnBatch& rows) {
  std::string text;
  for (size_t row = 0; row < rows.rows(); ++row) {
    for (size_t field = 0; field < rows.schema()->size(); ++field) {
      if (field > 0) text += ',';
      AppendCsv(rows.column(field).At(row), text);
    }
    text += '\n';
  }
  return text;
}

class PrintedRows final : public RowsFile {
 public:
  PrintedRows(std::FILE* out, Lines lines, columns::SchemaRef schema)
      : out_(out), lines_(lines), schema_(std::move(schema)) {}

  Result<void> Begin() { return Print(lines_ == Lines::kCsv ? CsvHeader(*schema_) : ""); }
  Result<void> Write(const Rows& rows) override {
    HR_TRY(const columns::ColumnBatch batch, columns::FromArrow(*rows, schema_));
    return Print(lines_ == Lines::kCsv ? CsvOf(batch) : JsonOf(batch));
  }
  Result<void> Finish() override { return Checked(std::fflush(out_) == 0); }

 private:
  Result<void> Print(const std::string& text) const {
    return Checked(std::fwrite(text.data(), 1, text.size(), out_) == text.size());
  }
  static Result<void> Checked(bool written) {
    if (written) return {};
    return Fail(ErrorCode::kIoError, std::string("can't write the rows: ") + std::strerror(errno));
  }

  std::FILE* const out_;
  const Lines lines_;
  const columns::SchemaRef schema_;
};

class NewRowsFile : public RowsFile {
 public:
  explicit NewRowsFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".new") {}
  ~NewRowsFile() override {
    std::error_code ignored;
    if (!finished_) std::filesystem::remove(temporary_, ignored);
  }

  Result<void> Begin(const std::shared_ptr<arrow::Schema>& schema) {
    std::error_code ignored;
    const auto folder = std::filesystem::path(path_).parent_path();
    if (!folder.empty() && !std::filesystem::exists(folder, ignored))
      return Fail(Error(ErrorCode::kNotFound, "the folder of the file is not there")
                      .With("folder", folder.string())
                      .With(base::kNextStep, "mkdir -p " + folder.string()));
    return Checked([&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(out_, arrow::io::FileOutputStream::Open(temporary_));
      return OpenWriter(schema);
    });
  }
  Result<void> Write(const Rows& rows) override {
    return Checked([&] { return Append(*rows); });
  }
  Result<void> Finish() override {
    HR_TRY_VOID(Checked([&]() -> arrow::Status {
      ARROW_RETURN_NOT_OK(CloseWriter());
      return out_->Close();
    }));
    std::error_code error;
    std::filesystem::rename(temporary_, path_, error);
    finished_ = !error;
    if (finished_) return {};
    return Fail(Error(ErrorCode::kIoError, error.message()).With("file", path_));
  }

 protected:
  virtual arrow::Status OpenWriter(const std::shared_ptr<arrow::Schema>& schema) = 0;
  virtual arrow::Status Append(const arrow::RecordBatch& rows) = 0;
  virtual arrow::Status CloseWriter() = 0;
  std::shared_ptr<arrow::io::FileOutputStream> out_;

 private:
  template <typename Step>
  Result<void> Checked(Step step) const {
    const arrow::Status status = step();
    if (status.ok()) return {};
    return Fail(Error(ErrorCode::kIoError, status.message()).With("file", path_));
  }

  const std::string path_;
  const std::string temporary_;
  bool finished_ = false;
};

class ParquetRowsFile final : public NewRowsFile {
 public:
  using NewRowsFile::NewRowsFile;

 private:
  arrow::Status OpenWriter(const std::shared_ptr<arrow::Schema>& schema) override {
    const auto properties =
        parquet::WriterProperties::Builder().compression(parquet::Compression::ZSTD)->build();
    ARROW_ASSIGN_OR_RAISE(writer_, parquet::arrow::FileWriter::Open(
                                       *schema, arrow::default_memory_pool(), out_, properties));
    return arrow::Status::OK();
  }
  arrow::Status Append(const arrow::RecordBatch& rows) override {
    return writer_->WriteRecordBatch(rows);
  }
  arrow::Status CloseWriter() override { return writer_->Close(); }
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

class ArrowRowsFile final : public NewRowsFile {
 public:
  using NewRowsFile::NewRowsFile;

 private:
  arrow::Status OpenWriter(const std::shared_ptr<arrow::Schema>& schema) override {
    ARROW_ASSIGN_OR_RAISE(writer_, arrow::ipc::MakeFileWriter(out_, schema));
    return arrow::Status::OK();
  }
  arrow::Status Append(const arrow::RecordBatch& rows) override {
    return writer_->WriteRecordBatch(rows);
  }
  arrow::Status CloseWriter() override { return writer_->Close(); }
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

class CsvRowsFile final : public NewRowsFile {
 public:
  CsvRowsFile(std::string path, columns::SchemaRef schema)
      : NewRowsFile(std::move(path)), schema_(std::move(schema)) {}

 private:
  arrow::Status OpenWriter(const std::shared_ptr<arrow::Schema>&) override {
    return out_->Write(CsvHeader(*schema_));
  }
  arrow::Status Append(const arrow::RecordBatch& rows) override {
    const auto batch = columns::FromArrow(rows, schema_);
    if (!batch) return arrow::Status::Invalid(batch.error().message());
    return out_->Write(CsvOf(*batch));
  }
  arrow::Status CloseWriter() override { return arrow::Status::OK(); }

  const columns::SchemaRef schema_;
};

}  // namespace

Result<std::unique_ptr<RowsFile>> RowsFile::Open(const std::string& path, std::FILE* out,
                                                 Lines lines,
                                                 const std::shared_ptr<arrow::Schema>& schema) {
  if (path.empty()) {
    HR_TRY(columns::SchemaRef ours, columns::FromArrowSchema(*schema));
    auto printed = std::make_unique<PrintedRows>(out, lines, std::move(ours));
    HR_TRY_VOID(printed->Begin());
    return printed;
  }
  std::unique_ptr<NewRowsFile> file;
  if (path.ends_with(".parquet")) file = std::make_unique<ParquetRowsFile>(path);
  if (path.ends_with(".arrow")) file = std::make_unique<ArrowRowsFile>(path);
  if (path.ends_with(".csv")) {
    HR_TRY(columns::SchemaRef ours, columns::FromArrowSchema(*schema));
    file = std::make_unique<CsvRowsFile>(path, std::move(ours));
  }
  if (file == nullptr)
    return Fail(Error(ErrorCode::kInvalidInput, "call the file .parquet, .arrow or .csv")
                    .With("file", path));
  HR_TRY_VOID(file->Begin(schema));
  return file;
}

}  // namespace headrace::app

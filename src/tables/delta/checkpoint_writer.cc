#include "tables/delta/checkpoint_writer.h"

#include <arrow/array/builder_base.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/table_builder.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <utility>
#include <vector>

#include "tables/delta/checkpoint_checksum.h"
#include "tables/delta/checkpoint_schema.h"
#include "tables/parquet/arrow_file.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

Result<void> Checked(const arrow::Status& status) {
  if (status.ok()) return {};
  const bool disk = status.IsIOError();
  return Fail(disk ? ErrorCode::kIoError : ErrorCode::kInternal, "checkpoint: " + status.message());
}

// Rows of a struct column, filled field by field in the schema's order. The appends of Arrow's
// builders fail only without memory, which the closing Finish then tells.
class StructRow {
 public:
  explicit StructRow(arrow::ArrayBuilder* builder)
      : builder_(static_cast<arrow::StructBuilder*>(builder)) {
    (void)builder_->Append();
  }
  void Text(std::string_view text) { (void)Next<arrow::StringBuilder>().Append(text); }
  void Long(int64_t value) { (void)Next<arrow::Int64Builder>().Append(value); }
  void Int(int32_t value) { (void)Next<arrow::Int32Builder>().Append(value); }
  void Bool(bool value) { (void)Next<arrow::BooleanBuilder>().Append(value); }
  void Null() { (void)builder_->field_builder(next_++)->AppendNull(); }
  void Long(const std::optional<int64_t>& value) { value ? Long(*value) : Null(); }
  void TextOrNull(std::string_view text) { text.empty() ? Null() : Text(text); }
  arrow::ArrayBuilder* Nested() { return builder_->field_builder(next_++); }

  template <typename Pairs>
  void Map(const Pairs& pairs) {
    auto& map = Next<arrow::MapBuilder>();
    (void)map.Append();
    for (const auto& [key, value] : pairs) {
      (void)static_cast<arrow::StringBuilder*>(map.key_builder())->Append(key);
      AppendItem(static_cast<arrow::StringBuilder*>(map.item_builder()), value);
    }
  }
  void List(const std::vector<std::string>& texts) {
    auto& list = Next<arrow::ListBuilder>();
    (void)list.Append();
    auto* items = static_cast<arrow::StringBuilder*>(list.value_builder());
    for (const std::string& text : texts) (void)items->Append(text);
  }

 private:
  template <typename Builder>
  Builder& Next() {
    return *static_cast<Builder*>(builder_->field_builder(next_++));
  }
  static void AppendItem(arrow::StringBuilder* items, const std::string& text) {
    (void)items->Append(text);
  }
  static void AppendItem(arrow::StringBuilder* items, const std::optional<std::string>& text) {
    (void)(text ? items->Append(*text) : items->AppendNull());
  }

  arrow::StructBuilder* builder_;
  int next_ = 0;
};

void FillDeletionVector(StructRow& row, const std::optional<DeletionVector>& vector) {
  if (!vector) return row.Null();
  StructRow nested(row.Nested());
  nested.Text(vector->storage);
  nested.Text(vector->path_or_inline);
  vector->offset ? nested.Int(*vector->offset) : nested.Null();
  nested.Int(vector->bytes);
  nested.Long(vector->cardinality);
}

class Writer final : public CheckpointWriter {
 public:
  Writer(env::NewFile file, std::unique_ptr<arrow::RecordBatchBuilder> builder)
      : file_(std::move(file)), builder_(std::move(builder)) {}

  Result<void> Add(const AddFile& add) override {
    StructRow row = Row(Action::kAdd);
    row.Text(EncodePath(add.path));
    row.Map(add.partition_values);
    row.Long(static_cast<int64_t>(add.size));
    row.Long(add.modified_ms);
    row.Bool(false);  // the checkpoint itself changes no data
    row.TextOrNull(add.stats);
    FillTags(row, add);
    FillDeletionVector(row, add.deletion_vector);
    ++figures_.sums.files;
    figures_.sums.bytes += add.size;
    return NoteRow();
  }

  Result<void> Remove(const RemoveFile& remove) override {
    StructRow row = Row(Action::kRemove);
    row.Text(EncodePath(remove.path));
    row.Long(remove.deleted_ms);
    row.Bool(remove.data_change);
    row.Bool(remove.extended);
    row.Map(remove.partition_values);
    remove.size ? row.Long(static_cast<int64_t>(*remove.size)) : row.Null();
    FillDeletionVector(row, remove.deletion_vector);
    return NoteRow();
  }

  Result<CheckpointFigures> Publish(const LogState& state) override {
    HR_TRY_VOID(WriteHead(state));
    HR_TRY_VOID(Encode());
    try {
      const auto pairs = arrow::key_value_metadata(
          {kFilesKey, kFileBytesKey, kRemovalsKey, kForgottenKey, kChecksumKey},
          {std::to_string(figures_.sums.files), std::to_string(figures_.sums.bytes),
           state.removals_known ? kRemovalsKnown : "forgotten", std::to_string(state.forgotten_ms),
           fmt::format("{}{}", kCheckpointMarker, kNoCheckpointDigits)});
      HR_TRY_VOID(Checked(writer_->AddKeyValueMetadata(pairs)));
      HR_TRY_VOID(Checked(writer_->Close()));
    } catch (const parquet::ParquetException& e) {
      return Broken(e);
    }
    if (!digits_at_) return Fail(ErrorCode::kInternal, "checkpoint: a footer without its checksum");
    const std::string digits = RenderChecksum(hash_.Finish());
    HR_TRY_VOID(file_.Replace(*digits_at_,
                              {reinterpret_cast<const uint8_t*>(digits.data()), digits.size()}));
    figures_.version = state.version;
    figures_.bytes = file_.bytes();
    HR_TRY_VOID(file_.Publish());
    return figures_;
  }

 private:
  enum class Action : uint8_t { kTxn, kAdd, kRemove, kMetadata, kProtocol };

  // One row: this action, and nulls for the others.
  StructRow Row(Action action) {
    for (int i = 0; i < builder_->num_fields(); ++i)
      if (i != static_cast<int>(action)) (void)builder_->GetField(i)->AppendNull();
    return StructRow(builder_->GetField(static_cast<int>(action)));
  }

  static void FillTags(StructRow& row, const AddFile& add) {
    auto tags = add.tags;
    if (add.checksum) tags.emplace_back(kChecksumTag, RenderChecksum(*add.checksum));
    tags.empty() ? row.Null() : row.Map(tags);
  }

  Result<void> WriteHead(const LogState& state) {
    for (const auto& [application, txn] : state.transactions) {
      StructRow row = Row(Action::kTxn);
      row.Text(application);
      row.Long(static_cast<int64_t>(txn.version));
      row.Long(txn.updated_ms);
      HR_TRY_VOID(NoteRow());
    }
    FillMetadata(*state.metadata);
    HR_TRY_VOID(NoteRow());
    FillProtocol(*state.protocol);
    return NoteRow();
  }

  void FillMetadata(const Metadata& metadata) {
    StructRow row = Row(Action::kMetadata);
    row.Text(metadata.id);
    row.TextOrNull(metadata.name);
    row.TextOrNull(metadata.description);
    StructRow format(row.Nested());
    format.Text(metadata.provider);
    format.Map(metadata.options);
    row.Text(metadata.schema_string);
    row.List(metadata.partition_columns);
    row.Long(metadata.created_ms);
    row.Map(metadata.configuration);
  }

  void FillProtocol(const Protocol& protocol) {
    StructRow row = Row(Action::kProtocol);
    row.Int(protocol.reader_version);
    row.Int(protocol.writer_version);
    protocol.reader_version >= 3 ? row.List(protocol.reader_features) : row.Null();
    protocol.writer_version >= 7 ? row.List(protocol.writer_features) : row.Null();
  }

  Result<void> NoteRow() {
    ++figures_.actions;
    return ++rows_ == kRowGroupRows ? Encode() : Result<void>();
  }

  // Of a file that begins with so many rows. In one of few the texts alone are compressed: of some
  // forty columns most are nearly empty, and a way into zstd for each takes longer than it is worth
  // (ADR 12).
  Result<void> Open(uint64_t rows) {
    constexpr uint64_t kFewRows = 1000;
    sink_ = StreamForArrow([this](std::span<const uint8_t> bytes) { return Write(bytes); });
    parquet::WriterProperties::Builder properties;
    properties.created_by(kCheckpointCreatedBy)
        ->version(parquet::ParquetVersion::PARQUET_2_6)
        ->data_page_version(parquet::ParquetDataPageVersion::V1);
    if (rows >= kFewRows) properties.compression(parquet::Compression::ZSTD);
    for (const char* texts : {"add.path", "add.stats", "remove.path", "metaData.schemaString"})
      properties.compression(texts, parquet::Compression::ZSTD);
    auto writer = parquet::arrow::FileWriter::Open(
        *CheckpointSchema(), arrow::default_memory_pool(), sink_, properties.build());
    HR_TRY_VOID(Checked(writer.status()));
    writer_ = std::move(writer).ValueUnsafe();
    return {};
  }

  // The rows gathered, as a row group.
  Result<void> Encode() {
    if (rows_ == 0) return {};
    if (writer_ == nullptr) HR_TRY_VOID(Open(rows_));
    rows_ = 0;
    auto batch = builder_->Flush();
    HR_TRY_VOID(Checked(batch.status()));
    try {
      HR_TRY_VOID(Checked(writer_->NewBufferedRowGroup()));
      HR_TRY_VOID(Checked(writer_->WriteRecordBatch(**batch)));
    } catch (const parquet::ParquetException& e) {
      return Broken(e);
    }
    return {};
  }

  Result<void> Write(std::span<const uint8_t> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (const size_t marker = text.rfind(kCheckpointMarker); marker != std::string_view::npos)
      digits_at_ = file_.bytes() + marker + kCheckpointMarker.size();
    hash_.Update(bytes);
    return file_.Append(bytes);
  }

  static std::unexpected<base::Error> Broken(const parquet::ParquetException& e) {
    return Fail(ErrorCode::kInternal, std::string("checkpoint: ") + e.what());
  }

  env::NewFile file_;
  StreamedHash hash_;
  std::optional<uint64_t> digits_at_;  // in the file; of the last marker that was written
  std::shared_ptr<arrow::io::OutputStream> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  std::unique_ptr<arrow::RecordBatchBuilder> builder_;
  uint64_t rows_ = 0;
  CheckpointFigures figures_;
};

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(env::Files& files,
                                                                   const std::string& path) {
  auto builder = arrow::RecordBatchBuilder::Make(CheckpointSchema(), arrow::default_memory_pool());
  HR_TRY_VOID(Checked(builder.status()));
  HR_TRY(env::NewFile file, env::NewFile::Create(files, path));
  return std::make_unique<Writer>(std::move(file), std::move(builder).ValueUnsafe());
}

}  // namespace headrace::tables::delta

#include "tables/parquet/column_selection.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <algorithm>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;

constexpr int64_t kUsPerDay = 86'400'000'000;

// The file's top-level field of a place; -1 when there is none.
Result<int> FindField(const arrow::Schema& schema, const ColumnPlace& place) {
  if (!place.field_id) return schema.GetFieldIndex(place.name);
  int found = -1;
  for (int i = 0; i < schema.num_fields(); ++i) {
    const auto& notes = schema.field(i)->metadata();
    const auto id = notes == nullptr ? arrow::Result<std::string>(arrow::Status::KeyError(""))
                                     : notes->Get("PARQUET:field_id");
    if (!id.ok() || *id != std::to_string(*place.field_id)) continue;
    if (found >= 0)
      return Fail(ErrorCode::kCorruption, fmt::format("two columns of id {}", *place.field_id));
    found = i;
  }
  return found;
}

// The leaf column of a top-level field; of a nested one its first, which is then refused by its
// type.
int LeafOf(const parquet::FileMetaData& file, int field) {
  const auto* schema = file.schema();
  const auto* node = schema->group_node()->field(field).get();
  for (int leaf = 0; leaf < schema->num_columns(); ++leaf)
    if (schema->GetColumnRoot(leaf) == node) return leaf;
  return -1;
}

// How a column of the file is read when the wanted type is wider.
Type ReadAs(const arrow::DataType& found, Type wanted) {
  const auto id = found.id();
  const bool integer =
      id == arrow::Type::INT8 || id == arrow::Type::INT16 || id == arrow::Type::INT32;
  if (wanted == Type::kFloat64 && integer) return Type::kInt32;
  if (wanted == Type::kTimestampNtz && id == arrow::Type::DATE32) return Type::kDate;
  return wanted;
}

Result<columns::Column> Widen(const columns::Column& column, Type wanted) {
  if (column.type() == wanted) return column;
  columns::ColumnBuilder builder(wanted);
  const auto values = column.Int32s();
  for (size_t row = 0; row < column.length(); ++row) {
    if (column.IsNull(row)) {
      builder.AppendNull();
    } else if (wanted == Type::kFloat64) {
      builder.AppendDouble(values[row]);
    } else if (int64_t us = 0; !__builtin_mul_overflow(int64_t{values[row]}, kUsPerDay, &us)) {
      builder.AppendInt(us);
    } else {
      return Fail(ErrorCode::kInvalidInput, "a date that is no timestamp");
    }
  }
  return builder.Finish();
}

}  // namespace

columns::Column NullColumn(columns::Type type, size_t rows) {
  if (columns::IsList(type)) {
    columns::ColumnBuilder builder(type);
    for (size_t row = 0; row < rows; ++row) builder.AppendNull();
    return builder.Finish();
  }
  const size_t width = type == columns::Type::kBool ? 1 : columns::RowOf(type).width;
  columns::Buffer validity = columns::Buffer::Own(std::vector<uint8_t>((rows + 7) / 8, 0));
  if (columns::IsVariable(type)) {
    return {type,
            rows,
            {},
            std::move(validity),
            columns::Buffer::OwnValues(std::vector<int32_t>(rows + 1, 0))};
  }
  const size_t bytes = type == columns::Type::kBool ? (rows + 7) / 8 : rows * width;
  return {type, rows, columns::Buffer::Own(std::vector<uint8_t>(bytes, 0)), std::move(validity)};
}

Result<ColumnSelection> ColumnSelection::Make(const arrow::Schema& schema,
                                              const parquet::FileMetaData& file,
                                              const columns::SchemaRef& wanted,
                                              std::span<const ColumnPlace> places) {
  ColumnSelection selection;
  selection.wanted_ = wanted;
  std::vector<std::pair<int, Chosen>> found;  // by the leaf
  for (size_t i = 0; i < wanted->size(); ++i) {
    const columns::Field& field = wanted->field(i);
    HR_TRY(const int index, FindField(schema, places[i]));
    const int leaf = index < 0 ? -1 : LeafOf(file, index);
    if (leaf < 0 && field.nullable == columns::Nullable::kNo)
      return Fail(
          base::Error(ErrorCode::kInvalidInput,
                      fmt::format("no column `{}` ({})", field.name, columns::NameOf(field.type)))
              .With("column", field.name));
    if (leaf < 0) continue;
    Chosen chosen{.read_as = field, .wanted = i};
    chosen.read_as.name = schema.field(index)->name();
    if (places[i].widening == ColumnPlace::Widening::kYes)
      chosen.read_as.type = ReadAs(*schema.field(index)->type(), field.type);
    found.emplace_back(leaf, std::move(chosen));
  }
  std::ranges::sort(found, {}, [](const auto& each) { return each.first; });
  std::vector<columns::Field> fields;
  for (auto& [leaf, chosen] : found) {
    selection.leaves_.push_back(leaf);
    fields.push_back(chosen.read_as);
    selection.chosen_.push_back(std::move(chosen));
  }
  selection.file_schema_ = std::make_shared<const columns::Schema>(std::move(fields));
  return selection;
}

Result<columns::ColumnBatch> ColumnSelection::Arrange(
    const std::shared_ptr<arrow::RecordBatch>& part) const {
  HR_TRY(const columns::ColumnBatch read, columns::FromArrow(*part, file_schema_));
  std::vector<columns::Column> columns(wanted_->size());
  std::vector<bool> have(wanted_->size(), false);
  for (size_t i = 0; i < chosen_.size(); ++i) {
    const size_t to = chosen_[i].wanted;
    HR_TRY(columns[to], Widen(read.column(i), wanted_->field(to).type));
    have[to] = true;
  }
  for (size_t i = 0; i < columns.size(); ++i)
    if (!have[i]) columns[i] = NullColumn(wanted_->field(i).type, read.rows());
  return columns::ColumnBatch(wanted_, read.rows(), std::move(columns));
}

columns::ColumnBatch ColumnSelection::AllNull(size_t rows) const {
  std::vector<columns::Column> columns;
  for (const columns::Field& field : wanted_->fields())
    columns.push_back(NullColumn(field.type, rows));
  return {wanted_, rows, std::move(columns)};
}

}  // namespace headrace::tables

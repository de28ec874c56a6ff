#include "tables/parquet/column_selection.h"

#include <arrow/array/array_nested.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "columns/arrow/arrow_column.h"
#include "columns/batch_builder.h"
#include "columns/conform.h"
#include "tables/parquet/decimal_text.h"
#include "tables/parquet/decoding_pool.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;

constexpr int64_t kUsPerDay = 86'400'000'000;

// The field of a name, or of an id; -1 when there is none.
Result<int> FindField(const arrow::FieldVector& fields, const std::string& name,
                      std::optional<int32_t> field_id) {
  int found = -1;
  for (int i = 0; i < static_cast<int>(fields.size()); ++i) {
    const auto& field = *fields[static_cast<size_t>(i)];
    if (!field_id && field.name() != name) continue;
    if (field_id) {
      const auto id = field.metadata() == nullptr
                          ? arrow::Result<std::string>(arrow::Status::KeyError(""))
                          : field.metadata()->Get("PARQUET:field_id");
      if (!id.ok() || *id != std::to_string(*field_id)) continue;
    }
    if (found >= 0)
      return Fail(ErrorCode::kCorruption, field_id ? fmt::format("two columns of id {}", *field_id)
                                                   : fmt::format("two columns `{}`", name));
    found = i;
  }
  return found;
}

// Where a place is in a file.
struct Found {
  int root = -1;  // the top-level field; -1: the file does not have it
  int leaf = -1;
  std::vector<std::string> below;
  std::shared_ptr<arrow::DataType> type;
};

// Of a column that is nested where it should not be, the first leaf: it is then refused by its
// type.
Result<Found> Find(const arrow::Schema& schema, const parquet::FileMetaData& file,
                   const ColumnPlace& place) {
  Found found;
  HR_TRY(const int root, FindField(schema.fields(), place.name, place.field_id));
  if (root < 0) return found;
  const auto* node = file.schema()->group_node()->field(root).get();
  found.type = schema.field(root)->type();
  for (const ColumnPlace::Step& step : place.below) {
    if (found.type->id() != arrow::Type::STRUCT || node->is_primitive())
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("`{}` is {}, and no struct", place.name, found.type->ToString()));
    const arrow::FieldVector& fields = found.type->fields();
    HR_TRY(const int index, FindField(fields, step.name, step.field_id));
    const auto* group = static_cast<const parquet::schema::GroupNode*>(node);
    if (index < 0 || index >= group->field_count()) return Found{};
    node = group->field(index).get();
    const auto& field = fields[static_cast<size_t>(index)];
    found.below.push_back(field->name());
    found.type = field->type();
  }
  while (node->is_group()) {
    const auto* group = static_cast<const parquet::schema::GroupNode*>(node);
    if (group->field_count() == 0) return Found{};
    node = group->field(0).get();
  }
  found.root = root;
  found.leaf = file.schema()->ColumnIndex(*node);
  return found;
}

// How a column of the file is read when the wanted type is wider.
Type ReadAs(const arrow::DataType& found, Type wanted) {
  const bool date = found.id() == arrow::Type::DATE32;
  return date && wanted == Type::kTimestampNtz ? Type::kDate : wanted;
}

Result<columns::Column> Widen(const columns::Column& column, Type wanted) {
  if (column.type() == wanted) return column;
  columns::ColumnBuilder builder(wanted);
  const auto days = column.Int32s();
  for (size_t row = 0; row < column.length(); ++row) {
    if (column.IsNull(row)) {
      builder.AppendNull();
    } else if (int64_t us = 0; !__builtin_mul_overflow(int64_t{days[row]}, kUsPerDay, &us)) {
      builder.AppendInt(us);
    } else {
      return Fail(ErrorCode::kInvalidInput, "a date that is no timestamp");
    }
  }
  return builder.Finish();
}

}  // namespace

Result<ColumnSelection> ColumnSelection::Make(const arrow::Schema& schema,
                                              const parquet::FileMetaData& file,
                                              const columns::SchemaRef& wanted,
                                              std::span<const ColumnPlace> places) {
  ColumnSelection selection;
  selection.wanted_ = wanted;
  std::set<int> roots;
  std::set<int> leaves;
  for (size_t i = 0; i < wanted->size(); ++i) {
    const columns::Field& field = wanted->field(i);
    HR_TRY(Found found, Find(schema, file, places[i]));
    if (found.leaf < 0 && field.nullable == columns::Nullable::kNo)
      return Fail(
          base::Error(ErrorCode::kInvalidInput,
                      fmt::format("no column `{}` ({})", field.name, columns::NameOf(field.type)))
              .With("column", field.name));
    if (found.leaf < 0) continue;
    roots.insert(found.root);
    leaves.insert(found.leaf);
    Chosen chosen{.read_as = field,
                  .wanted = i,
                  .root = found.root,
                  .below = std::move(found.below),
                  .decimal_scale = places[i].decimal_scale};
    if (places[i].widening == ColumnPlace::Widening::kYes)
      chosen.read_as.type = ReadAs(*found.type, field.type);
    selection.chosen_.push_back(std::move(chosen));
  }
  selection.leaves_.assign(leaves.begin(), leaves.end());
  for (Chosen& chosen : selection.chosen_)
    chosen.root = static_cast<int>(std::distance(roots.begin(), roots.find(chosen.root)));
  return selection;
}

Result<columns::Column> ColumnSelection::ColumnOf(const arrow::RecordBatch& part,
                                                  const Chosen& chosen) const {
  std::shared_ptr<arrow::Array> array = part.column(chosen.root);
  for (const std::string& name : chosen.below) {
    const auto& within = static_cast<const arrow::StructArray&>(*array);
    const int index = within.struct_type()->GetFieldIndex(name);
    if (index < 0) return Fail(ErrorCode::kCorruption, fmt::format("two fields `{}`", name));
    auto flat = within.GetFlattenedField(index, DecodingPool());
    if (!flat.ok()) return Fail(ErrorCode::kCorruption, flat.status().message());
    array = std::move(*flat);
  }
  if (chosen.decimal_scale) return DecimalTexts(*array, *chosen.decimal_scale);
  return columns::ColumnFromArrow(*array, chosen.read_as.type);
}

Result<columns::ColumnBatch> ColumnSelection::Arrange(
    const std::shared_ptr<arrow::RecordBatch>& part) const {
  const auto rows = static_cast<size_t>(part->num_rows());
  std::vector<columns::Column> columns(wanted_->size());
  std::vector<bool> have(wanted_->size(), false);
  for (const Chosen& chosen : chosen_) {
    const columns::Field& field = wanted_->field(chosen.wanted);
    auto read = ColumnOf(*part, chosen);
    if (!read) return Fail(std::move(read).error().With("column", field.name));
    HR_TRY(columns[chosen.wanted], Widen(*read, field.type));
    have[chosen.wanted] = true;
  }
  for (size_t i = 0; i < columns.size(); ++i)
    if (!have[i]) columns[i] = columns::AllNullColumn(wanted_->field(i).type, rows);
  return columns::ColumnBatch(wanted_, rows, std::move(columns));
}

columns::ColumnBatch ColumnSelection::AllNull(size_t rows) const {
  std::vector<columns::Column> columns;
  for (const columns::Field& field : wanted_->fields())
    columns.push_back(columns::AllNullColumn(field.type, rows));
  return {wanted_, rows, std::move(columns)};
}

}  // namespace headrace::tables

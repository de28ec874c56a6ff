#include "columns/conform.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "columns/batch_builder.h"
#include "columns/schema_evolution.h"

namespace headrace::columns {

namespace {

template <typename From, typename To>
Column Widened(const Column& column, Type to) {
  const auto values = column.values().as<From>().first(column.length());
  return {to, column.length(), Buffer::OwnValues(std::vector<To>(values.begin(), values.end())),
          column.validity()};
}

// Of a type to a wider one.
Column WidenedTo(Type to, const Column& column) {
  if (column.type() == Type::kFloat32) return Widened<float, double>(column, to);
  return to == Type::kInt64 ? Widened<int32_t, int64_t>(column, to)
                            : Widened<int32_t, double>(column, to);
}

// What of its values the narrower type has, too.
Column NarrowedTo(Type to, const Column& column) {
  ColumnBuilder builder(to);
  for (size_t row = 0; row < column.length(); ++row) {
    if (column.IsNull(row)) {
      builder.AppendNull();
    } else if (column.type() == Type::kInt64) {
      const int64_t value = column.Int64s()[row];
      std::in_range<int32_t>(value) ? builder.AppendInt(value) : builder.AppendNull();
    } else if (to == Type::kFloat32) {
      const double value = column.Float64s()[row];
      const bool same =
          std::isnan(value) || static_cast<double>(static_cast<float>(value)) == value;
      same ? builder.AppendDouble(value) : builder.AppendNull();
    } else {
      const double value = column.Float64s()[row];
      const bool whole = value >= std::numeric_limits<int32_t>::min() &&
                         value <= std::numeric_limits<int32_t>::max() &&
                         static_cast<double>(static_cast<int32_t>(value)) == value;
      whole ? builder.AppendInt(static_cast<int32_t>(value)) : builder.AppendNull();
    }
  }
  return builder.Finish();
}

Column ConformTo(Type type, const Column& column) {
  if (column.type() == type) return column;
  if (IsWidening(column.type(), type)) return WidenedTo(type, column);
  if (IsWidening(type, column.type())) return NarrowedTo(type, column);
  return AllNullColumn(type, column.length());
}

}  // namespace

Column AllNullColumn(Type type, size_t rows) {
  ColumnBuilder builder(type);
  for (size_t i = 0; i < rows; ++i) builder.AppendNull();
  return builder.Finish();
}

ColumnBatch ConformTo(const SchemaRef& schema, const ColumnBatch& batch) {
  if (batch.schema() == schema || *batch.schema() == *schema) return batch;
  std::vector<Column> conformed;
  for (const Field& field : schema->fields()) {
    const auto index = batch.schema()->IndexOf(field.name);
    conformed.push_back(index ? ConformTo(field.type, batch.column(*index))
                              : AllNullColumn(field.type, batch.rows()));
  }
  return {schema, batch.rows(), std::move(conformed)};
}

}  // namespace headrace::columns

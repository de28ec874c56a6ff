#include "columns/conform.h"

#include <cmath>
#include <limits>
#include <type_traits>
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

// Whether the narrower type has the value, too.
template <typename To, typename From>
bool Fits(From value) {
  if constexpr (std::is_same_v<From, int64_t>) return std::in_range<To>(value);
  constexpr auto kLeast = static_cast<From>(std::numeric_limits<To>::lowest());
  constexpr auto kGreatest = static_cast<From>(std::numeric_limits<To>::max());
  if (value >= kLeast && value <= kGreatest)
    return static_cast<From>(static_cast<To>(value)) == value;
  return std::is_floating_point_v<To> && !std::isfinite(static_cast<double>(value));
}

// What of its values the narrower type has, too.
template <typename From, typename To>
Column Narrowed(const Column& column, Type to) {
  const auto values = column.values().as<From>();
  std::vector<To> narrow(column.length());
  std::vector<uint8_t> validity((column.length() + 7) / 8, 0);
  for (size_t row = 0; row < column.length(); ++row) {
    if (column.IsNull(row) || !Fits<To>(values[row])) continue;
    narrow[row] = static_cast<To>(values[row]);
    validity[row >> 3] |= static_cast<uint8_t>(1U << (row & 7));
  }
  return {to, column.length(), Buffer::OwnValues(std::move(narrow)),
          Buffer::Own(std::move(validity))};
}

Column NarrowedTo(Type to, const Column& column) {
  if (to == Type::kFloat32) return Narrowed<double, float>(column, to);
  return column.type() == Type::kInt64 ? Narrowed<int64_t, int32_t>(column, to)
                                       : Narrowed<double, int32_t>(column, to);
}

}  // namespace

Column ConformTo(Type type, const Column& column) {
  if (column.type() == type) return column;
  if (IsWidening(column.type(), type)) return WidenedTo(type, column);
  if (IsWidening(type, column.type())) return NarrowedTo(type, column);
  return AllNullColumn(type, column.length());
}

Column AllNullColumn(Type type, size_t rows) {
  if (IsList(type)) {
    ColumnBuilder builder(type);
    for (size_t row = 0; row < rows; ++row) builder.AppendNull();
    return builder.Finish();
  }
  const auto zeros = [](size_t bytes) { return Buffer::Own(std::vector<uint8_t>(bytes, 0)); };
  Buffer validity = zeros((rows + 7) / 8);
  if (IsVariable(type))
    return {type, rows, {}, std::move(validity), zeros((rows + 1) * sizeof(int32_t))};
  const size_t bytes = type == Type::kBool ? (rows + 7) / 8 : rows * RowOf(type).width;
  return {type, rows, zeros(bytes), std::move(validity)};
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

#include "tables/table_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace headrace::tables {

using columns::Field;
using columns::Nullable;
using columns::Type;

base::Result<columns::SchemaRef> TableSchema(const columns::Schema& stream) {
  std::vector<Field> fields = stream.fields();
  uint32_t id = 0;
  for (const Field& field : fields) id = std::max(id, field.id);
  for (const auto& [name, type] :
       {std::pair(kEpochColumn, Type::kInt64), std::pair(kRowColumn, Type::kInt32),
        std::pair(kKnownAtColumn, Type::kTimestamp)}) {
    if (stream.IndexOf(name)) {
      return base::Fail(base::ErrorCode::kInvalidInput,
                        fmt::format("column `{}`: a table gives each row a column of that name; "
                                    "call it something else",
                                    name));
    }
    fields.push_back({.id = ++id, .name = name, .type = type, .nullable = Nullable::kNo});
  }
  return std::make_shared<const columns::Schema>(std::move(fields));
}

columns::ColumnBatch ToTableRows(const columns::SchemaRef& table, base::EpochId epoch,
                                 const columns::ColumnBatch& rows, std::vector<int64_t> known_at) {
  const size_t count = rows.rows();
  std::vector<columns::Column> columns = rows.columns();
  std::vector<int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  const std::vector<int64_t> epochs(count, static_cast<int64_t>(epoch.value));
  columns.emplace_back(Type::kInt64, count, columns::Buffer::OwnValues(epochs));
  columns.emplace_back(Type::kInt32, count, columns::Buffer::OwnValues(std::move(numbers)));
  columns.emplace_back(Type::kTimestamp, count, columns::Buffer::OwnValues(std::move(known_at)));
  return {table, count, std::move(columns)};
}

}  // namespace headrace::tables

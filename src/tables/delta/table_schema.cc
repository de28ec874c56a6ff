#include "tables/delta/table_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using Json = nlohmann::ordered_json;

constexpr const char* kPhysicalName = "delta.columnMapping.physicalName";
constexpr const char* kFieldId = "delta.columnMapping.id";

std::optional<Type> HeldAs(std::string_view type) {
  if (type == "byte" || type == "short") return Type::kInt32;
  for (const columns::TypeRow& row : columns::TypeTable())
    if (row.delta == type) return row.type;
  return std::nullopt;
}

Result<ColumnMapping> MappingOf(const Metadata& metadata) {
  const auto mode = metadata.configuration.find("delta.columnMapping.mode");
  if (mode == metadata.configuration.end() || mode->second == "none") return ColumnMapping::kNone;
  if (mode->second == "name") return ColumnMapping::kName;
  if (mode->second == "id") return ColumnMapping::kId;
  return Fail(ErrorCode::kUnsupported,
              fmt::format("column mapping `{}`, which this version does not have", mode->second));
}

Result<TableColumn> ColumnFrom(const Json& field, ColumnMapping mapping) {
  TableColumn column{.name = field.at("name").get<std::string>()};
  const Json& type = field.at("type");
  column.type = type.is_string() ? type.get<std::string>() : type.dump();
  column.held = HeldAs(column.type);
  column.nullable = field.value("nullable", true);
  column.physical_name = column.name;
  if (mapping == ColumnMapping::kNone) return column;
  const Json notes = field.value("metadata", Json::object());
  if (!notes.contains(kPhysicalName) || !notes.contains(kFieldId))
    return Fail(base::Error(ErrorCode::kCorruption, "a mapped column without its name and id")
                    .With("column", column.name));
  column.physical_name = notes.at(kPhysicalName).get<std::string>();
  column.field_id = notes.at(kFieldId).get<int32_t>();
  return column;
}

}  // namespace

const TableColumn* TableColumns::Named(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &TableColumn::name);
  return found == columns.end() ? nullptr : &*found;
}

Result<TableColumns> ReadTableColumns(const Metadata& metadata) {
  TableColumns table;
  HR_TRY(table.mapping, MappingOf(metadata));
  try {
    const Json schema = Json::parse(metadata.schema_string);
    for (const Json& field : schema.at("fields")) {
      HR_TRY(TableColumn column, ColumnFrom(field, table.mapping));
      table.columns.push_back(std::move(column));
    }
  } catch (const Json::exception& e) {
    return Fail(ErrorCode::kCorruption, fmt::format("broken schemaString: {}", e.what()));
  }
  for (const std::string& name : metadata.partition_columns) {
    const auto found = std::ranges::find(table.columns, name, &TableColumn::name);
    if (found == table.columns.end())
      return Fail(ErrorCode::kCorruption,
                  fmt::format("partition column `{}` is no column of the table", name));
    found->partition = true;
  }
  return table;
}

}  // namespace headrace::tables::delta

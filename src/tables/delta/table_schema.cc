#include "tables/delta/table_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "tables/delta/schema_document.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using Json = nlohmann::ordered_json;

constexpr const char* kPhysicalName = "delta.columnMapping.physicalName";
constexpr const char* kFieldId = "delta.columnMapping.id";

// Structs in structs: what is deeper is not offered.
constexpr size_t kDepthMax = 8;

// "decimal(10,2)".
std::optional<DecimalType> DecimalFrom(std::string_view type) {
  constexpr std::string_view kBegin = "decimal(";
  if (!type.starts_with(kBegin) || !type.ends_with(')')) return std::nullopt;
  const char* const begin = type.data() + kBegin.size();
  const char* const end = type.data() + type.size() - 1;
  DecimalType decimal;
  const auto [comma, error] = std::from_chars(begin, end, decimal.precision);
  if (error != std::errc() || comma == end || *comma != ',') return std::nullopt;
  const auto [after, wrong] = std::from_chars(comma + 1, end, decimal.scale);
  const bool known = wrong == std::errc() && after == end && decimal.precision > 0 &&
                     decimal.precision <= 38 && decimal.scale >= 0 &&
                     decimal.scale <= decimal.precision;
  return known ? std::optional(decimal) : std::nullopt;
}

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
  column.type = type.is_string() ? type.get<std::string>() : base::JsonText(type);
  column.held = HeldAs(column.type);
  column.decimal = DecimalFrom(column.type);
  if (column.decimal) column.held = Type::kString;
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

// The fields inside a struct, and inside the structs in it.
Result<void> AddFieldsBelow(const TableColumn& parent, const Json& type, ColumnMapping mapping,
                            std::vector<TableColumn>& inside,
                            std::vector<std::string>& unreadable) {
  const bool is_struct = type.is_object() && type.value("type", Json()) == "struct";
  if (!is_struct || parent.below.size() >= kDepthMax) {
    if (!parent.held) unreadable.push_back(parent.name);
    return {};
  }
  for (const Json& field : type.at("fields")) {
    HR_TRY(TableColumn column, ColumnFrom(field, mapping));
    column.name = parent.name + "_" + column.name;
    column.nullable = column.nullable || parent.nullable;
    column.below = parent.below;
    column.below.push_back({std::exchange(column.physical_name, parent.physical_name),
                            std::exchange(column.field_id, parent.field_id)});
    HR_TRY_VOID(AddFieldsBelow(column, field.at("type"), mapping, inside, unreadable));
    if (column.held) inside.push_back(std::move(column));
  }
  return {};
}

// Behind the table's own columns, those whose name is not taken.
void AddInside(std::vector<TableColumn> inside, TableColumns& table) {
  for (TableColumn& column : inside)
    if (table.Named(column.name) == nullptr) {
      table.columns.push_back(std::move(column));
    } else {
      table.unreadable.push_back(column.name);
    }
}

}  // namespace

const TableColumn* TableColumns::Named(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &TableColumn::name);
  return found == columns.end() ? nullptr : &*found;
}

Result<TableColumns> ReadTableColumns(const Metadata& metadata) {
  TableColumns table;
  HR_TRY(table.mapping, MappingOf(metadata));
  std::vector<TableColumn> inside;
  try {
    const Json schema = ParseSchemaDocument(metadata.schema_string);
    for (const Json& field : schema.at("fields")) {
      HR_TRY(TableColumn column, ColumnFrom(field, table.mapping));
      HR_TRY_VOID(
          AddFieldsBelow(column, field.at("type"), table.mapping, inside, table.unreadable));
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
  AddInside(std::move(inside), table);
  return table;
}

}  // namespace headrace::tables::delta

#pragma once
// The columns of any Delta table, as a reader sees them: what they are called in the table and in
// its files, and which of them this version can read. A struct is not held, but the fields inside
// it are columns of their own, as an event's object is flattened: `device_os` is `os` of `device`.
// Where the table has a column of that name, there is no other one of it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/schema.h"
#include "tables/delta/actions.h"

namespace headrace::tables::delta {

// How names in files are found (PROTOCOL, "Column Mapping").
enum class ColumnMapping : uint8_t { kNone, kName, kId };

struct DecimalType {
  int precision = 10;
  int scale = 0;  // digits after the point
};

struct TableColumn {
  std::string name;
  std::string physical_name;  // in files, statistics and partition values
  std::optional<int32_t> field_id;
  std::string type;                   // as logged: "long", "decimal(10,2)", a nested type's JSON
  std::optional<columns::Type> held;  // nothing: a type without a counterpart here
  bool nullable = true;
  bool partition = false;
  // Then it is held as text, with all its digits: no bounds are told, and it is not compared.
  std::optional<DecimalType> decimal = {};
  // Of a field inside a struct: the steps from the column that physical_name is of.
  struct Step {
    std::string physical_name;
    std::optional<int32_t> field_id;
  };
  std::vector<Step> below = {};

  bool comparable() const { return held.has_value() && !decimal; }
};

struct TableColumns {
  std::vector<TableColumn> columns;
  ColumnMapping mapping = ColumnMapping::kNone;
  // Those that can't be asked for, fields inside structs among them: of a type that is not read,
  // too deep, or of a name that is taken.
  std::vector<std::string> unreadable;
  // Nothing when there is no such column.
  const TableColumn* Named(std::string_view name) const;
};

// Errors: kCorruption for a broken schema, a partition column that is none of the table's, mapped
// columns without their names or ids; kUnsupported for another mapping mode.
base::Result<TableColumns> ReadTableColumns(const Metadata& metadata);

}  // namespace headrace::tables::delta

#pragma once
// Which files can't have a row that a scan asks for, by their partition values and statistics
// (PROTOCOL, "Per-file Statistics").

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/value.h"
#include "tables/delta/actions.h"
#include "tables/delta/table_schema.h"

namespace headrace::tables::delta {

// "column is `value`" and so on; a null fits none.
struct Condition {
  std::string column;
  enum class Is : uint8_t { kEqual, kLess, kAtMost, kGreater, kAtLeast } is = Is::kEqual;
  columns::Value value;  // of the type that the column is held as
};

// Errors: kInvalidInput for a column that is not there or of another type.
base::Result<void> CheckConditions(const TableColumns& table,
                                   std::span<const Condition> conditions);

// False: no row of the file fits all of the conditions, which were checked. True when in doubt:
// statistics may be absent, cut, or of another writer's making.
bool MayFit(const TableColumns& table, std::span<const Condition> conditions, const AddFile& file);

// What a file says of a column of a type that is held.
struct FileBounds {
  std::optional<columns::Value> least;  // nothing: it can't be told
  std::optional<columns::Value> greatest;
  bool all_null = false;
};
// One a column of the table.
std::vector<FileBounds> BoundsOf(const TableColumns& table, const AddFile& file);
// Of two values of one type, none of them null; as expressions order them: NaN equals NaN, and is
// above every number.
std::weak_ordering CompareValues(const columns::Value& a, const columns::Value& b);

// A partition value as the log has it; null for null and "". Errors: kCorruption for a text that is
// no value of the type; kUnsupported for bytes.
base::Result<columns::Value> PartitionValue(const TableColumn& column, const AddFile& file);

}  // namespace headrace::tables::delta

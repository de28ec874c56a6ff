#pragma once
// Delta's JSON for schemas and for column statistics (PROTOCOL, "Schema Serialization Format",
// "Per-file Statistics").

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "columns/schema.h"
#include "tables/parquet/parquet_writer.h"

namespace headrace::tables::delta {

// The schemaString of a table.
std::string RenderSchema(const columns::Schema& schema);

// The schemaString of a table that has `known` and gets the columns `wanted`: what `known` says
// beside type and nullability of a column stays, and a column of a wider type says so
// (PROTOCOL, "Type Change Metadata"). Errors: kCorruption.
base::Result<std::string> RenderEvolved(std::string_view known, const columns::Schema& wanted);

// Which type of a column that was widened: the one that it has now, or its first.
enum class ColumnTypes : uint8_t { kNow, kFirst };
// Field ids are 1, 2, 3 ... Errors: kCorruption; kUnsupported for types without a counterpart
// (decimal, struct, ...).
base::Result<columns::SchemaRef> ParseSchema(std::string_view schema_string,
                                             ColumnTypes types = ColumnTypes::kNow);

// numRecords, minValues, maxValues, nullCount. Long text is cut: the minimum to a prefix, the
// maximum to a prefix that is raised; timestamps to milliseconds, the minimum down and the maximum
// up.
std::string RenderStats(const columns::Schema& schema, uint64_t rows,
                        std::span<const ColumnStats> stats);

}  // namespace headrace::tables::delta

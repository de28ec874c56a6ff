#pragma once
// Somebody else who appends to our Delta table, between our own commits.

#include <cstdint>

#include "columns/schema.h"
#include "env/environment.h"

namespace headrace::simulation {

// Rows of somebody else have ids below zero.
constexpr bool IsForeign(int64_t id) { return id < 0; }

// One version with one data file of one row, `id` below zero; a blind append, as any Delta writer
// makes it. Does nothing and answers false when there is no table yet.
base::Result<bool> AppendForeignRow(env::Environment& environment, const std::string& table,
                                    const columns::SchemaRef& stream, int64_t id);

// All files of the newest version into one of somebody else's, whose name has `number`. As above.
base::Result<bool> CompactForeign(env::Environment& environment, const std::string& table,
                                  const columns::SchemaRef& stream, uint64_t number);

}  // namespace headrace::simulation

#pragma once
// Rows on their way into a join.

#include <algorithm>
#include <cstdint>
#include <span>

#include "columns/batch.h"
#include "columns/position.h"

namespace headrace::pipeline {

// By row number; whose bytes it sees is the caller's business.
struct JoiningRows {
  const columns::ColumnBatch& rows;
  std::span<const int64_t> times;
  std::span<const columns::Position> positions;
  std::span<const int64_t> known_at;  // empty when it is observed: epochs then say what was known
};

// A NULL in a key is equal to nothing.
inline bool AnyNull(const columns::ColumnBatch& rows, std::span<const size_t> fields, size_t row) {
  return std::ranges::any_of(fields, [&](size_t field) { return rows.column(field).IsNull(row); });
}

}  // namespace headrace::pipeline

#pragma once
// Which part of a table a rewriting is of, as people write it: conditions joined by `and`.
//
//   carrier = 'AA' and delay > 15
//   landed_at >= '2013-01-05' and landed_at < '2013-01-06 12:00:00'
//   landed_at > now - 2d
//   day(landed_at) = yesterday          (today, or 'YYYY-MM-DD'; days are UTC's)
//
// It chooses files, by their statistics: a file that may have a row that fits is taken whole.

#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "tables/delta/pruning.h"
#include "tables/delta/table_schema.h"

namespace headrace::tables {

inline constexpr size_t kPredicateBytesMax = 4096;

// `now` as it is at this moment. Errors: kInvalidInput that says what is wrong where: no such
// column, a value of another type, a text that ends early.
base::Result<std::vector<delta::Condition>> ParsePredicate(std::string_view text,
                                                           const delta::TableColumns& table,
                                                           base::Timestamp now);

}  // namespace headrace::tables

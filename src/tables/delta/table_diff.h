#pragma once
// What one version of a table has and another has not: by files, and, when it is asked for, by
// rows.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tables/delta/delta_reader.h"

namespace headrace::tables::delta {

struct FileTotals {
  uint64_t files = 0;
  uint64_t rows = 0;  // as far as statistics tell, less what deletion vectors take away
  uint64_t bytes = 0;
};

// Rows as often as one side has them more than the other.
struct RowTotals {
  uint64_t only_before = 0;
  uint64_t only_after = 0;
  // Columns of either side that this version does not read, by name.
  std::vector<std::string> not_compared;
};

struct TableDiff {
  FileTotals only_before;
  FileTotals only_after;
  FileTotals both;
  std::optional<RowTotals> rows;
};

enum class Compare : uint8_t { kFiles, kRows };
// Two versions of one table, or two tables, that then have no file in common.
enum class Tables : uint8_t { kOne, kTwo };

// Rows that are in fewer than two files are read once, those of files in both not at all: 16 bytes
// of memory for each row read. Where a column of one name is another one in the two versions, or of
// another type, files of both are read for both.
inline constexpr uint64_t kDiffRowsMax = 50'000'000;

// Errors: kInvalidInput when the two have other columns and rows are asked for; kResourceExhausted
// beyond kDiffRowsMax; those of DeltaReader::Scan.
base::Result<TableDiff> DiffTables(const DeltaReader& before, const DeltaReader& after,
                                   Tables tables, Compare compare);

}  // namespace headrace::tables::delta

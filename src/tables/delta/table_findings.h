#pragma once
// What costs the readers of a Delta table, with figures, and the command that mends it.

#include <string>
#include <vector>

#include "tables/delta/table_survey.h"

namespace headrace::tables::delta {

struct Finding {
  std::string name;  // "small files": stable, also in JSON
  bool wrong = false;
  std::string saw;       // figures, one line; also when nothing is wrong
  std::string spark;     // SQL; empty: no command mends it
  std::string delta_rs;  // Python
  std::string note;      // what to know before; may be empty
};

// From these on something is wrong.
inline constexpr uint64_t kSmallFilesMin = 50;  // that packing would save
inline constexpr uint64_t kCommitsWithoutCheckpoint = 200;
inline constexpr uint64_t kExpiredCommitsMin = 100;

inline constexpr uint64_t kLayoutBytesMin = 8 * kTargetFileBytes;  // smaller is read whole anyway
inline constexpr double kLayoutShareMax = 0.5;  // of the files, that one value's rows are in

// One for each thing looked at, in the order of what it costs.
std::vector<Finding> FindingsOf(const TableSurvey& survey, const std::string& folder);

// "one value of paid_at opens 2 of 120 files (2 %), shop 118 (98 %)", at most `most` columns.
std::string LayoutText(const Layout& layout, size_t most);

// "1.5 MiB".
std::string BytesText(uint64_t bytes);

}  // namespace headrace::tables::delta

#pragma once
// A rewrite plan: "the rows of these files go into new ones, in this order". Like a publish plan it
// is in the log before its first file is written; the new files are named from the epoch that holds
// it, and the same build makes the same bytes of it. Rows keep their columns, `_epoch`, `_row` and
// `_known_at` among them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/position.h"
#include "log/epoch.h"
#include "tables/table_format.h"

namespace headrace::tables {

struct RewritePlan {
  base::StreamId stream;
  base::EpochId epoch;               // of the log, that holds it; 0 until then; not in the payload
  uint64_t rows_per_file = 0;        // of the new files; the last has the rest
  std::vector<std::string> z_order;  // columns; none: rows stay in the order of the files
  std::vector<OldFile> files;        // in this order
  bool operator==(const RewritePlan&) const = default;
};

// The control entry: kRewritePlan, name `table`, payload {u8 1, u32 stream, u64 rows per file, u32
// columns, text each, u32 files, each text name, u64 bytes}.
log::ControlEntry EncodeRewrite(const RewritePlan& plan, const std::string& table);
// Nothing for other entries; the plan's epoch is that of the entry. Errors: kCorruption.
base::Result<std::optional<RewritePlan>> DecodeRewrite(const log::ControlEntry& entry,
                                                       base::EpochId epoch);

// Tags of rewritten files.
inline constexpr const char* kPositionsTag = "headrace.positions";  // "<first>-<last>", packed
inline constexpr const char* kOrderTag = "headrace.order";  // kByPosition, or "z:carrier,origin"
inline constexpr const char* kByPosition = "position";      // rows stand in the order of positions
inline constexpr const char* kReplacedTag =
    "headrace.replaced";  // of the first file: ReplacedFiles

// What kPositionsTag says of rows from `first` to `last`, and back; nothing for another text.
struct PositionRange {
  columns::Position first;
  columns::Position last;
};
std::string PositionsText(PositionRange range);
std::optional<PositionRange> PositionsOf(std::string_view text);

// What kOrderTag says of rows in Z-order.
std::string OrderOf(const std::vector<std::string>& z_order);

}  // namespace headrace::tables

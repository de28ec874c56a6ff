#include "pipeline/streams/known_at.h"

namespace headrace::pipeline {

std::vector<int64_t> KnownAt(const KnownAtRule& rule, size_t event_time_field,
                             const columns::ColumnBatch& rows, base::Timestamp visible) {
  using Kind = KnownAtRule::Kind;
  if (rule.kind == Kind::kVisible) return std::vector<int64_t>(rows.rows(), visible.us);
  const auto event_time = rows.column(event_time_field).Int64s();
  std::vector<int64_t> known(event_time.begin(), event_time.end());
  if (rule.kind == Kind::kEventTime) return known;
  const columns::Column& arrived = rows.column(rule.field);
  for (size_t row = 0; row < known.size(); ++row) {
    if (arrived.IsNull(row)) continue;
    known[row] = (base::Timestamp{arrived.Int64s()[row]} + rule.offset).us;
  }
  return known;
}

}  // namespace headrace::pipeline

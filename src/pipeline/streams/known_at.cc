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

KnownAtRule RuleUnder(const PipelineDefinition& then, const StreamDefinition& stream) {
  if (stream.known_at.assumed()) return stream.known_at;
  const auto number = then.StreamNamed(stream.name);
  if (!number || then.streams[*number].derived()) return stream.known_at;
  const StreamDefinition& before = then.streams[*number];
  KnownAtRule rule = before.known_at;
  if (rule.kind != KnownAtRule::Kind::kArrived) return rule;
  const columns::Field& arrived = before.schema()->field(rule.field);
  const auto field = stream.schema()->IndexOf(arrived.name);
  if (!field || stream.schema()->field(*field).type != arrived.type)
    return {.kind = KnownAtRule::Kind::kEventTime};
  rule.field = *field;
  return rule;
}

}  // namespace headrace::pipeline

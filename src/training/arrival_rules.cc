#include "training/arrival_rules.h"

#include <algorithm>
#include <map>

#include "pipeline/streams/known_at.h"

namespace headrace::training {

using pipeline::KnownAtRule;

namespace {

// Under the rule, of rows with the fields that a scan has read or that were logged. What a schema
// of before lacks is null in its rows.
std::vector<int64_t> KnownUnder(KnownAtRule rule, const pipeline::StreamDefinition& stream,
                                const columns::ColumnBatch& rows) {
  const auto place = [&](size_t field) {
    return rows.schema()->IndexOf(stream.schema()->field(field).name);
  };
  if (rule.kind == KnownAtRule::Kind::kArrived) {
    const auto field = place(rule.field);
    if (!field) rule.kind = KnownAtRule::Kind::kEventTime;
    rule.field = field.value_or(0);
  }
  return pipeline::KnownAt(rule, place(stream.timing.event_time_field).value(), rows, {});
}

}  // namespace

void ArrivalRules::Add(base::EpochId from, base::Timestamp at, const KnownAtRule& rule) {
  if (!rules_.empty() && rules_.back().rule == rule) return;
  if (!rules_.empty()) rules_.back().until = at;
  rules_.push_back({from, rule, base::Timestamp::Max()});
}

const ArrivalRules::Rule& ArrivalRules::RuleAt(base::EpochId epoch) const {
  const auto next = std::ranges::upper_bound(rules_, epoch, {}, &Rule::from);
  return next == rules_.begin() ? *next : *std::prev(next);
}

bool ArrivalRules::any_assumed() const {
  return std::ranges::any_of(rules_, [](const Rule& each) { return each.rule.assumed(); });
}

std::set<size_t> ArrivalRules::Fields(const pipeline::StreamDefinition& stream) const {
  if (!any_assumed()) return {};
  std::set<size_t> fields = {stream.timing.event_time_field};
  for (const Rule& each : rules_)
    if (each.rule.kind == KnownAtRule::Kind::kArrived) fields.insert(each.rule.field);
  return fields;
}

base::Timestamp ArrivalRules::SetKnownAt(const pipeline::StreamDefinition& stream,
                                         tables::PositionedRows& rows) const {
  base::Timestamp all_known = base::Timestamp::Min();
  std::map<const Rule*, std::vector<int64_t>> known_under;
  for (size_t row = 0; row < rows.positions.size(); ++row) {
    const Rule& rule = RuleAt(rows.positions[row].epoch());
    if (!rule.rule.assumed()) continue;
    std::vector<int64_t>& known = known_under[&rule];
    if (known.empty()) known = KnownUnder(rule.rule, stream, rows.rows);
    rows.known_at[row] = known[row];
    all_known = std::max({all_known, rule.until, base::Timestamp{known[row]}});
  }
  return all_known;
}

}  // namespace headrace::training

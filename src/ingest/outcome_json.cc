#include "ingest/outcome_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "columns/value.h"

namespace headrace::ingest {
std::string_view NameOf(Durability durability) {
  return durability == Durability::kFsync ? "fsync" : "os";
}

void AppendRefusal(std::string& out, uint32_t row, std::string_view field, std::string_view rule,
                   std::string_view reason) {
  fmt::format_to(std::back_inserter(out), R"("row":{},"field":)", row);
  columns::AppendJsonString(out, field);
  out += R"(,"rule":)";
  columns::AppendJsonString(out, rule);
  out += R"(,"reason":)";
  columns::AppendJsonString(out, reason);
}

void AppendOutcomeMembers(std::string& out, const IngestOutcome& outcome, size_t refused_max) {
  fmt::format_to(std::back_inserter(out), R"("accepted":{},"refused_rows":{},"refused":[)",
                 outcome.accepted, outcome.refused_rows);
  const size_t listed = std::min(refused_max, outcome.refused.size());
  for (size_t i = 0; i < listed; ++i) {
    if (i > 0) out += ',';
    const columns::RejectedRow& row = outcome.refused[i];
    out += '{';
    AppendRefusal(out, row.row, row.field, row.rule, row.reason);
    out += '}';
  }
  fmt::format_to(std::back_inserter(out), R"(],"epoch":{},"durability":"{}","repeated":{})",
                 outcome.epoch.value, NameOf(outcome.durability),
                 outcome.repeat == Repeat::kRepeated);
}

}  // namespace headrace::ingest

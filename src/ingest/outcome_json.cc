#include "ingest/outcome_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "columns/value.h"

namespace headrace::ingest {
namespace {

void AppendRefusedRow(std::string& out, const columns::RejectedRow& row) {
  fmt::format_to(std::back_inserter(out), R"({{"row":{},"field":)", row.row);
  columns::AppendJsonString(out, row.field);
  out += R"(,"rule":)";
  columns::AppendJsonString(out, row.rule);
  out += R"(,"reason":)";
  columns::AppendJsonString(out, row.reason);
  out += '}';
}

}  // namespace

std::string_view NameOf(Durability durability) {
  return durability == Durability::kFsync ? "fsync" : "os";
}

void AppendOutcomeMembers(std::string& out, const IngestOutcome& outcome, size_t refused_max) {
  fmt::format_to(std::back_inserter(out), R"("accepted":{},"refused_rows":{},"refused":[)",
                 outcome.accepted, outcome.refused_rows);
  const size_t listed = std::min(refused_max, outcome.refused.size());
  for (size_t i = 0; i < listed; ++i) {
    if (i > 0) out += ',';
    AppendRefusedRow(out, outcome.refused[i]);
  }
  fmt::format_to(std::back_inserter(out), R"(],"epoch":{},"durability":"{}","repeated":{})",
                 outcome.epoch.value, NameOf(outcome.durability),
                 outcome.repeat == Repeat::kRepeated);
}

}  // namespace headrace::ingest

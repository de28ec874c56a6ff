// headrace optimize, headrace vacuum: asks a running engine to rewrite files of a table, or to
// remove those that nobody needs, and waits until it has. The engine alone does it, as an entry in
// the same log as its writes; a folder that no engine holds is served first.

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "base/time.h"
#include "commands.h"
#include "contract/yaml_reading.h"
#include "http_calls.h"
#include "tables/delta/table_findings.h"

namespace headrace::app {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::ordered_json;
using tables::delta::BytesText;

// Rewriting a large table takes its time.
constexpr std::chrono::hours kAnswerWithin{24};
constexpr size_t kFilesShown = 20;

// "64MiB", "1GiB", "500KB" as bytes.
Result<uint64_t> SizeIn(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  for (const auto& [unit, bytes] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto number = contract::NumberIn(text.substr(0, text.size() - unit.size()));
    if (number && *number > 0 && *number * bytes < 0x1p50)
      return static_cast<uint64_t>(*number * bytes);
  }
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("`--target-size {}`: write it like 128MiB", text));
}

Result<ordered_json> BodyOf(const OptimizeOptions& options) {
  ordered_json body = ordered_json::object();
  if (!options.where.empty()) body["where"] = options.where;
  if (!options.z_order.empty()) {
    ordered_json columns = ordered_json::array();
    for (size_t at = 0; at <= options.z_order.size();) {
      const size_t comma = std::min(options.z_order.find(',', at), options.z_order.size());
      if (comma > at) columns.push_back(options.z_order.substr(at, comma - at));
      at = comma + 1;
    }
    body["z_order"] = std::move(columns);
  }
  if (!options.target_size.empty()) {
    HR_TRY(body["target_bytes"], SizeIn(options.target_size));
  }
  if (options.dry_run) body["dry_run"] = true;
  return body;
}

Result<ordered_json> Ask(const Address& http, const std::string& table, const char* verb,
                         const ordered_json& body) {
  HttpCalls calls(http, kAnswerWithin);
  HR_TRY(const std::string text,
         calls.PostJson(fmt::format("/tables/{}/{}", PercentEncode(table), verb),
                        base::JsonText(body)));
  ordered_json answer = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (answer.is_object()) return answer;
  return Fail(ErrorCode::kInternal, "the engine's answer is no JSON object");
}

uint64_t Count(const ordered_json& json, const char* name) { return json.value(name, uint64_t{0}); }

void PrintOptimized(std::FILE* out, const OptimizeOptions& options, const ordered_json& answer) {
  const ordered_json& chosen = answer["chosen"];
  const ordered_json& left = answer["left"];
  const ordered_json& done = answer["done"];
  fmt::print(out, "{}: {}, {}\n", options.table,
             base::Counted(Count(answer, "table_files"), "file"),
             BytesText(Count(answer, "table_bytes")));
  fmt::print(out, "  chosen      {}, {}, {}, into about {} in {}\n",
             base::Counted(Count(chosen, "files"), "file"), BytesText(Count(chosen, "bytes")),
             base::Counted(Count(chosen, "rows"), "row"),
             base::Counted(Count(chosen, "files_made"), "file"),
             base::Counted(Count(chosen, "versions"), "version"));
  constexpr std::pair<const char*, const char*> kLeft[] = {
      {"large_or_in_order", "large enough, or in this order already"},
      {"not_of_the_predicate", "without a row of the predicate"},
      {"waiting_for_more", "small, and too few to be worth it"},
      {"of_other_writers", "of other writers"},
      {"with_deleted_rows", "of which somebody deleted rows"}};
  for (const auto& [name, says] : kLeft)
    if (Count(left, name) > 0)
      fmt::print(out, "  left        {} {}\n", base::WithCommas(Count(left, name)), says);
  if (options.dry_run) {
    fmt::print(out, "  nothing was rewritten (--dry-run)\n");
    return;
  }
  fmt::print(out, "  rewritten   {}, {} into {}, {}, in {:.1f} s\n",
             base::Counted(Count(done, "files_taken"), "file"),
             BytesText(Count(done, "bytes_taken")),
             base::Counted(Count(done, "files_made"), "file"), BytesText(Count(done, "bytes_made")),
             done.value("seconds", 0.0));
  if (Count(done, "given_up") > 0)
    fmt::print(out, "  given up    {}: another writer had touched their files; run it again\n",
               base::Counted(Count(done, "given_up"), "version"));
}

void PrintVacuumed(std::FILE* out, const VacuumOptions& options, const ordered_json& answer) {
  fmt::print(out, "{}: {}, {} {} (removed or unnamed for over {})\n", options.table,
             base::Counted(Count(answer, "files"), "file"), BytesText(Count(answer, "bytes")),
             options.dry_run ? "would go" : "are gone", answer.value("retain", std::string()));
  size_t shown = 0;
  for (const ordered_json& file : answer["listed"]) {
    if (++shown > kFilesShown) break;
    fmt::print(out, "  {:>10}  {}  {}\n", BytesText(Count(file, "bytes")),
               file.value("modified_at", std::string()), file.value("name", std::string()));
  }
  if (Count(answer, "files") > kFilesShown) fmt::print(out, "  ... all of them: --json\n");
  if (Count(answer, "kept_young") > 0)
    fmt::print(out, "  {} more that the newest version does not have are younger than that\n",
               base::WithCommas(Count(answer, "kept_young")));
}

}  // namespace

int RunOptimize(const OptimizeOptions& options, CommandContext& context) {
  const auto body = BodyOf(options);
  if (!body) return ReportError(context, body.error());
  const auto answer = Ask(options.http, options.table, "optimize", *body);
  if (!answer) return ReportError(context, answer.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(*answer));
  } else {
    PrintOptimized(context.out, options, *answer);
  }
  return 0;
}

int RunVacuum(const VacuumOptions& options, CommandContext& context) {
  ordered_json body = ordered_json::object();
  if (options.retain) body["retain_us"] = static_cast<uint64_t>(options.retain->count());
  if (options.below_floor) body["below_floor"] = true;
  if (options.dry_run) body["dry_run"] = true;
  const auto answer = Ask(options.http, options.table, "vacuum", body);
  if (!answer) return ReportError(context, answer.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(*answer));
  } else {
    PrintVacuumed(context.out, options, *answer);
  }
  return 0;
}

}  // namespace headrace::app

// headrace doctor TABLE_FOLDER: what costs the readers of a Delta table, and the command that mends
// it. Reads, and changes nothing.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "base/next_step.h"
#include "commands.h"
#include "env/environment.h"
#include "tables/delta/table_findings.h"

namespace headrace::app {
namespace {

using nlohmann::ordered_json;
using tables::delta::BytesText;
using tables::delta::Finding;
using tables::delta::TableSurvey;

constexpr int kSomethingWrong = 1;

ordered_json ToJson(const TableSurvey& survey, const std::vector<Finding>& findings) {
  const auto& files = survey.files;
  const auto& log = survey.log;
  ordered_json json = {
      {"version", survey.state.version},
      {"files", files.files},
      {"bytes", files.bytes},
      {"rows", files.rows},
      {"median_file_bytes", files.median_bytes},
      {"small_files", files.small},
      {"files_after_packing", files.after_packing},
      {"partitions", files.partitions},
      {"files_without_bounds", files.without_bounds},
      {"deleted_rows", files.deleted_rows},
      {"missing_files", files.missing},
      {"unreferenced_files", files.unreferenced},
      {"unreferenced_bytes", files.unreferenced_bytes},
      {"commits", log.commits},
      {"checkpoint", log.checkpoint ? ordered_json(*log.checkpoint) : ordered_json()},
      {"commits_since_checkpoint", log.since_checkpoint},
      {"log_bytes", log.bytes},
      {"expired_commits", log.expired},
      {"findings", ordered_json::array()}};
  for (const Finding& finding : findings)
    json["findings"].push_back({{"name", finding.name},
                                {"wrong", finding.wrong},
                                {"saw", finding.saw},
                                {"spark", finding.spark},
                                {"delta_rs", finding.delta_rs},
                                {"note", finding.note}});
  return json;
}

void PrintWrong(std::FILE* out, size_t number, const Finding& finding) {
  fmt::print(out, "{}  {:<16} {}\n", number, finding.name, finding.saw);
  if (!finding.spark.empty()) fmt::print(out, "   spark            {}\n", finding.spark);
  if (!finding.delta_rs.empty()) fmt::print(out, "   delta-rs         {}\n", finding.delta_rs);
  if (!finding.note.empty()) fmt::print(out, "   note             {}\n", finding.note);
}

void Print(std::FILE* out, const std::string& folder, const TableSurvey& survey,
           const std::vector<Finding>& findings) {
  const auto wrong = std::ranges::count_if(findings, &Finding::wrong);
  fmt::print(out, "{}: {}. Delta, version {}, {} in {}, {}.\n", folder,
             wrong == 0   ? "WELL"
             : wrong == 1 ? "1 THING TO MEND"
                          : fmt::format("{} THINGS TO MEND", wrong),
             survey.state.version, base::Counted(survey.files.rows, "row"),
             base::Counted(survey.files.files, "file"), BytesText(survey.files.bytes));
  size_t number = 0;
  for (const Finding& finding : findings)
    if (finding.wrong) PrintWrong(out, ++number, finding);
  fmt::print(out, "{}", wrong == 0 ? "" : "NOT IT\n");
  for (const Finding& finding : findings)
    if (!finding.wrong) fmt::print(out, "   {:<16} {}\n", finding.name, finding.saw);
}

// The table's folder, resolved.
base::Result<std::string> FolderOf(env::Files& files, const std::string& table) {
  auto resolved = files.Resolve(table);
  const bool absent = !resolved && resolved.error().code() == base::ErrorCode::kNotFound;
  if (!resolved && !absent) return resolved;
  if (!absent) {
    HR_TRY(const bool is_table, files.Exists(*resolved + "/_delta_log"));
    if (is_table) return resolved;
  }
  return base::Fail(
      base::Error(base::ErrorCode::kNotFound,
                  absent ? "there is no such folder" : "there is no Delta table in this folder")
          .With("folder", table)
          .With(base::kNextStep,
                fmt::format("name a folder that has `_delta_log` in it; `headrace tables {}` "
                            "lists those of an engine",
                            absent ? "DATA" : table)));
}

}  // namespace

int RunDoctor(const DoctorOptions& options, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  const auto resolved = FolderOf(environment->files(), options.table);
  if (!resolved) return ReportError(context, resolved.error());
  const std::string& folder = *resolved;  // whole, so that the commands work from anywhere
  const auto survey = tables::delta::SurveyTable(*environment, folder);
  if (!survey) return ReportError(context, survey.error());
  const auto findings = tables::delta::FindingsOf(*survey, folder);
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(ToJson(*survey, findings)));
  } else {
    Print(context.out, folder, *survey, findings);
  }
  return std::ranges::any_of(findings, &Finding::wrong) ? kSomethingWrong : 0;
}

}  // namespace headrace::app

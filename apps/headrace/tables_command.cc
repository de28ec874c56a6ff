// headrace tables FOLDER: the Delta tables of a data folder, or one table: version, epochs, files,
// sizes, freshness, layout, and its newest versions. Reads, and changes nothing.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "base/next_step.h"
#include "base/time.h"
#include "commands.h"
#include "env/environment.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/table_findings.h"
#include "tables/delta/version_list.h"

namespace headrace::app {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::ordered_json;
using tables::delta::BytesText;
using tables::delta::CommitCosts;
using tables::delta::TableSurvey;
using tables::delta::VersionFacts;

constexpr int64_t kUsPerSecond = 1'000'000;
constexpr double kWholeFrom = 1000;     // bytes a row from which on tenths say nothing
constexpr size_t kCostedCommits = 100;  // the newest, by which a table's cost is told
// Of which the version is that of a plan, and no epoch whose rows are there
// (tables/data_file_names.h).
constexpr std::string_view kRewritings = "headrace-rewrite/";

struct NamedTable {
  std::string name;
  std::string folder;
};

// The folder itself when it is a table; else the tables below it, or below its `tables`.
Result<std::vector<NamedTable>> FindTables(env::Files& files, std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  const auto is_table = [&](const std::string& path) {
    const auto there = files.Exists(path + "/_delta_log");
    return there && *there;
  };
  if (is_table(folder))
    return std::vector<NamedTable>{{folder.substr(folder.rfind('/') + 1), folder}};
  std::vector<NamedTable> tables;
  for (const std::string& parent : {folder + "/tables", folder}) {
    const auto names = files.List(parent);
    if (!names) continue;
    for (const std::string& name : *names)
      if (is_table(parent + "/" + name)) tables.push_back({name, parent + "/" + name});
    if (!tables.empty()) return tables;
  }
  return Fail(base::Error(ErrorCode::kNotFound,
                          "no Delta table here: name a table's folder, or an "
                          "engine's data folder")
                  .With("folder", folder));
}

ordered_json Epochs(const TableSurvey& survey) {
  ordered_json epochs = ordered_json::array();
  for (const auto& [application, txn] : survey.state.transactions)
    if (!application.starts_with(kRewritings))
      epochs.push_back({{"application", application}, {"epoch", txn.version}});
  return epochs;
}

ordered_json LayoutJson(const tables::delta::Layout& layout) {
  ordered_json columns = ordered_json::array();
  for (const tables::delta::ColumnLayout& each : layout.columns)
    columns.push_back({{"column", each.column},
                       {"files_opened", each.files_opened},
                       {"share", each.files_opened / static_cast<double>(layout.files)}});
  return columns;
}

ordered_json VersionsJson(const std::vector<VersionFacts>& versions) {
  ordered_json all = ordered_json::array();
  for (const VersionFacts& each : versions)
    all.push_back({{"version", each.version},
                   {"at", base::FormatTimestamp(each.at)},
                   {"operation", each.operation},
                   {"epoch", each.epoch ? ordered_json(*each.epoch) : ordered_json()},
                   {"files_added", each.files_added},
                   {"files_removed", each.files_removed},
                   {"rows_added", each.rows_added},
                   {"bytes_added", each.bytes_added}});
  return all;
}

void PrintVersions(std::FILE* out, const std::vector<VersionFacts>& versions) {
  for (const VersionFacts& each : versions)
    fmt::print(
        out, "  {:>11} {}  {}{}  +{}, {}, {}{}\n", each.version, base::FormatTimestamp(each.at),
        each.operation, each.epoch ? fmt::format(", up to epoch {}", *each.epoch) : "",
        base::Counted(each.files_added, "file"), base::Counted(each.rows_added, "row"),
        BytesText(each.bytes_added),
        each.files_removed == 0 ? ""
                                : fmt::format(", -{}", base::Counted(each.files_removed, "file")));
}

// Per row; only of what says how old it was, of the latency.
ordered_json CostJson(const CommitCosts& costs) {
  ordered_json json = {{"commits", costs.commits},
                       {"files", costs.files},
                       {"rows", costs.rows},
                       {"data_bytes", costs.data_bytes},
                       {"log_bytes", costs.log_bytes}};
  if (costs.rows > 0)
    json["bytes_per_row"] =
        static_cast<double>(costs.data_bytes + costs.log_bytes) / static_cast<double>(costs.rows);
  if (costs.aged_rows > 0) {
    json["visible_mean_ms"] = costs.age_mean_ms;
    json["visible_max_ms"] = costs.age_max_ms;
  }
  return json;
}

void PrintCost(std::FILE* out, const CommitCosts& costs) {
  if (costs.commits == 0) return;
  const auto per_row = [&](uint64_t bytes) {
    const double each = static_cast<double>(bytes) / static_cast<double>(costs.rows);
    return fmt::format("{:.{}f}", each, each < kWholeFrom ? 1 : 0);
  };
  const uint64_t rows_a_file = costs.rows / std::max<uint64_t>(costs.files, 1);
  fmt::print(out,
             "  cost        by the last {} with rows: {} bytes a row and {} of the log, {} a file",
             base::Counted(costs.commits, "commit"), per_row(costs.data_bytes),
             per_row(costs.log_bytes), base::Counted(rows_a_file, "row"));
  if (costs.aged_rows > 0)
    fmt::print(out, "; durable to visible {:.2f} s on average, {:.2f} s at most",
               costs.age_mean_ms / 1000, costs.age_max_ms / 1000);
  fmt::print(out, "\n");
}

ordered_json ToJson(const NamedTable& table, const TableSurvey& survey, const CommitCosts& costs,
                    double age_s) {
  return {
      {"table", table.name},
      {"folder", table.folder},
      {"version", survey.state.version},
      {"oldest_commit", survey.log.oldest},
      {"markers", Epochs(survey)},
      {"files", survey.files.files},
      {"bytes", survey.files.bytes},
      {"rows", survey.files.rows},
      {"median_file_bytes", survey.files.median_bytes},
      {"checkpoint", survey.log.checkpoint ? ordered_json(*survey.log.checkpoint) : ordered_json()},
      {"log_bytes", survey.log.bytes},
      {"last_commit", base::FormatTimestamp(survey.log.newest_at)},
      {"age_s", age_s},
      {"layout", LayoutJson(survey.layout)},
      {"cost", CostJson(costs)}};
}

void Print(std::FILE* out, const NamedTable& table, const TableSurvey& survey, double age_s) {
  fmt::print(out, "{}\n", table.name);
  fmt::print(out, "  version     {}, commits kept from {} on, checkpoint {}\n",
             survey.state.version, survey.log.oldest,
             survey.log.checkpoint ? std::to_string(*survey.log.checkpoint) : "none");
  for (const auto& [application, txn] : survey.state.transactions)
    if (!application.starts_with(kRewritings))
      fmt::print(out, "  epochs      up to {} of {}\n", txn.version, application);
  fmt::print(out, "  rows        {} in {}, {}, median {}\n", base::WithCommas(survey.files.rows),
             base::Counted(survey.files.files, "file"), BytesText(survey.files.bytes),
             BytesText(survey.files.median_bytes));
  fmt::print(out, "  log         {}\n", BytesText(survey.log.bytes));
  fmt::print(out, "  fresh       last commit {}, {:.0f} s ago\n",
             base::FormatTimestamp(survey.log.newest_at), age_s);
  fmt::print(out, "  layout      {}\n", tables::delta::LayoutText(survey.layout, 4));
}

}  // namespace

int RunTables(const TablesOptions& options, CommandContext& context) {
  if (options.folder.empty())
    return ReportError(context, base::Error(ErrorCode::kInvalidInput,
                                            "FOLDER is missing: name an engine's data folder, or "
                                            "a table's")
                                    .With("usage", "headrace tables FOLDER")
                                    .With(base::kNextStep, "headrace help tables"));
  const auto environment = env::MakeRealEnvironment();
  const auto tables = FindTables(environment->files(), options.folder);
  if (!tables) return ReportError(context, tables.error());
  ordered_json all = ordered_json::array();
  for (const NamedTable& table : *tables) {
    const auto survey = tables::delta::SurveyTable(*environment, table.folder);
    if (!survey) return ReportError(context, survey.error());
    const auto age = environment->clock().Wall() - survey->log.newest_at;
    const double age_s = static_cast<double>(age.count()) / static_cast<double>(kUsPerSecond);
    auto versions = tables::delta::ListVersions(environment->files(), table.folder,
                                                std::max(options.versions, kCostedCommits));
    // Commits that a checkpoint stands for may be damaged without harm to the table.
    if (!versions && options.versions > 0) return ReportError(context, versions.error());
    if (!versions) versions = std::vector<VersionFacts>();
    const CommitCosts costs = tables::delta::CostsOf(*versions);
    versions->resize(std::min(versions->size(), options.versions));
    if (context.json()) {
      ordered_json json = ToJson(table, *survey, costs, age_s);
      if (options.versions > 0) json["versions"] = VersionsJson(*versions);
      all.push_back(std::move(json));
    } else {
      Print(context.out, table, *survey, age_s);
      PrintCost(context.out, costs);
      PrintVersions(context.out, *versions);
    }
  }
  if (context.json())
    fmt::print(context.out, "{}\n", base::JsonText(ordered_json{{"tables", all}}));
  return 0;
}

}  // namespace headrace::app

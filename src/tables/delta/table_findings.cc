#include "tables/delta/table_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/counts.h"

namespace headrace::tables::delta {
namespace {

using base::Counted;
using base::WithCommas;

std::string SparkTable(const std::string& folder) { return "delta.`" + folder + "`"; }

// A Python text.
std::string Quoted(const std::string& folder) {
  std::string text = "'";
  for (const char c : folder) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

std::string DeltaRs(const std::string& folder, std::string_view call) {
  return fmt::format("DeltaTable({}).{}", Quoted(folder), call);
}

bool IsPublished(const TableSurvey& survey) {
  return std::ranges::any_of(survey.state.transactions,
                             [](const auto& each) { return each.first.starts_with("headrace/"); });
}

Finding SmallFiles(const TableSurvey& survey, const std::string& folder) {
  const FileFigures& files = survey.files;
  Finding finding{.name = "small files"};
  const uint64_t saved = files.small > files.after_packing ? files.small - files.after_packing : 0;
  finding.wrong = saved >= kSmallFilesMin;
  finding.saw =
      fmt::format("{}, median {}", Counted(files.files, "file"), BytesText(files.median_bytes));
  if (!finding.wrong) return finding;
  finding.saw += fmt::format("; {} under {} hold {}: packed they are {}", WithCommas(files.small),
                             BytesText(kSmallFileBytes), BytesText(files.small_bytes),
                             WithCommas(files.after_packing));
  finding.spark = "OPTIMIZE " + SparkTable(folder);
  finding.delta_rs = DeltaRs(folder, "optimize.compact()");
  if (IsPublished(survey))
    finding.note =
        "Headrace publishes this table: `headrace optimize` does it beside its writes; rows that "
        "another engine has rewritten are no history for new views any more";
  return finding;
}

Finding Checkpoints(const TableSurvey& survey, const std::string& folder) {
  const LogFigures& log = survey.log;
  Finding finding{.name = "checkpoint"};
  finding.saw = log.checkpoint ? fmt::format("of version {}, {} ago", *log.checkpoint,
                                             Counted(log.since_checkpoint, "commit"))
                               : fmt::format("none in {}", Counted(log.commits, "commit"));
  finding.wrong =
      log.since_checkpoint >= kCommitsWithoutCheckpoint || !log.damaged.empty() || log.lost;
  if (!finding.wrong) return finding;
  finding.saw +=
      fmt::format(": opening reads {} files of the log, {}", WithCommas(log.since_checkpoint),
                  BytesText(log.since_checkpoint_bytes));
  for (const std::string& why : log.damaged) finding.saw += "; damaged: " + why;
  finding.spark = fmt::format(
      "ALTER TABLE {} SET TBLPROPERTIES ('delta.checkpointInterval' = '10')", SparkTable(folder));
  finding.delta_rs = DeltaRs(folder, "create_checkpoint()");
  finding.note = "Spark writes the checkpoint at its next commit";
  if (log.lost)
    finding.note = fmt::format(
        "_last_checkpoint names version {}, and no checkpoint of it or later is there: delta-rs "
        "and DuckDB refuse the table until that file is removed",
        *log.lost);
  return finding;
}

Finding LogGrowth(const TableSurvey& survey, const std::string& folder) {
  const LogFigures& log = survey.log;
  Finding finding{.name = "log growth"};
  finding.saw = fmt::format("{} kept, from version {} on, {}", Counted(log.commits, "commit"),
                            log.oldest, BytesText(log.bytes));
  const auto cleaning = survey.state.metadata->configuration.find("delta.enableExpiredLogCleanup");
  const bool off =
      cleaning != survey.state.metadata->configuration.end() && cleaning->second == "false";
  finding.wrong = log.expired >= kExpiredCommitsMin;
  if (!finding.wrong) return finding;
  finding.saw += fmt::format("; {} of them are past the retention, {}", WithCommas(log.expired),
                             BytesText(log.expired_bytes));
  finding.spark =
      fmt::format("ALTER TABLE {} SET TBLPROPERTIES ('delta.enableExpiredLogCleanup' = 'true')",
                  SparkTable(folder));
  finding.delta_rs = DeltaRs(folder, "cleanup_metadata()");
  finding.note = off ? "the table says delta.enableExpiredLogCleanup = false"
                     : "Spark and Headrace remove them at their next checkpoint";
  return finding;
}

Finding Statistics(const TableSurvey& survey, const std::string& folder) {
  const FileFigures& files = survey.files;
  Finding finding{.name = "statistics"};
  const uint64_t bounded = files.files - files.without_bounds;
  finding.saw = fmt::format("{} of {} {} bounds", WithCommas(bounded), Counted(files.files, "file"),
                            bounded == 1 ? "has" : "have");
  finding.wrong = files.without_bounds > 0 || files.without_rows > 0;
  if (!finding.wrong) return finding;
  finding.saw += fmt::format("; no filter leaves out the other {}; {} {} say {} rows",
                             WithCommas(files.without_bounds), WithCommas(files.without_rows),
                             files.without_rows == 1 ? "doesn't" : "don't",
                             files.without_rows == 1 ? "its" : "their");
  finding.spark = "OPTIMIZE " + SparkTable(folder);
  finding.delta_rs = DeltaRs(folder, "optimize.compact()");
  finding.note =
      "both write statistics for the files that they rewrite, and leave large files alone";
  return finding;
}

// Columns that Headrace adds are in the order of the log: they keep apart what nobody asks for.
bool IsAdded(const std::string& column) {
  return column == "_epoch" || column == "_row" || column == "_known_at";
}

Finding LayoutOfFiles(const TableSurvey& survey, const std::string& folder) {
  Finding finding{.name = "layout"};
  finding.saw = LayoutText(survey.layout, 4);
  if (survey.files.bytes < kLayoutBytesMin || survey.layout.columns.empty()) return finding;
  const auto files = static_cast<double>(survey.layout.files);
  finding.wrong = std::ranges::none_of(survey.layout.columns, [&](const ColumnLayout& each) {
    return !IsAdded(each.column) && each.files_opened <= kLayoutShareMax * files;
  });
  if (!finding.wrong) return finding;
  finding.spark = fmt::format("OPTIMIZE {} ZORDER BY (COLUMN)", SparkTable(folder));
  finding.delta_rs = DeltaRs(folder, "optimize.z_order(['COLUMN'])");
  finding.note = "COLUMN is what readers filter by; without such a filter no layout helps";
  return finding;
}

Finding VacuumDebt(const TableSurvey& survey, const std::string& folder) {
  const FileFigures& files = survey.files;
  Finding finding{.name = "vacuum debt"};
  finding.wrong = files.unreferenced > 0;
  finding.saw =
      fmt::format("{} that the newest version does not have, {}",
                  Counted(files.unreferenced, "file"), BytesText(files.unreferenced_bytes));
  if (!finding.wrong) return finding;
  finding.spark = fmt::format("VACUUM {} DRY RUN", SparkTable(folder));
  finding.delta_rs = DeltaRs(folder, "vacuum(dry_run=True)");
  finding.note =
      "without DRY RUN, with dry_run=False, they go, and with them the older versions that have "
      "them";
  return finding;
}

Finding Deletions(const TableSurvey& survey, const std::string& folder) {
  const FileFigures& files = survey.files;
  Finding finding{.name = "deleted rows"};
  finding.saw = fmt::format("{} in {} by deletion vectors", WithCommas(files.deleted_rows),
                            Counted(files.with_deletions, "file"));
  finding.wrong = files.deleted_rows > 0 && files.deleted_rows * 10 > files.stored_rows;
  if (!finding.wrong) return finding;
  finding.saw += fmt::format(": {} % of the rows that are read are thrown away",
                             files.deleted_rows * 100 / std::max<uint64_t>(files.stored_rows, 1));
  finding.spark = fmt::format("REORG TABLE {} APPLY (PURGE)", SparkTable(folder));
  return finding;
}

Finding MissingFiles(const TableSurvey& survey) {
  const FileFigures& files = survey.files;
  Finding finding{.name = "missing files"};
  finding.wrong = files.missing > 0;
  finding.saw = fmt::format("{} of {}", WithCommas(files.missing), Counted(files.files, "file"));
  if (!finding.wrong) return finding;
  finding.saw += fmt::format(" are not in the folder, such as {}", files.first_missing);
  finding.note = "readers fail; restore them from a copy, or FSCK REPAIR TABLE gives their rows up";
  return finding;
}

// Who refuses a feature, or reads it wrong. Measured with the versions in docs/how-to.
struct Refusal {
  std::string_view feature;
  std::string_view who;
};
constexpr std::array kRefusals = {
    Refusal{"columnMapping", "polars, and delta-rs's to_pyarrow_table, which gives nulls instead"},
    Refusal{"v2Checkpoint", "polars"},
    Refusal{"typeWidening", "delta-rs, polars"},
    Refusal{"typeWidening-preview", "delta-rs, polars"},
    Refusal{"deletionVectors", "delta-rs's to_pyarrow_table, Daft"},
    Refusal{"variantType", "most readers but Spark; Headrace"},
    Refusal{"catalogManaged", "every reader that does not ask the catalog; Headrace"}};

Finding Features(const TableSurvey& survey) {
  const Protocol& protocol = *survey.state.protocol;
  Finding finding{.name = "reader features"};
  std::vector<std::string> needed = protocol.reader_features;
  if (protocol.reader_version == 2) needed.emplace_back("columnMapping");
  finding.saw = needed.empty() ? fmt::format("none, reader version {}", protocol.reader_version)
                               : fmt::format("{}", fmt::join(needed, ", "));
  for (const Refusal& refusal : kRefusals) {
    if (std::ranges::find(needed, refusal.feature) == needed.end()) continue;
    finding.wrong = true;
    finding.saw += fmt::format("; {} is refused by {}", refusal.feature, refusal.who);
  }
  if (finding.wrong)
    finding.note =
        "ALTER TABLE ... DROP FEATURE takes one away in Spark, at the price of a rewrite";
  return finding;
}

}  // namespace

std::vector<Finding> FindingsOf(const TableSurvey& survey, const std::string& folder) {
  return {MissingFiles(survey),       SmallFiles(survey, folder),    Checkpoints(survey, folder),
          Statistics(survey, folder), LayoutOfFiles(survey, folder), Deletions(survey, folder),
          LogGrowth(survey, folder),  VacuumDebt(survey, folder),    Features(survey)};
}

std::string LayoutText(const Layout& layout, size_t most) {
  std::string text;
  size_t shown = 0;
  for (const ColumnLayout& each : layout.columns) {
    if (IsAdded(each.column)) continue;
    if (shown++ == most) break;
    if (layout.files == 1) return "there is 1 file, which every reader opens";
    const double share = 100 * each.files_opened / static_cast<double>(layout.files);
    text += text.empty()
                ? fmt::format("one value of {} opens {:.1f} of {} ({:.0f} %)", each.column,
                              each.files_opened, Counted(layout.files, "file"), share)
                : fmt::format(", {} {:.1f} ({:.0f} %)", each.column, each.files_opened, share);
  }
  return text.empty() ? "no column has bounds" : text;
}

std::string BytesText(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

}  // namespace headrace::tables::delta

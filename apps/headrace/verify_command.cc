// headrace verify: the logged answers computed again from table and log, and compared to the last
// bit.

#include <fmt/core.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "env/environment.h"
#include "pause_notice.h"
#include "training/verify.h"

namespace headrace::app {
namespace {

using nlohmann::ordered_json;
using training::Difference;
using training::VerifyReport;

constexpr int kFoundDifferences = 1;
constexpr size_t kShownDifferences = 10;
constexpr const char* kDefaultAnswers = "/answers.jsonl";

double Seconds(base::Duration d) { return std::chrono::duration<double>(d).count(); }

// The view of "origin.mean_delay_6h"; empty for a feature computed on request.
std::string ViewOf(const std::string& feature) {
  const size_t dot = feature.find('.');
  return dot == std::string::npos ? "" : feature.substr(0, dot);
}

ordered_json DifferenceJson(const Difference& difference) {
  ordered_json json = {{"line", difference.line},
                       {"epoch", difference.epoch.value},
                       {"as_of", base::FormatTimestamp(difference.as_of)},
                       {"service", difference.service},
                       {"key", difference.key}};
  if (!difference.reason.empty()) json["reason"] = difference.reason;
  if (!difference.features.empty()) {
    json["view"] = ViewOf(difference.features[0].feature);
    json["feature"] = difference.features[0].feature;
  }
  json["features"] = ordered_json::array();
  for (const training::DifferentFeature& feature : difference.features) {
    json["features"].push_back({{"feature", feature.feature},
                                {"served", feature.served},
                                {"recomputed", feature.recomputed}});
  }
  return json;
}

void PrintJson(const CommandContext& context, const VerifyReport& report, double waited_s) {
  const training::ScannedRows::OfStream scanned = report.scanned.total();
  ordered_json json = {{"checked", report.checked},
                       {"values", report.values},
                       {"mismatches", report.mismatches},
                       {"unreadable", report.unreadable},
                       {"damaged", report.damaged},
                       {"provisional", report.provisional},
                       {"other_log", report.other_log},
                       {"rows_from_table", scanned.from_table},
                       {"rows_from_log", scanned.from_log},
                       {"files_of_others", scanned.files_of_others},
                       {"table_version", report.scanned.table_version},
                       {"seconds", Seconds(report.took)},
                       {"waited_s", waited_s},
                       {"differences", ordered_json::array()}};
  for (const Difference& difference : report.differences)
    json["differences"].push_back(DifferenceJson(difference));
  fmt::print(context.out, "{}\n", base::JsonText(json));
}

void PrintDifference(const CommandContext& context, const Difference& difference) {
  fmt::print(context.out, "  line {}: {}, epoch {}, as of {}\n", difference.line, difference.key,
             difference.epoch.value, base::FormatTimestamp(difference.as_of));
  if (!difference.reason.empty()) fmt::print(context.out, "    {}\n", difference.reason);
  for (const training::DifferentFeature& feature : difference.features) {
    fmt::print(context.out, "    {:<28} served {}, recomputed {}\n", feature.feature,
               feature.served, feature.recomputed);
  }
}

void PrintText(const CommandContext& context, const VerifyReport& report) {
  const training::ScannedRows::OfStream scanned = report.scanned.total();
  fmt::print(context.out, "{}, {}: {}, in {:.1f} s\n", base::Counted(report.checked, "answer"),
             base::Counted(report.values, "value"),
             report.checked == 0      ? "nothing was verified"
             : report.mismatches == 0 ? "every bit as served"
             : report.mismatches == 1 ? "1 answer differs"
                                      : base::Counted(report.mismatches, "answer") + " differ",
             Seconds(report.took));
  fmt::print(context.out, "  from {} of the table and {} of the log after it\n",
             base::Counted(scanned.from_table, "row"), base::WithCommas(scanned.from_log));
  if (const uint64_t others = scanned.files_of_others; others > 0)
    fmt::print(context.out, "  left out: {} that other writers appended to the table\n",
               base::Counted(others, "data file"));
  if (report.unreadable > 0)
    fmt::print(context.out, "  torn by a crash: {}\n", base::Counted(report.unreadable, "line"));
  if (report.damaged > 0)
    fmt::print(context.out, "  damaged, by no crash: {}\n", base::Counted(report.damaged, "line"));
  if (report.provisional > 0)
    fmt::print(context.out, "  left out as provisional: {}\n",
               base::Counted(report.provisional, "answer"));
  if (report.other_log > 0)
    fmt::print(context.out, "  left out as of another log: {}\n",
               base::Counted(report.other_log, "answer"));
  for (size_t i = 0; i < report.differences.size() && i < kShownDifferences; ++i)
    PrintDifference(context, report.differences[i]);
  if (report.mismatches > kShownDifferences)
    fmt::print(context.out, "  ... and {} more (--json has them)\n",
               base::WithCommas(report.mismatches - kShownDifferences));
}

}  // namespace

int RunVerify(const VerifyOptions& options, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  training::VerifyOptions verify;
  verify.data_folder = options.data;
  verify.answers = options.answers.empty() ? options.data + kDefaultAnswers : options.answers;
  const auto there = environment->files().Exists(verify.answers);
  if (!there) return ReportError(context, there.error());
  if (!*there)
    return ReportError(context, base::Error(base::ErrorCode::kNotFound,
                                            "no answers were logged there: give `headrace serve` "
                                            "the same file with --answers, then ask")
                                    .With("file", verify.answers));
  training::WorkProgress progress;
  verify.progress = &progress;
  const auto report = [&] {
    WorkNotice notice(context.err, progress);
    const training::EnginePauses pauses(*environment, options.data, SayPauses(notice));
    return training::Verify(*environment, verify);
  }();
  if (!report) return ReportError(context, report.error());
  if (context.json()) {
    PrintJson(context, *report, WaitedSeconds(*environment));
  } else {
    PrintText(context, *report);
    PrintWaited(context, *environment);
  }
  const bool proved = report->checked > 0 && report->mismatches == 0 && report->damaged == 0;
  return proved ? 0 : kFoundDifferences;
}

}  // namespace headrace::app

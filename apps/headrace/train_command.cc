// headrace train: the features of a service as they were known at each label's time.

#include <fmt/core.h>

#include <chrono>

#include "base/counts.h"
#include "columns/value.h"
#include "commands.h"
#include "env/environment.h"
#include "pause_notice.h"
#include "training/train.h"

namespace headrace::app {
namespace {

double Seconds(base::Duration d) { return std::chrono::duration<double>(d).count(); }

void PrintJson(const CommandContext& context, const TrainOptions& options,
               const training::TrainReport& report, double waited_s) {
  std::string output;
  columns::AppendJsonString(output, options.output);
  fmt::print(
      context.out,
      R"({{"rows":{},"features":{},"known":"{}","output":{},"rows_from_table":{},)"
      R"("rows_from_log":{},"rows_of_unknown_time":{},"files_of_others":{},"table_version":{},"through_epoch":{},)"
      R"("seconds":{{"read":{:.3f},)"
      R"("prepare":{:.3f},"answer":{:.3f},"write":{:.3f}}},"waited_s":{:.3f}}})"
      "\n",
      report.rows, report.features, report.assumed ? "assumed" : "observed", output,
      report.scanned.from_table, report.scanned.from_log, report.scanned.of_unknown_time,
      report.scanned.files_of_others, report.scanned.table_version, report.scanned.through.value,
      Seconds(report.read), Seconds(report.prepare), Seconds(report.answer), Seconds(report.write),
      waited_s);
}

void PrintText(const CommandContext& context, const TrainOptions& options,
               const training::TrainReport& report) {
  const base::Duration all = report.read + report.prepare + report.answer + report.write;
  fmt::print(context.out, "{} with {} each, in {:.1f} s: {}\n", base::Counted(report.rows, "label"),
             base::Counted(report.features, "feature"), Seconds(all), options.output);
  fmt::print(context.out, "  from    {} of the table, {} of the log after it, up to epoch {}\n",
             base::Counted(report.scanned.from_table, "row"),
             base::WithCommas(report.scanned.from_log),
             base::WithCommas(report.scanned.through.value));
  fmt::print(context.out, "  known   {}\n",
             report.assumed
                 ? "assumed: the rows say when they arrived, or their event time stands for it"
                 : "observed: from when each epoch became visible");
  if (report.scanned.of_unknown_time > 0)
    fmt::print(context.out,
               "  not in  {}: the log does not tell yet when they became visible (an engine that "
               "runs, or is stopped, has it told within a second or two)\n",
               base::Counted(report.scanned.of_unknown_time, "row"));
  if (const uint64_t others = report.scanned.files_of_others; others > 0)
    fmt::print(context.out,
               "  not in  {} that other writers appended to the table: no history of the log\n",
               base::Counted(others, "data file"));
  fmt::print(
      context.out, "  time    read {:.1f} s, sort {:.1f} s, answer {:.1f} s, write {:.1f} s\n",
      Seconds(report.read), Seconds(report.prepare), Seconds(report.answer), Seconds(report.write));
}

}  // namespace

int RunTrain(const TrainOptions& options, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  training::TrainOptions train;
  train.data_folder = options.data;
  train.labels = options.labels;
  train.service = options.service;
  train.time_column = options.time_column;
  if (!options.exclude_column.empty()) train.exclude_column = options.exclude_column;
  train.output = options.output;
  const training::EnginePauses pauses(*environment, options.data, SayPauses(context));
  const auto report = training::Train(*environment, train);
  if (!report) return ReportError(context, report.error());
  if (context.json()) {
    PrintJson(context, options, *report, WaitedSeconds(*environment));
  } else {
    PrintText(context, options, *report);
    PrintWaited(context, *environment);
  }
  return 0;
}

}  // namespace headrace::app

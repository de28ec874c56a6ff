// headrace train: the features of a service as they were known at each label's time.

#include <fmt/core.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "base/time.h"
#include "commands.h"
#include "env/environment.h"
#include "pause_notice.h"
#include "training/train.h"

namespace headrace::app {
namespace {

double Seconds(base::Duration d) { return std::chrono::duration<double>(d).count(); }

void PrintJson(const CommandContext& context, const TrainOptions& options,
               const training::TrainReport& report, double waited_s) {
  const training::ScannedRows::OfStream scanned = report.scanned.total();
  const nlohmann::ordered_json json = {{"rows", report.rows},
                                       {"features", report.features},
                                       {"known", report.assumed ? "assumed" : "observed"},
                                       {"output", options.output},
                                       {"rows_from_table", scanned.from_table},
                                       {"rows_from_log", scanned.from_log},
                                       {"rows_of_unknown_time", scanned.of_unknown_time},
                                       {"files_of_others", scanned.files_of_others},
                                       {"labels_without_own_row", report.without_own_row},
                                       {"max_lag_not_applied", report.max_lag.has_value()},
                                       {"table_version", report.scanned.table_version},
                                       {"through_epoch", report.scanned.through.value},
                                       {"seconds",
                                        {{"read", Seconds(report.read)},
                                         {"prepare", Seconds(report.prepare)},
                                         {"answer", Seconds(report.answer)},
                                         {"write", Seconds(report.write)}}},
                                       {"waited_s", waited_s}};
  fmt::print(context.out, "{}\n", base::JsonText(json));
}

void PrintText(const CommandContext& context, const TrainOptions& options,
               const training::TrainReport& report) {
  const training::ScannedRows::OfStream scanned = report.scanned.total();
  const base::Duration all = report.read + report.prepare + report.answer + report.write;
  fmt::print(context.out, "{} with {} each, in {:.1f} s: {}\n", base::Counted(report.rows, "label"),
             base::Counted(report.features, "feature"), Seconds(all), options.output);
  fmt::print(context.out, "  from    {} of the table, {} of the log after it, up to epoch {}\n",
             base::Counted(scanned.from_table, "row"), base::WithCommas(scanned.from_log),
             report.scanned.through.value);
  fmt::print(context.out, "  known   {}\n",
             report.assumed
                 ? "assumed: the rows say when they arrived, or their event time stands for it"
                 : "observed: from when each epoch became visible");
  if (scanned.of_unknown_time > 0)
    fmt::print(context.out,
               "  not in  {}: the log does not tell yet when they became visible (an engine that "
               "runs, or is stopped, has it told within a second or two)\n",
               base::Counted(scanned.of_unknown_time, "row"));
  if (const uint64_t others = scanned.files_of_others; others > 0)
    fmt::print(context.out,
               "  not in  {} that other writers appended to the table: no history of the log\n",
               base::Counted(others, "data file"));
  if (report.without_own_row > 0)
    fmt::print(context.out, "  own row {} without a value in `{}`: no row was left out for it\n",
               base::Counted(report.without_own_row, "label"), options.exclude_column);
  if (report.max_lag)
    fmt::print(
        context.out,
        "  max_lag {} of the service is not looked at: where a source was silent for longer, "
        "the value is that of its last events\n",
        base::FormatDuration(*report.max_lag));
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
  if (!options.epoch_column.empty()) train.epoch_column = options.epoch_column;
  train.output = options.output;
  training::WorkProgress progress;
  train.progress = &progress;
  const auto report = [&] {
    WorkNotice notice(context.err, progress);
    const training::EnginePauses pauses(*environment, options.data, SayPauses(notice));
    return training::Train(*environment, train);
  }();
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

// headrace log: what a log holds, whether every byte of it is what was written, and a copy of it
// under another id. Beside a running engine or without one.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "base/next_step.h"
#include "clock_text.h"
#include "columns/value.h"
#include "commands.h"
#include "env/environment.h"
#include "log/log_survey.h"
#include "log/reader.h"

namespace headrace::app {
namespace {

using base::EpochId;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr size_t kRowsShown = 10;

std::string LogFolder(const std::string& data) { return data + "/log"; }

// Whether there is a log to look at.
base::Result<void> CheckLogFolder(env::Files& files, const std::string& data) {
  HR_TRY(const bool there, files.Exists(LogFolder(data)));
  if (there) return {};
  return base::Fail(
      base::Error(base::ErrorCode::kNotFound, "there is no log in this data folder")
          .With("folder", data)
          .With(base::kNextStep, "name the folder that `headrace serve --data` was given"));
}

std::string Dump(const ordered_json& json) { return base::JsonText(json); }

// "1.5 MiB".
std::string Size(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kUnits[unit]);
}

// Says from the first second on how far long work is.
log::SurveyProgress ProgressTo(const CommandContext& context) {
  return [&context, next = Clock::now() + std::chrono::seconds(1)](uint64_t done,
                                                                   uint64_t all) mutable {
    if (Clock::now() < next) return;
    next = Clock::now() + std::chrono::seconds(5);
    fmt::print(context.err, "  {} of {}\n", Size(done), Size(all));
  };
}

ordered_json ClockJson(base::Timestamp clock) {
  const std::string text = base::FormatTimestamp(clock);
  return IsNoClock(text) ? ordered_json() : ordered_json(text);
}

ordered_json FileJson(const log::SurveyedFile& file) {
  return {{"file", file.path},       {"first", file.first.value},     {"last", file.last.value},
          {"bytes", file.bytes},     {"file_bytes", file.file_bytes}, {"rows", file.rows},
          {"refused", file.refused}, {"controls", file.controls}};
}

ordered_json PlacesJson(const std::vector<log::Damage>& places) {
  ordered_json json = ordered_json::array();
  for (const log::Damage& place : places)
    json.push_back({{"file", place.path}, {"offset", place.offset}, {"what", place.what}});
  return json;
}

bool HasEpochs(const log::LogSurvey& survey) { return survey.last >= survey.first; }

ordered_json SurveyJson(const log::LogSurvey& survey, const std::vector<std::string>& snapshots) {
  ordered_json json = {{"log", survey.log.ToString()},
                       {"first", survey.first.value},
                       {"last", survey.last.value},
                       {"durable", survey.durable.value},
                       {"segments", ordered_json::array()},
                       {"residues", ordered_json::array()},
                       {"refused_forgotten", survey.refused_forgotten},
                       {"streams", ordered_json::array()}};
  for (const log::SurveyedFile& file : survey.segments) json["segments"].push_back(FileJson(file));
  for (const log::SurveyedFile& file : survey.residues) json["residues"].push_back(FileJson(file));
  for (const log::StreamEntry& stream : survey.streams)
    json["streams"].push_back({{"id", stream.id.value},
                               {"name", stream.name},
                               {"fields", stream.schema->fields().size()}});
  if (HasEpochs(survey)) {
    json["clock_first"] = ClockJson(survey.clock_first);
    json["clock_last"] = ClockJson(survey.clock_last);
  }
  json["torn_bytes"] = survey.torn_bytes;
  json["snapshots"] = snapshots;
  json["damages"] = PlacesJson(survey.damages);
  json["strays"] = PlacesJson(survey.strays);
  return json;
}

void PrintFiles(const CommandContext& context, const char* what,
                const std::vector<log::SurveyedFile>& files) {
  for (const log::SurveyedFile& file : files)
    fmt::print(context.out, "{:<9} epochs {} to {}: {}, {} refused, {} control entr{}, {} ({})\n",
               what, file.first.value, file.last.value, base::Counted(file.rows, "row"),
               base::WithCommas(file.refused), base::WithCommas(file.controls),
               file.controls == 1 ? "y" : "ies", Size(file.bytes),
               file.path.substr(file.path.rfind('/') + 1));
}

void PrintDamages(const CommandContext& context, const log::LogSurvey& survey) {
  const auto print = [&](const char* word, const std::vector<log::Damage>& places) {
    for (const log::Damage& place : places)
      fmt::print(context.out, "{:<9} {} at {}: {}\n", word, place.path, place.offset, place.what);
  };
  print("damage", survey.damages);
  print("stray", survey.strays);
}

// In one line.
std::string VerdictOf(const log::LogSurvey& survey) {
  if (!survey.damages.empty()) return base::Counted(survey.damages.size(), "damaged place");
  if (!survey.strays.empty())
    return "every epoch is what was written; the disk changed bytes that nobody reads: look at it";
  return "every byte is what was written";
}

void PrintSurvey(const CommandContext& context, const log::LogSurvey& survey,
                 const std::vector<std::string>& snapshots) {
  fmt::print(context.out, "log       {}\n", survey.log.ToString());
  if (HasEpochs(survey)) {
    fmt::print(context.out, "epochs    {} to {}, clock {} to {}\n", survey.first.value,
               survey.last.value, ClockText(base::FormatTimestamp(survey.clock_first)),
               ClockText(base::FormatTimestamp(survey.clock_last)));
  } else {
    fmt::print(context.out, "epochs    none\n");
  }
  for (const log::StreamEntry& stream : survey.streams)
    fmt::print(context.out, "stream    {} {}: {}\n", stream.id.value, stream.name,
               base::Counted(stream.schema->fields().size(), "field"));
  PrintFiles(context, "residue", survey.residues);
  if (survey.refused_forgotten > 0)
    fmt::print(context.out, "forgotten {}\n",
               base::Counted(survey.refused_forgotten, "refused row"));
  PrintFiles(context, "segment", survey.segments);
  if (survey.torn_bytes > 0)
    fmt::print(context.out,
               "unended   {} behind the last epoch: being written, or torn by a crash\n",
               Size(survey.torn_bytes));
  for (const std::string& name : snapshots) fmt::print(context.out, "snapshot  {}\n", name);
  PrintDamages(context, survey);
}

// Names in the folder of snapshots; none when there is no such folder.
std::vector<std::string> SnapshotsOf(env::Environment& environment, const std::string& data) {
  for (const std::string& folder : {data + "/snapshots", LogFolder(data) + "/snapshots"})
    if (const auto names = environment.files().List(folder)) return *names;
  return {};
}

std::string_view NameOf(log::ControlEntry::Kind kind) {
  switch (kind) {
    case log::ControlEntry::Kind::kDefinition: return "definition";
    case log::ControlEntry::Kind::kStream: return "stream";
    case log::ControlEntry::Kind::kPublishPlan: return "publish_plan";
    case log::ControlEntry::Kind::kHeartbeat: return "heartbeat";
    case log::ControlEntry::Kind::kRewritePlan: return "rewrite_plan";
    case log::ControlEntry::Kind::kSourcePosition: return "source_position";
    case log::ControlEntry::Kind::kReplay: return "replay";
  }
  return "";
}

ordered_json RowsJson(const log::StreamRows& rows) {
  ordered_json shown = ordered_json::array();
  for (size_t row = 0; row < std::min<size_t>(rows.rows.rows(), kRowsShown); ++row) {
    std::string text = "{";
    for (size_t i = 0; i < rows.rows.columns().size(); ++i) {
      if (i > 0) text += ',';
      columns::AppendJsonString(text, rows.rows.schema()->field(i).name);
      text += ':';
      rows.rows.column(i).At(row).AppendJson(text);
    }
    shown.push_back(ordered_json::parse(text + "}", nullptr, /*allow_exceptions=*/false));
  }
  return {{"stream", rows.stream.value}, {"rows", rows.rows.rows()}, {"first_rows", shown}};
}

ordered_json EpochJson(const log::Epoch& epoch) {
  ordered_json json = {{"epoch", epoch.id.value},
                       {"clock", ClockJson(epoch.clock)},
                       {"sealed_at", base::FormatTimestamp(epoch.sealed_at)},
                       {"visible_through", epoch.visible_through.value},
                       {"streams", ordered_json::array()},
                       {"refused", ordered_json::array()},
                       {"outcomes", ordered_json::array()},
                       {"controls", ordered_json::array()}};
  for (const log::StreamRows& rows : epoch.streams) json["streams"].push_back(RowsJson(rows));
  for (const log::StreamRejects& rejects : epoch.rejects)
    for (const columns::RejectedRow& row : rejects.rows)
      json["refused"].push_back({{"stream", rejects.stream.value},
                                 {"row", row.row},
                                 {"field", row.field},
                                 {"rule", row.rule},
                                 {"reason", row.reason}});
  for (const log::SourceOutcome& outcome : epoch.outcomes) {
    ordered_json source = {{"stream", outcome.stream.value},
                           {"accepted", outcome.accepted},
                           {"refused", outcome.rejects.size()}};
    if (outcome.source.idempotency_key) {
      source["idempotency_key"] = *outcome.source.idempotency_key;
    } else {
      source["producer"] = outcome.source.producer;
      source["sequence"] = outcome.source.sequence;
    }
    json["outcomes"].push_back(std::move(source));
  }
  for (const log::ControlEntry& entry : epoch.controls)
    json["controls"].push_back(
        {{"kind", NameOf(entry.kind)}, {"name", entry.name}, {"bytes", entry.payload.size()}});
  return json;
}

void PrintEpoch(const CommandContext& context, const ordered_json& epoch) {
  fmt::print(context.out, "epoch     {}, clock {}, sealed at {}, visible through {}\n",
             epoch["epoch"].get<uint64_t>(),
             epoch["clock"].is_null() ? "-" : epoch["clock"].get<std::string>(),
             epoch["sealed_at"].get<std::string>(), epoch["visible_through"].get<uint64_t>());
  for (const ordered_json& stream : epoch["streams"]) {
    fmt::print(context.out, "rows      stream {}: {}\n", stream["stream"].get<uint32_t>(),
               stream["rows"].get<uint64_t>());
    for (const ordered_json& row : stream["first_rows"])
      fmt::print(context.out, "          {}\n", Dump(row));
    if (stream["rows"].get<uint64_t>() > kRowsShown) fmt::print(context.out, "          ...\n");
  }
  for (const char* part : {"refused", "outcomes", "controls"})
    for (const ordered_json& item : epoch[part])
      fmt::print(context.out, "{:<9} {}\n", part, Dump(item));
}

int InspectEpoch(const LogInspectOptions& options, EpochId wanted, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  const auto show = [&]() -> base::Result<void> {
    HR_TRY(const auto reader, log::LogReader::Open(*environment, LogFolder(options.data)));
    HR_TRY(const EpochId first, reader->First());
    std::optional<ordered_json> found;
    const auto keep = [&](const log::EpochRef& epoch) -> base::Result<void> {
      found = EpochJson(*epoch);
      return {};
    };
    HR_TRY_VOID(wanted < first ? reader->ScanRefused(wanted, wanted, keep)
                               : reader->Scan(wanted, wanted, keep));
    if (!found)
      return base::Fail(base::Error(base::ErrorCode::kNotFound,
                                    wanted < first ? "this epoch was let go and left nothing"
                                                   : "the log has no such epoch")
                            .With("epoch", std::to_string(wanted.value)));
    if (context.json()) {
      fmt::print(context.out, "{}\n", Dump(*found));
    } else {
      PrintEpoch(context, *found);
    }
    return {};
  };
  const auto shown = show();
  return shown ? 0 : ReportError(context, shown.error());
}

}  // namespace

int RunLogInspect(const LogInspectOptions& options, CommandContext& context) {
  if (options.epoch) return InspectEpoch(options, EpochId{*options.epoch}, context);
  const auto environment = env::MakeRealEnvironment();
  if (const auto there = CheckLogFolder(environment->files(), options.data); !there)
    return ReportError(context, there.error());
  const auto survey = log::SurveyLog(*environment, LogFolder(options.data), ProgressTo(context));
  if (!survey) return ReportError(context, survey.error());
  const auto snapshots = SnapshotsOf(*environment, options.data);
  if (context.json()) {
    fmt::print(context.out, "{}\n", Dump(SurveyJson(*survey, snapshots)));
  } else {
    PrintSurvey(context, *survey, snapshots);
  }
  return 0;
}

int RunLogCheck(const LogCheckOptions& options, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  if (const auto there = CheckLogFolder(environment->files(), options.data); !there)
    return ReportError(context, there.error());
  const auto survey = log::SurveyLog(*environment, LogFolder(options.data), ProgressTo(context));
  if (!survey) return ReportError(context, survey.error());
  uint64_t bytes = 0;
  for (const auto* files : {&survey->segments, &survey->residues})
    for (const log::SurveyedFile& file : *files) bytes += file.file_bytes;
  const size_t files = survey->segments.size() + survey->residues.size();
  if (context.json()) {
    fmt::print(context.out, "{}\n",
               Dump({{"log", survey->log.ToString()},
                     {"first", survey->first.value},
                     {"last", survey->last.value},
                     {"files", files},
                     {"bytes", bytes},
                     {"torn_bytes", survey->torn_bytes},
                     {"damages", PlacesJson(survey->damages)},
                     {"strays", PlacesJson(survey->strays)}}));
  } else {
    PrintDamages(context, *survey);
    fmt::print(context.out, "{} in {}, epochs to {}: {}\n", Size(bytes),
               base::Counted(files, "file"), survey->last.value, VerdictOf(*survey));
    if (survey->torn_bytes > 0)
      fmt::print(
          context.out,
          "{} behind the last epoch: being written, or torn by a crash; a start settles it\n",
          Size(survey->torn_bytes));
  }
  if (survey->damages.empty()) return 0;
  return base::RowOf(base::ErrorCode::kCorruption).exit_code;
}

int RunLogFork(const LogForkOptions& options, CommandContext& context) {
  const auto environment = env::MakeRealEnvironment();
  std::optional<EpochId> through;
  if (options.through) through = EpochId{*options.through};
  if (const auto there = CheckLogFolder(environment->files(), options.data); !there)
    return ReportError(context, there.error());
  const auto forked = log::ForkLog(*environment, LogFolder(options.data), LogFolder(options.to),
                                   through, ProgressTo(context));
  if (!forked) return ReportError(context, forked.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n",
               Dump({{"log", forked->log.ToString()},
                     {"last", forked->last.value},
                     {"segments", forked->segments},
                     {"residues", forked->residues},
                     {"bytes", forked->bytes},
                     {"not_copied", {"tables", "snapshots", "answers"}}}));
    return 0;
  }
  fmt::print(context.out, "log       {}\nepochs    to {}, {} in {}\n", forked->log.ToString(),
             forked->last.value, Size(forked->bytes), base::Counted(forked->segments, "segment"));
  fmt::print(context.out,
             "Not copied: tables, snapshots and logged answers. They name the original's id and do "
             "not fit the copy.\n");
  if (forked->residues > 0)
    fmt::print(context.out,
               "The original's first epochs were let go, and a snapshot of it is none of the copy: "
               "the copy can be read, but no engine can start from it.\n");
  return 0;
}

}  // namespace headrace::app

// Golden logs: folders that earlier versions wrote, and what must be read from them.
//
//   headrace_golden_log check FOLDER        opens a copy, reads all of it, compares with
//   expected.txt headrace_golden_log write NAME FOLDER   makes a new golden log: plain, os or
//   residue
//
// A folder holds the log's files as they lay on disk, capture.state (a capture of the log's own
// state at its end), and expected.txt.

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "columns/batch_builder.h"
#include "columns/value.h"
#include "env/simulated/environment.h"
#include "log/log_survey.h"
#include "log/reader.h"
#include "log/sequencer.h"
#include "log/state_capture.h"

namespace headrace {
namespace {

using base::Result;
using env::simulated::SimulatedEnvironment;
namespace fs = std::filesystem;

constexpr std::string_view kCaptureName = "capture.state";
constexpr std::string_view kExpectedName = "expected.txt";

log::LogOptions OptionsOf(std::string_view name) {
  log::LogOptions options;
  options.clock = log::ClockMode::kEvents;
  options.segment_bytes = 4 << 10;
  options.reserve_bytes = 1 << 10;
  if (name == "os") options.durability = log::Durability::kOs;
  return options;
}

// Writing.

columns::SchemaRef EventSchema() {
  using columns::Nullable;
  using columns::Type;
  return std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "at", Type::kTimestamp, Nullable::kNo},
                                  {2, "id", Type::kInt64, Nullable::kNo},
                                  {3, "amount", Type::kFloat64, Nullable::kYes},
                                  {4, "note", Type::kString, Nullable::kYes},
                                  {5, "paid", Type::kBool, Nullable::kYes}});
}

columns::EventBatch EventsOf(base::StreamId stream, int64_t number) {
  columns::BatchBuilder builder(EventSchema());
  for (int64_t row = 0; row < 3; ++row) {
    const bool late = number > 2 && row == 1;
    builder.column(0).AppendInt((late ? 7 : 1'000 + number) * 1'000'000);
    builder.column(1).AppendInt(number * 10 + row);
    if (row == 2) {
      for (size_t column = 2; column < 5; ++column) builder.column(column).AppendNull();
    } else {
      builder.column(2).AppendDouble(0.5 * static_cast<double>(number));
      builder.column(3).AppendText(fmt::format("note \"{}\"", number));
      builder.column(4).AppendBool(number % 2 == 1);
    }
  }
  columns::EventBatch batch;
  batch.stream = stream;
  batch.rows = builder.Finish();
  if (number % 3 == 0) {
    batch.source.idempotency_key = fmt::format("key-{}", number);
  } else if (number % 3 == 1) {
    batch.source = {"sender", static_cast<uint64_t>(number / 3 + 1), {}};
  }
  return batch;
}

void WriteFile(const fs::path& path, std::span<const uint8_t> bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

std::vector<uint8_t> ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The log of that name on a simulated machine; its capture.
Result<log::StateCapture> WriteLog(SimulatedEnvironment& machine, std::string_view name) {
  base::MemoryBudget budget(1ULL << 30);
  HR_TRY(const auto sequencer,
         log::Sequencer::Open(machine, budget, "data", OptionsOf(name), nullptr));
  HR_TRY(const base::StreamId stream,
         sequencer->AddStream("events", EventSchema(), {.late = std::chrono::minutes(1)}));
  sequencer->Start(nullptr);
  for (int64_t number = 1; number <= 20; ++number) {
    sequencer->Submit(EventsOf(stream, number), [](const auto&) {});
    if (number % 8 == 2)
      sequencer->Append(
          {log::ControlEntry::Kind::kDefinition, fmt::format("definition-{}", number), {1, 2, 3}},
          nullptr);
    if (number == 7)
      sequencer->Append({log::ControlEntry::Kind::kPublishPlan, "events", {9}}, nullptr);
    if (number == 9)
      sequencer->Append({log::ControlEntry::Kind::kHeartbeat, "events", {}}, nullptr);
    machine.RunUntilIdle();
    sequencer->MarkVisible(sequencer->status().durable, machine.clock().Wall());
  }
  if (name == "residue") sequencer->Retain({12});
  Result<log::StateCapture> capture = base::Fail(base::ErrorCode::kUnavailable, "no capture");
  sequencer->CaptureState([&](Result<log::StateCapture> taken) { capture = std::move(taken); });
  machine.RunUntilIdle();
  if (capture) capture->charges.clear();  // the budget ends here
  sequencer->Stop();
  return capture;
}

// Reading.

std::string RowText(const columns::ColumnBatch& rows, size_t row) {
  std::string text;
  for (size_t i = 0; i < rows.columns().size(); ++i) {
    text += fmt::format("{}{}=", i > 0 ? " " : "", rows.schema()->field(i).name);
    rows.column(i).At(row).AppendJson(text);
  }
  return text;
}

std::string EpochText(const log::Epoch& epoch) {
  std::string text = fmt::format("epoch {} clock {} sealed {} visible through {} at {}\n",
                                 epoch.id.value, epoch.clock.us, epoch.sealed_at.us,
                                 epoch.visible_through.value, epoch.visible_at.us);
  for (const log::StreamRows& rows : epoch.streams)
    for (size_t row = 0; row < rows.rows.rows(); ++row)
      text += fmt::format("  row {} {}\n", rows.stream.value, RowText(rows.rows, row));
  for (const log::StreamRejects& rejects : epoch.rejects)
    for (const columns::RejectedRow& row : rejects.rows)
      text += fmt::format("  refused {} {} {} {}: {} {}\n", rejects.stream.value, row.row,
                          row.field, row.rule, row.reason, row.payload);
  for (const log::SourceOutcome& outcome : epoch.outcomes) {
    text += fmt::format("  outcome {} `{}` {} `{}` accepted {} refused {}", outcome.stream.value,
                        outcome.source.producer, outcome.source.sequence,
                        outcome.source.idempotency_key.value_or(""), outcome.accepted,
                        outcome.rejects.size());
    if (outcome.first_row != log::kRowUnknown)
      text += fmt::format(" from row {}", outcome.first_row);
    text += '\n';
  }
  for (const log::ControlEntry& entry : epoch.controls)
    text += fmt::format("  control {} {} {} bytes\n", static_cast<int>(entry.kind), entry.name,
                        entry.payload.size());
  return text;
}

// Everything that can be read from a log's folder, opened from `capture` as an engine would.
Result<std::string> Describe(env::Environment& environment, const std::string& folder,
                             std::span<const uint8_t> capture) {
  HR_TRY(const log::LogSurvey survey, log::SurveyLog(environment, folder, {}));
  std::string text = fmt::format("log {} first {} last {} durable {}\n", survey.log.ToString(),
                                 survey.first.value, survey.last.value, survey.durable.value);
  for (const log::Damage& damage : survey.damages)
    text += fmt::format("damage {} {}\n", damage.offset, damage.what);
  HR_TRY(const auto reader, log::LogReader::Open(environment, folder));
  const auto add = [&](const log::EpochRef& epoch) -> Result<void> {
    text += EpochText(*epoch);
    return {};
  };
  if (survey.first.value > 1) HR_TRY_VOID(reader->ScanRefused({1}, {survey.first.value - 1}, add));
  HR_TRY_VOID(reader->Scan(survey.first, survey.last, add));

  HR_TRY(const log::CaptureHead head, log::ReadCaptureHead(capture));
  text += fmt::format("capture of epoch {} clock {} accepted {} refused {}\n", head.epoch.value,
                      head.clock.us, head.rows_accepted, head.rows_refused);
  base::MemoryBudget budget(1ULL << 30);
  const log::ResumePoint resume{base::EpochId{head.epoch.value - 1}, capture};
  uint64_t recovered = 0;
  HR_TRY(const auto sequencer, log::Sequencer::Open(environment, budget, folder, OptionsOf(""),
                                                    resume, [&](const log::Epoch&) {
                                                      ++recovered;
                                                      return Result<void>();
                                                    }));
  const log::LogStatus status = sequencer->status();
  text += fmt::format("recovered {} epochs: accepted {} refused {} last of sender {}\n", recovered,
                      status.rows_accepted, status.rows_refused,
                      sequencer->LastSequence({1}, "sender"));
  return text;
}

int Complain(const base::Error& error) {
  fmt::print(stderr, "{}\n", error.ToString());
  return 1;
}

// A copy in a folder of its own, as opening writes.
Result<std::string> DescribeCopy(const fs::path& folder) {
  std::string pattern = (fs::temp_directory_path() / "headrace-golden-XXXXXX").string();
  const fs::path copy = ::mkdtemp(pattern.data());
  fs::copy(folder, copy, fs::copy_options::recursive);
  const std::vector<uint8_t> capture = ReadFile(copy / kCaptureName);
  const auto environment = env::MakeRealEnvironment();
  auto text = Describe(*environment, copy.string(), capture);
  fs::remove_all(copy);
  return text;
}

int Check(const fs::path& folder) {
  const auto text = DescribeCopy(folder);
  if (!text) return Complain(text.error());
  const std::vector<uint8_t> expected = ReadFile(folder / kExpectedName);
  if (std::equal(text->begin(), text->end(), expected.begin(), expected.end())) return 0;
  fmt::print("{}", *text);
  fmt::print(stderr, "this is not what {} says\n", (folder / kExpectedName).string());
  return 1;
}

int Write(std::string_view name, const fs::path& folder) {
  if (fs::exists(folder))
    return Complain({base::ErrorCode::kAlreadyExists, "golden bytes are never written anew"});
  fs::create_directories(folder);
  SimulatedEnvironment machine(20'260'101);
  const auto capture = WriteLog(machine, name);
  if (!capture) return Complain(capture.error());
  const std::vector<std::string> files = *machine.files().List("data");
  for (const std::string& file : files)
    if (file == "LOG" || file == "DURABLE" || file.ends_with(".log"))
      WriteFile(folder / file, *machine.files().ReadAll("data/" + file));
  WriteFile(folder / kCaptureName, capture->bytes);
  const auto text = DescribeCopy(folder);
  if (!text) return Complain(text.error());
  WriteFile(folder / kExpectedName, {reinterpret_cast<const uint8_t*>(text->data()), text->size()});
  return 0;
}

}  // namespace
}  // namespace headrace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "check" && argc == 3) return headrace::Check(argv[2]);
  if (verb == "write" && argc == 4) return headrace::Write(argv[2], argv[3]);
  fmt::print(stderr, "headrace_golden_log check FOLDER | write NAME FOLDER\n");
  return 2;
}

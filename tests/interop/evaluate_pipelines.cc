// Runs whole engines on simulated machines, for the tests in Python beside it. A line of standard
// input is a case:
//   {"pipeline": text, "files": {name: text}, "verify": true, "rows": [[view, n] ...],
//    "train": [{"service": name, "fields": [name ...], "labels": [[id, as_of, [text ...]] ...]}
//    ...], "steps": [
//     {"ingest": [[stream, NDJSON] ...]},
//     {"ask": [features ...], "keys": {field: text or null}, "as_of": microseconds},
//     {"kill": true}]}
// The line of standard output for it is
//   {"answers": [[[value, status] ...] ...], "epochs": [n ...], "refused": n, "folded": n,
//    "verified": n, "rows": [[view, epoch, row, [[value, status] ...]] ...], "trained": [[[value
//    ...] ...] ...]}
// with how many rows went into tiles in the last life; an answer for each "ask", a value and status
// for each of its features; the epoch of each stream of an "ingest"; and answers of views as of
// every nth of their rows, by the row's number in its epoch's rows of the stream; and training sets
// for labels with keys, each of which leaves out rows of its `id`; or {"error": text}. "verify" has
// the batch driver compute every answer again, from table and log, and compares bits. Answers as of
// rows are those of a view set of its own, which is given the log's epochs.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.h"
#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "ingest/http/events_endpoint.h"
#include "interop/plain_json.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/views/view_set.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "training/train.h"
#include "training/verify.h"
#include "wiring/engine.h"
#include "wiring/log_gate.h"

namespace headrace::tests {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using columns::Type;
using env::simulated::SimulatedEnvironment;
using nlohmann::json;

constexpr const char* kData = "data";
constexpr const char* kAnswers = "answers.ndjson";
constexpr const char* kLabels = "labels.parquet";
constexpr const char* kTrained = "trained.parquet";
constexpr uint64_t kSeed = 1;
constexpr base::Timestamp kWall{1'893'456'000'000'000};  // 2030-01-01T00:00:00Z

Result<pipeline::PipelineRef> Definition(const json& of) {
  const std::string text = of["pipeline"].get<std::string>();
  const auto files = [&](const std::string& name) -> Result<std::string> {
    if (!of["files"].contains(name)) return Fail(ErrorCode::kNotFound, "no file " + name);
    return of["files"][name].get<std::string>();
  };
  const auto checked = pipeline::CheckPipeline("pipeline.yaml", text, files);
  if (checked.definition != nullptr) return checked.definition;
  std::string complaints;
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    complaints += contract::Render(diagnostic, text);
  return Fail(ErrorCode::kInvalidInput, complaints);
}

template <typename Values, typename Statuses>
std::string Shown(const Values& values, const Statuses& statuses) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i)
    out +=
        fmt::format("{}[{},\"{}\"]", i == 0 ? "" : ",", PlainJson(values[i]), NameOf(statuses[i]));
  return out + "]";
}

// Writes down every nth answer as of a row.
class SomeRows final : public pipeline::RowAnswerReader {
 public:
  explicit SomeRows(uint64_t every) : every_(every) {}
  void Take(base::EpochId epoch, size_t view, const pipeline::RowAnswers& answers) override {
    for (const uint32_t row : answers.rows()) {
      if (seen_++ % every_ != 0) continue;
      const pipeline::ViewAnswer answer = answers.AnswerOf(row);
      shown_ += fmt::format("{}[{},{},{},{}]", shown_.empty() ? "" : ",", view, epoch.value, row,
                            Shown(answer.values, answer.statuses));
    }
  }
  const std::string& shown() const { return shown_; }

 private:
  const uint64_t every_;
  uint64_t seen_ = 0;
  std::string shown_;
};

// One case's engine, over all its lives.
class Run {
 public:
  explicit Run(pipeline::PipelineRef definition)
      : definition_(std::move(definition)),
        machine_(std::make_unique<SimulatedEnvironment>(kSeed)) {
    machine_->StepWall(kWall - machine_->clock().Wall());
  }
  ~Run() {
    machine_->Crash();
    core_.reset();
  }

  Result<void> Start() {
    Result<void> started;
    machine_->Run([&] {
      wiring::CoreOptions options{
          .definition = definition_, .data_folder = kData, .log = {}, .answers_file = kAnswers};
      options.log.segment_bytes = 128U << 10;
      auto core = wiring::Core::Start(*machine_, std::move(options));
      if (core) {
        core_ = std::move(*core);
      } else {
        started = Fail(core.error());
      }
    });
    HR_TRY_VOID(started);
    machine_->RunUntilIdle();
    return {};
  }

  Result<void> Step(const json& step) {
    if (step.contains("ingest")) return Ingest(step["ingest"]);
    if (step.contains("ask")) return Ask(step);
    return Kill();
  }

  // Of the life that is.
  uint64_t FoldedRows() {
    uint64_t rows = 0;
    json status;
    machine_->Run([&] { status = json::parse(core_->StatusJson()); });
    for (const json& view : status["views"])
      if (view.contains("tiles"))
        rows += view["tiles"]["rows"].get<uint64_t>() + view["tiles"]["late_rows"].get<uint64_t>();
    return rows;
  }

  // How many values the batch driver gave to the last bit as they were answered.
  Result<uint64_t> Verify() {
    machine_->Run([&] { core_->Stop(); });
    Result<training::VerifyReport> report = Fail(ErrorCode::kInternal, "not verified");
    machine_->Run([&] {
      report =
          training::Verify(*machine_, {.data_folder = kData, .answers = kAnswers, .workers = 0});
    });
    HR_TRY_VOID(report);
    if (report->mismatches == 0) return report->values;
    const training::Difference& first = report->differences.front();
    std::string text = fmt::format("verify: line {}, {}: {}", first.line, first.key, first.reason);
    for (const training::DifferentFeature& feature : first.features)
      text += fmt::format(" {} was {}, is {} again;", feature.feature, feature.served,
                          feature.recomputed);
    return Fail(ErrorCode::kInternal, text);
  }

  // After Verify: [[view, n] ...] as the case has them.
  Result<std::string> RowAnswers(const json& of) {
    std::string shown;
    for (const json& one : of) {
      pipeline::ViewSet views(definition_, machine_budget_, machine_->clock());
      for (const auto& [name, id] : streams_) views.BindStream(*definition_->StreamNamed(name), id);
      SomeRows rows(one[1].get<uint64_t>());
      views.AnswerRows(one[0].get<size_t>(), &rows);
      Result<void> scanned;
      machine_->Run([&] {
        auto reader = log::LogReader::Open(*machine_, std::string(kData) + "/log");
        if (!reader) {
          scanned = Fail(reader.error());
          return;
        }
        scanned =
            (*reader)->Scan({1}, {~uint64_t{0}}, [&](const log::EpochRef& epoch) -> Result<void> {
              views.Apply({{epoch}});
              return {};
            });
      });
      HR_TRY_VOID(scanned);
      if (!shown.empty() && !rows.shown().empty()) shown += ',';
      shown += rows.shown();
    }
    return shown;
  }

  // After Verify: the features of a training set, by label.
  Result<std::string> Train(const json& of) {
    HR_TRY(const ColumnBatch labels, LabelsOf(of));
    const size_t first = labels.schema()->size();
    std::string shown;
    Result<void> trained;
    machine_->Run([&] { trained = TrainWith(labels, of["service"].get<std::string>()); });
    HR_TRY_VOID(trained);
    Result<ColumnBatch> set = Fail(ErrorCode::kInternal, "not read");
    machine_->Run([&] { set = ReadParquet(kTrained); });
    HR_TRY_VOID(set);
    for (size_t row = 0; row < set->rows(); ++row) {
      shown += row == 0 ? "[" : ",[";
      // The last column says how its rows became known.
      for (size_t i = first; i + 1 < set->schema()->size(); ++i)
        shown += (i == first ? "" : ",") + PlainJson(set->column(i).At(row));
      shown += ']';
    }
    return "[" + shown + "]";
  }

  const std::string& answers() const { return answers_; }
  const std::string& epochs() const { return epochs_; }
  uint64_t refused() const { return refused_; }

 private:
  // Bodies that are sent at once: they may come into one epoch.
  Result<void> Ingest(const json& bodies) {
    wiring::LogGate gate(*core_);
    std::vector<std::optional<Result<ingest::EventsReply>>> done(bodies.size());
    machine_->Run([&] {
      for (size_t i = 0; i < bodies.size(); ++i) {
        ingest::EventsRequest request{.stream = bodies[i][0].get<std::string>(),
                                      .body = bodies[i][1].get<std::string>(),
                                      .content_type = {},
                                      .producer = {},
                                      .sequence = {},
                                      .idempotency_key = {}};
        request.body.reserve(request.body.size() + 64);
        ingest::HandleEvents(
            std::move(request), gate, core_->budget(), {},
            [&done, i](Result<ingest::EventsReply> reply) { done[i] = std::move(reply); });
      }
    });
    machine_->RunUntil([&] { return std::ranges::all_of(done, [](auto& one) { return !!one; }); });
    machine_->RunUntilIdle();  // visible
    for (size_t i = 0; i < bodies.size(); ++i) {
      if (!done[i]) return Fail(ErrorCode::kInternal, "no reply");
      HR_TRY_VOID(*done[i]);
      const json reply = json::parse((*done[i])->body);
      refused_ += reply["refused_rows"].get<uint64_t>();  // not all of them are listed
      epochs_ += (epochs_.empty() ? "" : ",") + std::to_string(reply["epoch"].get<uint64_t>());
      const std::string stream = bodies[i][0].get<std::string>();
      HR_TRY(streams_[stream], core_->StreamNamed(stream));
    }
    return {};
  }

  Result<void> Ask(const json& step) {
    serving::FeatureQuery query;
    query.features = step["ask"].get<std::vector<std::string>>();
    query.as_of = base::Timestamp{step["as_of"].get<int64_t>()};
    for (const auto& [name, text] : step["keys"].items()) {
      HR_TRY(columns::Value value, KeyValue(name, text));
      query.inputs.push_back({name, {std::move(value)}});
    }
    Result<serving::FeatureAnswer> answer = Fail(ErrorCode::kInternal, "not asked");
    machine_->Run([&] { answer = core_->answers().Answer(query); });
    HR_TRY_VOID(answer);
    answers_ += (answers_.empty() ? "" : ",") + Shown(answer->values, answer->statuses);
    return {};
  }

  Result<ColumnBatch> LabelsOf(const json& of) const {
    std::vector<columns::Field> fields = {{.id = 1, .name = "id", .type = Type::kInt64},
                                          {.id = 2, .name = "when", .type = Type::kTimestamp}};
    std::vector<std::vector<columns::Value>> keys;
    for (const json& label : of["labels"]) {
      keys.emplace_back();
      for (size_t i = 0; i < of["fields"].size(); ++i) {
        HR_TRY(columns::Value value, KeyValue(of["fields"][i].get<std::string>(), label[2][i]));
        keys.back().push_back(std::move(value));
      }
    }
    for (size_t i = 0; i < of["fields"].size(); ++i)
      fields.push_back({.id = static_cast<uint32_t>(3 + i),
                        .name = of["fields"][i].get<std::string>(),
                        .type = keys[0][i].type()});
    columns::BatchBuilder builder(std::make_shared<const columns::Schema>(std::move(fields)));
    for (size_t row = 0; row < keys.size(); ++row) {
      builder.column(0).AppendInt(of["labels"][row][0].get<int64_t>());
      builder.column(1).AppendInt(of["labels"][row][1].get<int64_t>());
      for (size_t i = 0; i < keys[row].size(); ++i) builder.column(2 + i).AppendValue(keys[row][i]);
    }
    return builder.Finish();
  }

  Result<void> TrainWith(const ColumnBatch& labels, const std::string& service) {
    const auto writer = tables::ParquetWriter::Make(labels.schema());
    HR_TRY_VOID(writer->Write(labels));
    HR_TRY(const tables::EncodedFile file, writer->Finish());
    HR_TRY_VOID(env::PutAtomically(machine_->files(), kLabels, file.bytes.bytes()));
    HR_TRY_VOID(training::Train(*machine_, {.data_folder = kData,
                                            .labels = kLabels,
                                            .service = service,
                                            .time_column = "when",
                                            .exclude_column = "id",
                                            .output = kTrained,
                                            .workers = 0}));
    return {};
  }

  Result<ColumnBatch> ReadParquet(const char* path) {
    HR_TRY(const auto reader, tables::ParquetReader::Open(machine_->files(), path));
    return reader->ReadAll(*reader->schema());
  }

  Result<columns::Value> KeyValue(const std::string& name, const json& text) const {
    for (const pipeline::StreamDefinition& stream : definition_->streams) {
      const auto index = stream.schema()->IndexOf(name);
      if (!index) continue;
      const columns::Type type = stream.schema()->field(*index).type;
      if (text.is_null()) return columns::Value::Null(type);
      return columns::Value::FromText(type, text.get<std::string>());
    }
    return Fail(ErrorCode::kInvalidInput, "no stream has a field " + name);
  }

  Result<void> Kill() {
    machine_->Crash(env::simulated::CrashKind::kKill);
    core_.reset();
    machine_ = machine_->Reboot(kSeed + ++life_);
    return Start();
  }

  const pipeline::PipelineRef definition_;
  uint64_t life_ = 0;
  std::unique_ptr<SimulatedEnvironment> machine_;
  std::unique_ptr<wiring::Core> core_;
  base::MemoryBudget machine_budget_{4ULL << 30};
  std::map<std::string, base::StreamId> streams_;
  std::string answers_;
  std::string epochs_;
  uint64_t refused_ = 0;
};

Result<std::string> Evaluate(const json& of) {
  HR_TRY(pipeline::PipelineRef definition, Definition(of));
  Run run(std::move(definition));
  HR_TRY_VOID(run.Start());
  for (const json& step : of["steps"]) HR_TRY_VOID(run.Step(step));
  const uint64_t folded = run.FoldedRows();
  uint64_t verified = 0;
  if (of.value("verify", false)) {
    HR_TRY(verified, run.Verify());
  }
  std::string rows;
  if (of.contains("rows")) {
    HR_TRY(rows, run.RowAnswers(of["rows"]));
  }
  std::string trained;
  for (const json& one : of.value("train", json::array())) {
    HR_TRY(const std::string set, run.Train(one));
    trained += (trained.empty() ? "" : ",") + set;
  }
  return fmt::format(
      R"({{"answers":[{}],"epochs":[{}],"refused":{},"folded":{},"verified":{},"rows":[{}],"trained":[{}]}})",
      run.answers(), run.epochs(), run.refused(), folded, verified, rows, trained);
}

}  // namespace
}  // namespace headrace::tests

int main() {
  std::ios::sync_with_stdio(false);
  headrace::base::SetLogSink([](const headrace::base::LogLine&) {});
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto gave = headrace::tests::Evaluate(nlohmann::json::parse(line));
    std::cout << (gave ? *gave : nlohmann::json{{"error", gave.error().ToString()}}.dump())
              << std::endl;
  }
  return 0;
}

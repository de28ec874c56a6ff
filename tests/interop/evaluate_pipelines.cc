// Runs whole engines on simulated machines, for the tests in Python beside it. A line of standard
// input is a case:
//   {"pipeline": text, "files": {name: text}, "verify": true, "steps": [
//     {"ingest": stream, "body": NDJSON},
//     {"ask": [features ...], "keys": {field: text or null}, "as_of": microseconds},
//     {"kill": true}]}
// The line of standard output for it is
//   {"answers": [[[value, status] ...] ...], "refused": n, "verified": n}
// with an answer for each "ask", a value and status for each of its features; or {"error": text}.
// "verify" has the batch driver compute every answer again, from table and log, and compares bits.

#include <fmt/format.h>

#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.h"
#include "env/simulated/environment.h"
#include "ingest/http/events_endpoint.h"
#include "interop/plain_json.h"
#include "pipeline/pipeline_file.h"
#include "training/verify.h"
#include "wiring/engine.h"
#include "wiring/log_gate.h"

namespace headrace::tests {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using env::simulated::SimulatedEnvironment;
using nlohmann::json;

constexpr const char* kData = "data";
constexpr const char* kAnswers = "answers.ndjson";
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
    if (step.contains("ingest"))
      return Ingest(step["ingest"].get<std::string>(), step["body"].get<std::string>());
    if (step.contains("ask")) return Ask(step);
    return Kill();
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

  const std::string& answers() const { return answers_; }
  uint64_t refused() const { return refused_; }

 private:
  Result<void> Ingest(const std::string& stream, const std::string& body) {
    wiring::LogGate gate(*core_);
    ingest::EventsRequest request{.stream = stream,
                                  .body = body,
                                  .content_type = {},
                                  .producer = {},
                                  .sequence = {},
                                  .idempotency_key = {}};
    request.body.reserve(request.body.size() + 64);
    std::optional<Result<ingest::EventsReply>> done;
    machine_->Run([&] {
      ingest::HandleEvents(std::move(request), gate, core_->budget(), {},
                           [&](Result<ingest::EventsReply> reply) { done = std::move(reply); });
    });
    machine_->RunUntil([&] { return done.has_value(); });
    machine_->RunUntilIdle();  // visible
    if (!done) return Fail(ErrorCode::kInternal, "no reply");
    HR_TRY_VOID(*done);
    refused_ += json::parse((*done)->body)["refused"].size();
    return {};
  }

  Result<void> Ask(const json& step) {
    serving::FeatureQuery query;
    for (const json& feature : step["ask"]) query.features.push_back(feature.get<std::string>());
    query.as_of = base::Timestamp{step["as_of"].get<int64_t>()};
    for (const auto& [name, text] : step["keys"].items()) {
      HR_TRY(columns::Value value, KeyValue(name, text));
      query.inputs.push_back({name, {std::move(value)}});
    }
    Result<serving::FeatureAnswer> answer = Fail(ErrorCode::kInternal, "not asked");
    machine_->Run([&] { answer = core_->answers().Answer(query); });
    HR_TRY_VOID(answer);
    std::string features;
    for (size_t i = 0; i < answer->columns->size(); ++i)
      features += fmt::format("{}[{},\"{}\"]", i == 0 ? "" : ",", PlainJson(answer->values[i]),
                              NameOf(answer->statuses[i]));
    answers_ += (answers_.empty() ? "[" : ",[") + features + "]";
    return {};
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
  std::string answers_;
  uint64_t refused_ = 0;
};

Result<std::string> Evaluate(const json& of) {
  HR_TRY(pipeline::PipelineRef definition, Definition(of));
  Run run(std::move(definition));
  HR_TRY_VOID(run.Start());
  for (const json& step : of["steps"]) HR_TRY_VOID(run.Step(step));
  uint64_t verified = 0;
  if (of.value("verify", false)) {
    HR_TRY(verified, run.Verify());
  }
  return fmt::format(R"({{"answers":[{}],"refused":{},"verified":{}}})", run.answers(),
                     run.refused(), verified);
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

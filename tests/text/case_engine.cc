#include "text/case_engine.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ingest/http/events_endpoint.h"
#include "pipeline/pipeline_file.h"
#include "protocols/http_router.h"
#include "serving/answer_plan.h"
#include "tables/table_reader.h"
#include "training/offline_answers.h"
#include "training/verify.h"
#include "wiring/definition_changes.h"
#include "wiring/http_verbs.h"
#include "wiring/log_gate.h"
#include "wiring/lookback.h"

namespace headrace::tests {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using env::simulated::SimulatedEnvironment;

constexpr const char* kData = "data";
constexpr const char* kAnswers = "data/answers.jsonl";
// The wall clock at the start of every case: events of the first half of 2026 lie in the past.
constexpr base::Timestamp kWall{1'782'864'000'000'000};  // 2026-07-01T00:00:00Z

std::string ShowRefused(const nlohmann::json& row) {
  const std::string field = row.value("field", "");
  return fmt::format("row {}: {}{}{}: {}", row.at("row").get<uint64_t>(), field,
                     field.empty() ? "" : " ", row.at("rule").get<std::string>(),
                     row.at("reason").get<std::string>());
}

// {"accepted":2,"refused":[..],...} as lines: epochs are left out, as a case should not depend on
// how batches were grouped.
std::string ShowOutcome(const std::string& body) {
  const auto document = nlohmann::json::parse(body);
  const auto& refused = document.at("refused");
  std::string text = fmt::format("accepted {}, refused {}", document.at("accepted").get<uint64_t>(),
                                 refused.size());
  if (document.value("repeated", false)) text += ", repeated";
  for (const auto& row : refused) text += "\n" + ShowRefused(row);
  return text;
}

// `name` of the section as a value of the type that the stream's field has.
Result<columns::Value> KeyValue(const pipeline::PipelineDefinition& definition,
                                const std::string& name, const std::string& text) {
  for (const pipeline::StreamDefinition& stream : definition.streams)
    if (const auto index = stream.schema()->IndexOf(name))
      return columns::Value::FromText(stream.schema()->field(*index).type, text);
  // A request input that no stream has: a number if it reads as one.
  if (auto number = columns::Value::FromText(columns::Type::kFloat64, text)) return number;
  return columns::Value::String(text);
}

// The epochs of rows are told by their order alone: a case should not depend on how many others the
// log has.
std::string ExplanationText(const wiring::Explanation& explained) {
  const pipeline::ViewDefinition& view = explained.view_definition();
  const auto argument = view.features[view.outputs[explained.output].feature].argument;
  const auto same = explained.SameBits();
  const bool of_state = explained.source == wiring::RowSource::kState;
  std::string text =
      fmt::format("{} {} of {} rows, {}{}", explained.recomputed.value.ToJson(),
                  NameOf(explained.recomputed.status), explained.explained.counts[0],
                  of_state ? "from the state" : "from the table: " + explained.because,
                  !same ? "" : (*same ? ", the same bits" : ", OTHER BITS"));
  std::set<base::EpochId> epochs;
  for (const size_t row : explained.listed) epochs.insert(explained.rows.positions[row].epoch());
  for (const size_t row : explained.listed) {
    const columns::Position at = explained.rows.positions[row];
    const auto number = std::distance(epochs.begin(), epochs.find(at.epoch())) + 1;
    text += fmt::format(
        "\n{} ({}, {}){} {}", base::FormatTimestamp({explained.rows.times[row]}), number, at.row(),
        argument ? " " + explained.rows.arguments.column(*argument).At(row).ToJson() : "",
        NameOf(explained.explained.verdicts[row]));
    if (const base::Duration late = explained.explained.late[row]; late.count() > 0)
      text += ", late by " + base::FormatDuration(late);
  }
  return text;
}

}  // namespace

CaseEngine::CaseEngine(std::string pipeline, std::map<std::string, std::string> files,
                       std::map<std::string, std::string> others)
    : pipeline_(std::move(pipeline)),
      files_(std::move(files)),
      others_(std::move(others)),
      machine_(std::make_unique<SimulatedEnvironment>(kSeed)) {
  machine_->StepWall(kWall - machine_->clock().Wall());
}

CaseEngine::~CaseEngine() {
  machine_->Crash();
  core_.reset();
}

const std::map<std::string, CaseEngine::Command>& CaseEngine::Commands() {
  static const std::map<std::string, Command> commands = {
      {"check", &CaseEngine::Check},   {"ingest", &CaseEngine::Ingest},
      {"get", &CaseEngine::Get},       {"explain", &CaseEngine::Explain},
      {"http", &CaseEngine::Http},     {"deadletters", &CaseEngine::DeadLetters},
      {"replay", &CaseEngine::Replay}, {"table", &CaseEngine::Table},
      {"train", &CaseEngine::Train},   {"status", &CaseEngine::Status},
      {"verify", &CaseEngine::Verify}, {"diff", &CaseEngine::Diff},
      {"apply", &CaseEngine::Apply},   {"rollback", &CaseEngine::Rollback},
      {"serve", &CaseEngine::Serve},   {"snapshot", &CaseEngine::Snapshot},
      {"kill", &CaseEngine::Kill},     {"power-cut", &CaseEngine::Kill},
      {"wait", &CaseEngine::Wait},     {"step-wall", &CaseEngine::StepWall}};
  return commands;
}

Result<std::string> CaseEngine::Run(const CaseSection& section) {
  const auto found = Commands().find(section.verb);
  if (found == Commands().end())
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("line {}: no command [{}]", section.line, section.verb));
  return (this->*found->second)(section);
}

CaseEngine::Checked CaseEngine::CheckFiles() const {
  const auto source = [&](const std::string& name) -> Result<std::string> {
    const auto file = files_.find(name);
    if (file == files_.end()) return Fail(ErrorCode::kNotFound, fmt::format("no file {}", name));
    return file->second;
  };
  const pipeline::CheckedPipeline checked =
      pipeline::CheckPipeline("pipeline.yaml", pipeline_, source);
  std::string complaints;
  for (const contract::Diagnostic& diagnostic : checked.diagnostics) {
    const auto file = files_.find(diagnostic.file);
    complaints +=
        contract::Render(diagnostic, file == files_.end() ? pipeline_ : file->second) + "\n";
  }
  while (complaints.ends_with('\n')) complaints.pop_back();
  return {checked.definition, complaints};
}

Result<pipeline::PipelineRef> CaseEngine::Definition() const {
  Checked checked = CheckFiles();
  if (checked.definition) return checked.definition;
  return Fail(ErrorCode::kInvalidInput, checked.complaints);
}

Result<void> CaseEngine::Start() {
  if (core_) return {};
  HR_TRY(pipeline::PipelineRef definition, Definition());
  Result<void> started;
  const bool alive = machine_->Run([&] {
    auto core = wiring::Core::Start(
        *machine_,
        {.definition = definition, .data_folder = kData, .log = {}, .answers_file = kAnswers});
    if (core) {
      core_ = std::move(*core);
    } else {
      started = Fail(core.error());
    }
  });
  HR_CHECK(alive, "no crash was planned");
  HR_TRY_VOID(started);
  machine_->RunUntilIdle();
  return {};
}

Result<std::string> CaseEngine::Check(const CaseSection&) {
  const Checked checked = CheckFiles();
  return checked.complaints.empty() ? "ok" : checked.complaints;
}

Result<std::string> CaseEngine::Ingest(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 1) return Fail(ErrorCode::kInvalidInput, "write [ingest STREAM]");
  wiring::LogGate gate(*core_);
  ingest::EventsRequest request{.stream = section.words[0],
                                .body = section.body,
                                .content_type = {},
                                .producer = {},
                                .sequence = {},
                                .idempotency_key = {}};
  request.body.reserve(request.body.size() + 64);
  if (section.options.contains("producer")) request.producer = section.Option("producer");
  if (section.options.contains("sequence")) request.sequence = section.Option("sequence");
  if (section.options.contains("key")) request.idempotency_key = section.Option("key");
  if (section.Option("atomic") == "yes") request.atomicity = columns::Atomicity::kAllOrNone;
  std::optional<std::string> shown;
  machine_->Run([&] {
    ingest::HandleEvents(std::move(request), gate, core_->budget(), {},
                         [&](Result<ingest::EventsReply> reply) {
                           shown = reply ? ShowOutcome(reply->body) : reply.error().ToString();
                         });
  });
  machine_->RunUntil([&] { return shown.has_value(); });
  machine_->RunUntilIdle();  // visible
  return shown.value_or("no answer");
}

Result<std::string> CaseEngine::Get(const CaseSection& section) {
  HR_TRY_VOID(Start());
  serving::FeatureQuery query;
  std::vector<std::string> views;
  std::vector<std::string> only;
  for (const std::string& word : section.words) {
    if (core_->definition()->ServiceNamed(word)) {
      query.service = word;
    } else if (core_->definition()->ViewNamed(word)) {
      views.push_back(word + ".*");
    } else {
      only.push_back(word);
    }
  }
  query.features = std::move(views);
  if (query.service.empty() && query.features.empty()) query.features = std::exchange(only, {});
  for (const auto& [name, text] : section.options) {
    if (name == "as_of") {
      HR_TRY(query.as_of, base::ParseTimestamp(text));
    } else {
      HR_TRY(columns::Value value, KeyValue(*core_->definition(), name, text));
      query.inputs.push_back({name, {std::move(value)}});
    }
  }
  return Answer(query, only);
}

Result<std::string> CaseEngine::Explain(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 2)
    return Fail(ErrorCode::kInvalidInput, "[explain VIEW FEATURE key=value]");
  wiring::ExplainRequest request{.view = section.words[0], .feature = section.words[1]};
  for (const auto& [name, text] : section.options) {
    if (name == "as_of") {
      HR_TRY(request.as_of, base::ParseTimestamp(text));
    } else if (name == "epoch") {
      request.epoch = base::EpochId{std::stoull(text)};
    } else if (name == "source") {
      request.source = text == "table" ? wiring::RowSource::kTable : wiring::RowSource::kState;
    } else {
      HR_TRY(columns::Value value, KeyValue(*core_->definition(), name, text));
      request.key.emplace_back(name, std::move(value));
    }
  }
  Result<wiring::Explanation> explained = Fail(ErrorCode::kInternal, "not asked");
  machine_->Run([&] {
    explained = core_->lookback().Explain(request, nullptr,
                                          machine_->clock().Now() + wiring::Lookback::kDeadline);
  });
  if (!explained) return explained.error().ToString();
  return ExplanationText(*explained);
}

Result<std::string> CaseEngine::Answer(const serving::FeatureQuery& query,
                                       const std::vector<std::string>& only) {
  Result<serving::FeatureAnswer> answer = Fail(ErrorCode::kInternal, "not asked");
  machine_->Run([&] { answer = core_->answers().Answer(query); });
  if (!answer) return answer.error().ToString();
  std::string text;
  for (size_t i = 0; i < answer->columns->size(); ++i) {
    const serving::AnswerColumn& column = (*answer->columns)[i];
    const std::string name = column.Reference();
    if (!only.empty() && std::ranges::find(only, name) == only.end() &&
        std::ranges::find(only, column.name) == only.end())
      continue;
    if (!text.empty()) text += '\n';
    text += fmt::format("{} {} {}", name, answer->values[i].ToJson(), NameOf(answer->statuses[i]));
  }
  return text;
}

Result<std::string> CaseEngine::Http(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 2)
    return Fail(ErrorCode::kInvalidInput, "write [http GET /path] or [http POST /path]");
  wiring::LogGate gate(*core_);
  const std::unique_ptr<env::Executor> events =
      machine_->NewExecutor("events", env::Priority::kRealTime);
  protocols::HttpRouter router;
  wiring::MountVerbs(router, *core_, gate, *events, wiring::DemoFaults::kOff);
  protocols::HttpRequest request;
  request.method =
      section.words[0] == "POST" ? protocols::HttpMethod::kPost : protocols::HttpMethod::kGet;
  request.path = section.words[1];
  constexpr std::string_view kHeader = "header.";
  for (const auto& [name, value] : section.options) {
    if (name.starts_with(kHeader))
      request.fields.push_back({name.substr(kHeader.size()), value});
    else
      request.query.emplace_back(name, value);
  }
  request.body = section.body;
  request.body.reserve(request.body.size() + 64);
  std::optional<std::string> shown;
  machine_->Run([&] {
    router.Dispatch(std::move(request),
                    protocols::HttpReply([&](const protocols::HttpResponse& response) {
                      shown = fmt::format("{} {}", response.status, response.body);
                    }));
  });
  machine_->RunUntil([&] { return shown.has_value(); });
  while (shown && shown->ends_with('\n')) shown->pop_back();
  return shown.value_or("no answer");
}

Result<std::string> CaseEngine::DeadLetters(const CaseSection& section) {
  HR_TRY_VOID(Start());
  const std::string stream = section.words.empty() ? "" : section.words[0];
  const auto payloads = section.words.size() > 1 && section.words[1] == "restricted"
                            ? wiring::Payloads::kAsTheyCame
                            : wiring::Payloads::kMasked;
  Result<wiring::DeadLetterPage> letters = Fail(ErrorCode::kInternal, "not asked");
  machine_->Run([&] {
    letters =
        core_->DeadLetters({.stream = stream, .after = {}, .limit = 1000, .payloads = payloads});
  });
  if (!letters) return letters.error().ToString();
  std::string text;
  for (const auto& row : nlohmann::json::parse(letters->json)) {
    if (!text.empty()) text += '\n';
    text += fmt::format("{} {} | {}{}", row.at("stream").get<std::string>(), ShowRefused(row),
                        row.at("payload").get<std::string>(),
                        row.contains("masked")     ? " (masked)"
                        : row.contains("replayed") ? " (replayed)"
                                                   : "");
  }
  return text.empty() ? std::string("none") : text;
}

// [replay STREAM RULE...]: sends refused rows again.
Result<std::string> CaseEngine::Replay(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.empty()) return Fail(ErrorCode::kInvalidInput, "write [replay STREAM]");
  wiring::ReplayRequest request{.stream = section.words[0], .rule = {}, .after = {}};
  if (section.words.size() > 1) request.rule = section.words[1];
  std::optional<Result<wiring::ReplayReport>> told;
  machine_->Run([&] {
    core_->ReplayDeadLetters(std::move(request), [&](auto report) { told = std::move(report); });
  });
  machine_->RunUntil([&] { return told.has_value(); });
  if (!*told) return told->error().ToString();
  std::string text = fmt::format("replayed {}, kept {}, before {}", (*told)->replayed,
                                 (*told)->kept, (*told)->replayed_before);
  for (const wiring::ReplayReport::Kept& letter : (*told)->listed)
    text +=
        fmt::format("\nrow {}: {} {}: {}", letter.row, letter.field, letter.rule, letter.reason);
  return text;
}

// Rows in the order of their positions, without the positions themselves.
Result<std::string> CaseEngine::Table(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 1) return Fail(ErrorCode::kInvalidInput, "write [table STREAM]");
  const auto stream = core_->definition()->StreamNamed(section.words[0]);
  if (!stream) return Fail(ErrorCode::kInvalidInput, "no such stream");
  std::optional<Result<void>> flushed;
  machine_->Run(
      [&] { core_->FlushTables([&](Result<void> result) { flushed = std::move(result); }); });
  machine_->RunUntil([&] { return flushed.has_value(); });
  if (!flushed || !*flushed)
    return flushed ? flushed->error().ToString() : std::string("not flushed");
  std::string text;
  Result<void> read;
  machine_->Run([&] {
    read = [&]() -> Result<void> {
      HR_TRY(const auto table, tables::TableReader::Open(
                                   *machine_, std::string(kData) + "/tables/" + section.words[0]));
      text = fmt::format("{} rows", table->rows());
      return table->Scan(core_->definition()->streams[*stream].schema(),
                         [&](const tables::PositionedRows& part) -> Result<void> {
                           for (size_t row = 0; row < part.rows.rows(); ++row)
                             text += "\n" + contract::RowToJson(part.rows, row);
                           return {};
                         });
    }();
  });
  return read ? text : read.error().ToString();
}

// A label of one service, answered by the offline path as `headrace train` does.
Result<std::string> CaseEngine::Train(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 1 || !section.options.contains("time"))
    return Fail(ErrorCode::kInvalidInput, "write [train SERVICE time=T KEY=VALUE ...]");
  HR_TRY(const base::Timestamp time, base::ParseTimestamp(section.Option("time")));
  std::string text;
  Result<void> trained;
  machine_->Run([&] {
    trained = [&]() -> Result<void> {
      HR_TRY(const auto history, training::History::Open(*machine_, kData));
      HR_TRY(const pipeline::LoggedDefinition logged, history->Newest());
      const pipeline::PipelineRef& definition = logged.definition;
      const auto service = definition->ServiceNamed(section.words[0]);
      if (!service) return Fail(ErrorCode::kNotFound, "no such service");
      HR_TRY(const auto plan, serving::CompileService(*definition, definition->services[*service]));
      std::vector<size_t> views;
      for (const serving::PlanView& view : plan->views) views.push_back(view.view);
      HR_TRY(const auto answers,
             training::OfflineAnswers::Build(*machine_, 0, *history, logged, views, {}));
      std::vector<columns::Value> inputs;
      for (const serving::PlanInput& input : plan->inputs) {
        HR_TRY(columns::Value value,
               columns::Value::FromText(input.type, section.Option(input.name)));
        inputs.push_back(std::move(value));
      }
      pipeline::Cut cut;
      cut.known_at_max = time;
      const auto values = answers->Answer(*plan, inputs, time, cut);
      for (size_t i = 0; i < values.size(); ++i)
        text += fmt::format("{}{} {} {}", text.empty() ? "" : "\n", (*plan->columns)[i].Reference(),
                            values[i].value.ToJson(), NameOf(values[i].status));
      return {};
    }();
  });
  return trained ? text : trained.error().ToString();
}

Result<std::string> CaseEngine::Snapshot(const CaseSection&) {
  HR_TRY_VOID(Start());
  std::optional<Result<void>> taken;
  machine_->Run(
      [&] { core_->TakeSnapshot([&](Result<void> result) { taken = std::move(result); }); });
  machine_->RunUntil([&] { return taken.has_value(); });
  if (!taken || !*taken) return taken ? taken->error().ToString() : std::string("not taken");
  return std::string("taken");
}

// One member of the status document, an element a line.
Result<std::string> CaseEngine::Status(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 1) return Fail(ErrorCode::kInvalidInput, "write [status MEMBER]");
  std::string document;
  machine_->Run([&] { document = core_->StatusJson(); });
  const auto json = nlohmann::ordered_json::parse(document);
  const auto member = json.find(section.words[0]);
  if (member == json.end()) return Fail(ErrorCode::kInvalidInput, "the status has no such member");
  if (!member->is_array()) return member->dump();
  std::string text;
  for (const auto& element : *member) text += (text.empty() ? "" : "\n") + element.dump();
  return text.empty() ? std::string("none") : text;
}

// Every answer so far, computed again as `headrace verify` does.
Result<std::string> CaseEngine::Verify(const CaseSection&) {
  HR_TRY_VOID(Start());
  machine_->RunFor(std::chrono::seconds(1));  // recorded
  Result<training::VerifyReport> report = Fail(ErrorCode::kInternal, "not verified");
  machine_->Run([&] {
    report = training::Verify(*machine_, {.data_folder = kData, .answers = kAnswers, .workers = 0});
  });
  if (!report) return report.error().ToString();
  std::string text = fmt::format("{} answers, {} differ", report->checked, report->mismatches);
  for (const training::Difference& difference : report->differences) {
    text += fmt::format("\n{} {}", difference.key, difference.reason);
    for (const training::DifferentFeature& feature : difference.features)
      text += fmt::format(" {}: served {}, recomputed {}", feature.feature, feature.served,
                          feature.recomputed);
  }
  return text;
}

Result<std::string> CaseEngine::Kill(const CaseSection& section) {
  HR_TRY_VOID(Start());
  machine_->Crash(section.verb == "kill" ? env::simulated::CrashKind::kKill
                                         : env::simulated::CrashKind::kPowerCut);
  core_.reset();
  machine_ = machine_->Reboot(kSeed + ++life_);
  HR_TRY_VOID(Start());
  return std::string("back");
}

Result<wiring::ChangeRequest> CaseEngine::Request(const CaseSection& section) const {
  const auto other = others_.find(section.words.empty() ? "" : section.words[0]);
  if (other == others_.end())
    return Fail(ErrorCode::kInvalidInput, "name a [pipeline NAME] of this case");
  const std::string from = section.Option("from");
  nlohmann::json body = {{"pipeline", other->second}, {"contracts", files_}};
  if (from == "now") body["from_now"] = "all";
  if (from.starts_with("now:")) body["from_now"] = {from.substr(4)};
  if (section.Option("break") == "yes") body["may_break"] = true;
  return wiring::ParseChangeRequest(body.dump());
}

namespace {

// What changes, a line each; sizes and times are left out.
std::string ShowPlan(const nlohmann::json& plan) {
  std::string text;
  const auto line = [&text](const std::string& more) { text += (text.empty() ? "" : "\n") + more; };
  for (const auto& view : plan["views"]) {
    const std::string build = view.at("build");
    line(fmt::format("view {} {}{}", view.at("name").get<std::string>(),
                     view.at("change").get<std::string>(), build == "nothing" ? "" : ": " + build));
    if (build == "history") text += fmt::format(", {} rows", view.at("rows").get<uint64_t>());
  }
  for (const char* kind : {"streams", "on_request", "services", "settings"})
    for (const auto& each : plan[kind])
      if (each.at("change") != "unchanged")
        line(fmt::format("{} {} {}", kind, each.at("name").get<std::string>(),
                         each.at("change").get<std::string>()));
  for (const auto& each : plan["breaks"])
    line(fmt::format("breaks {}: {} {}", each.at("service").get<std::string>(),
                     each.at("missing").dump(), each.at("retyped").dump()) +
         (each.at("renamed").empty() ? "" : " renamed " + each.at("renamed").dump()));
  for (const auto& why : plan["refused"]) line("refused: " + why.get<std::string>());
  return text.empty() ? "nothing changes" : text;
}

}  // namespace

Result<std::string> CaseEngine::Diff(const CaseSection& section) {
  HR_TRY_VOID(Start());
  auto request = Request(section);
  if (!request) return request.error().ToString();
  std::optional<Result<std::string>> shown;
  machine_->Run([&] {
    core_->changes().Diff(std::move(*request),
                          [&](Result<std::string> plan) { shown = std::move(plan); });
  });
  machine_->RunUntil([&] { return shown.has_value(); });
  if (!*shown) return shown->error().ToString();
  return ShowPlan(nlohmann::json::parse(**shown));
}

Result<std::string> CaseEngine::Carried(const Result<std::string>& begun) {
  if (!begun) return begun.error().ToString();
  std::string text = ShowPlan(nlohmann::json::parse(*begun));
  nlohmann::json change;
  machine_->RunUntil([&] {
    change = nlohmann::json::parse(core_->changes().ToJson()).value("change", nlohmann::json());
    return change.is_null() || change.at("state") == "done" || change.at("state") == "failed";
  });
  if (change.is_null()) return text;
  if (change.at("state") == "failed")
    return text + "\nfailed: " + change.at("error").at("message").get<std::string>();
  return text +
         fmt::format("\ncut over, {} rows of history", change.at("rows_done").get<uint64_t>());
}

Result<std::string> CaseEngine::Apply(const CaseSection& section) {
  HR_TRY_VOID(Start());
  auto request = Request(section);
  if (!request) return request.error().ToString();
  std::optional<Result<std::string>> begun;
  machine_->Run([&] {
    core_->changes().Apply(std::move(*request),
                           [&](Result<std::string> plan) { begun = std::move(plan); });
  });
  machine_->RunUntil([&] { return begun.has_value(); });
  return Carried(*begun);
}

Result<std::string> CaseEngine::Rollback(const CaseSection&) {
  HR_TRY_VOID(Start());
  std::optional<Result<std::string>> begun;
  machine_->Run([&] {
    core_->changes().Rollback([&](Result<std::string> plan) { begun = std::move(plan); });
  });
  machine_->RunUntil([&] { return begun.has_value(); });
  return Carried(*begun);
}

// A clean stop, then a start with another file.
Result<std::string> CaseEngine::Serve(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (!section.words.empty()) {
    const auto other = others_.find(section.words[0]);
    if (other == others_.end())
      return Fail(ErrorCode::kInvalidInput, "name a [pipeline NAME] of this case");
    pipeline_ = other->second;
  }
  machine_->Run([&] { core_->Stop(); });
  core_.reset();
  machine_ = machine_->Reboot(kSeed + ++life_);
  if (const auto started = Start(); !started) return started.error().ToString();
  return std::string("back");
}

Result<std::string> CaseEngine::Wait(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 1) return Fail(ErrorCode::kInvalidInput, "write [wait 5s]");
  HR_TRY(const base::Duration span, base::ParseDuration(section.words[0]));
  machine_->RunFor(span);
  return std::string("waited");
}

Result<std::string> CaseEngine::StepWall(const CaseSection& section) {
  HR_TRY_VOID(Start());
  if (section.words.size() != 2)
    return Fail(ErrorCode::kInvalidInput, "write [step-wall forward 1h] or [step-wall back 1h]");
  HR_TRY(const base::Duration span, base::ParseDuration(section.words[1]));
  machine_->StepWall(section.words[0] == "back" ? -span : span);
  return std::string("stepped");
}

}  // namespace headrace::tests

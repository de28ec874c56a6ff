#pragma once
// For tests: a core on a simulated machine that events are pushed to, with every kind of window.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "env/simulated/environment.h"
#include "pipeline/pipeline_file.h"
#include "wiring/definition_changes.h"
#include "wiring/engine.h"

namespace headrace::wiring::fixture {

using base::ErrorCode;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;
using pipeline::AtDeadline;
using serving::PushAnswer;
using serving::PushAnswered;
using serving::PushedEvent;
using serving::PushRequest;
using std::chrono::milliseconds;

inline constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: amount, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

// Every kind of window, with the event and without it.
inline std::string PipelineText() {
  std::string text = R"(headrace: 1
pipeline: p
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: c.yaml, source: {http: push}, time: {event: paid_at, late: 1h}}
  large: {from: payments, where: amount >= 50, select: [card, amount, paid_at]}
views:
)";
  const std::vector<std::pair<std::string, std::string>> windows = {
      {"sliding", "over: [1m, 1h]"},
      {"coarse", "over: 1h, precision: 1m"},
      {"tumbling", "tumbling: [this 1m, previous 1m]"},
      {"hopping", "hopping: 1h every 1m"},
      {"session", "session: [this 30s, last 30s], within: 10m"},
      {"ever", ""},
  };
  const std::string features =
      "features: {n: count(*), sum: sum(amount), most: max(amount), newest: last(amount)}";
  std::string names;
  for (const auto& [name, window] : windows)
    for (const std::string self : {"included", "excluded"}) {
      text += fmt::format("  {}_{}: {{from: payments, by: card, {}{}self: {}, {}}}\n", name, self,
                          window, window.empty() ? "" : ", ", self, features);
      names += fmt::format("{}_{}.*, ", name, self);
    }
  // Of the newest row that a condition holds for: not always the newest row.
  text +=
      "  large_included: {from: payments, by: card, over: 1h, self: included, features: {newest: "
      "last(amount) where amount > 50}}\n";
  names += "large_included.*, ";
  std::string of_payments = names;  // what a provisional answer can tell
  for (const std::string self : {"included", "excluded"}) {
    text += fmt::format(
        "  rows_{0}: {{from: payments, by: card, self: {0}, last: {{3: {{n3: count(*), sum3: "
        "sum(amount)}}}}}}\n"
        "  derived_{0}: {{from: large, by: card, over: 1h, self: {0}, {1}}}\n",
        self, features);
    names += fmt::format("rows_{0}.*, derived_{0}.*, ", self);
    of_payments += fmt::format("rows_{}.*, ", self);
  }
  of_payments += "derived_excluded.*";
  text += "inputs: {limit: int64}\non_request: {near: sliding_included.sum_1m / limit}\n";
  text += fmt::format(
      "services:\n  all: {{features: [{}]}}\n  hasty: {{features: [{}]}}\n"
      "  scoring: {{features: [sliding_included.n_1h, sliding_excluded.n_1h], defaults: "
      "{{sliding_included.n_1h: 7}}}}\n  priced: {{features: [near]}}\n"
      "  made: {{features: [derived_included.*]}}\n"
      "consumers:\n  model: {{reads: service scoring, at_deadline: last_known}}\n"
      "  hasty: {{reads: service hasty, provisional: allowed}}\n"
      "  made: {{reads: service made, provisional: allowed}}\n",
      names.substr(0, names.size() - 2), of_payments);
  return text;
}

inline pipeline::PipelineRef DefinitionWith(const std::string& contract) {
  auto checked = pipeline::CheckPipeline("pipeline.yaml", PipelineText(), [&](const std::string&) {
    return base::Result<std::string>(contract);
  });
  for (const auto& diagnostic : checked.diagnostics) ADD_FAILURE() << diagnostic.message;
  return checked.definition;
}

inline pipeline::PipelineRef Definition() {
  static const pipeline::PipelineRef kDefinition = DefinitionWith(std::string(kContract));
  return kDefinition;
}

struct Payment {
  std::string card;
  int64_t amount = 1;
  int64_t at_s = 0;
  std::string Json() const {
    return fmt::format(R"({{"card":"{}","amount":{},"paid_at":"{}"}})", card, amount,
                       base::FormatTimestamp({1'000'000'000'000'000 + at_s * 1'000'000}));
  }
};

using Outcome = std::optional<base::Result<PushAnswer>>;

class Pushed {
 public:
  explicit Pushed(uint64_t seed = 1, const Faults& faults = {})
      : machine_(std::make_unique<SimulatedEnvironment>(seed, faults)) {
    Start();
  }
  ~Pushed() {
    machine_->Crash();
    core_.reset();
  }
  void Start() {
    machine_->Run([&] {
      auto core = Core::Start(
          *machine_,
          {.definition = Definition(), .data_folder = "data", .log = {}, .answers_file = {}});
      HR_CHECK(core.has_value(), "the core does not start");
      core_ = std::move(*core);
    });
  }
  void Die(const Faults& faults = {}) {
    machine_->Crash();
    core_.reset();
    machine_ = machine_->Reboot(++lives_, faults);
    Start();
  }

  static PushRequest Of(const std::string& service, const std::string& event) {
    PushRequest request;
    request.service = service;
    request.event.stream = "payments";
    request.event.body = event;
    return request;
  }
  // Not yet answered.
  std::shared_ptr<Outcome> Begin(PushRequest request) {
    auto outcome = std::make_shared<Outcome>();
    machine_->Run([&] {
      core_->pushes().Push(std::move(request),
                           [outcome](base::Result<PushAnswer> answer) { *outcome = answer; });
    });
    return outcome;
  }
  PushAnswer Await(const std::shared_ptr<Outcome>& outcome) {
    machine_->RunUntil([&] { return outcome->has_value(); });
    EXPECT_TRUE(outcome->has_value() && (**outcome).has_value());
    if (!*outcome || !**outcome) return {};
    return ***outcome;
  }
  PushAnswer Push(PushRequest request) { return Await(Begin(std::move(request))); }
  base::Error Refusal(PushRequest request) {
    const auto outcome = Begin(std::move(request));
    machine_->RunUntil([&] { return outcome->has_value(); });
    if (!outcome->has_value() || (*outcome)->has_value()) return {ErrorCode::kInternal, "answered"};
    return (*outcome)->error();
  }
  // A change of definition, to its end.
  void Apply(const pipeline::PipelineRef& next) {
    machine_->Run([&] {
      core_->changes().Apply({.next = next, .from_now = {}, .since = {}}, [](const auto& begun) {
        EXPECT_TRUE(begun.has_value()) << begun.error().ToString();
      });
    });
    machine_->RunFor(std::chrono::seconds(1));
    EXPECT_EQ(core_->changes().figures().state, watch::ChangeFigures::State::kDone);
    EXPECT_EQ(core_->definition()->id, next->id);
  }
  // Plain ingest, until it is visible.
  void Ingest(const Payment& payment) { Await(Begin(Of("scoring", payment.Json()))); }
  serving::FeatureAnswer Ask(const std::string& card, base::Timestamp as_of) {
    base::Result<serving::FeatureAnswer> answer = base::Fail(ErrorCode::kInternal, "");
    machine_->Run([&] {
      answer = core_->answers().Answer({.service = "all",
                                        .features = {},
                                        .inputs = {{"card", {columns::Value::String(card)}}},
                                        .as_of = as_of,
                                        .min_epoch = {}});
    });
    EXPECT_TRUE(answer.has_value()) << answer.error().ToString();
    return answer ? *answer : serving::FeatureAnswer();
  }

  std::unique_ptr<SimulatedEnvironment> machine_;
  std::unique_ptr<Core> core_;
  uint64_t lives_ = 1;
};

inline std::map<std::string, std::string> ValuesOf(const serving::FeatureAnswer& answer,
                                                   std::string_view views) {
  std::map<std::string, std::string> values;
  for (size_t i = 0; i < answer.columns->size(); ++i)
    if ((*answer.columns)[i].view.ends_with(views))
      values[(*answer.columns)[i].Reference()] =
          answer.values[i].ToJson() + " " + std::string(NameOf(answer.statuses[i]));
  return values;
}

inline int64_t Number(const PushAnswer& answer, std::string_view feature) {
  const serving::FeatureAnswer& features = *answer.features;
  for (size_t i = 0; i < features.columns->size(); ++i)
    if ((*features.columns)[i].Reference() == feature)
      return features.values[i].is_null() ? -1 : features.values[i].as_int();
  ADD_FAILURE() << "no feature " << feature;
  return -2;
}

}  // namespace headrace::wiring::fixture

#pragma once
// For tests: a core on a simulated machine, through its lives, and pipelines whose definition
// changes.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "columns/batch_builder.h"
#include "columns/value.h"
#include "env/simulated/environment.h"
#include "pipeline/pipeline_file.h"
#include "wiring/definition_changes.h"
#include "wiring/engine.h"

namespace headrace::wiring::lives_fixture {

using env::simulated::SimulatedEnvironment;

inline constexpr const char* kData = "data";
inline constexpr int64_t kMinute = 60'000'000;
inline constexpr const char* kHour =
    "{from: payments, by: card, over: [1h], features: {n: count(*)}}";
inline constexpr const char* kDay =
    "{from: payments, by: card, over: [1h, 1d], features: {n: count(*), spend: sum(amount)}}";

enum class Table : uint8_t { kYes, kNo };

inline std::string Text(const std::string& view, Table table, const std::string& more = "") {
  return "headrace: 1\npipeline: p\npromise: {budget: {p99: 200ms}}\nclock: events\n" + more +
         "streams:\n  payments: {contract: c.yaml, source: {http: push}, time: {event: paid_at, "
         "late: 1h}}\nviews:\n  card: " +
         view + "\n" + (table == Table::kYes ? "tables: {payments: {commit: 1s}}\n" : "");
}

// By the wall clock.
inline std::string OnTheWall() {
  std::string text = Text(kHour, Table::kNo);
  const std::string_view events = "clock: events\n";
  return text.erase(text.find(events), events.size());
}

// With the view's stream made of another, or not.
inline constexpr std::string_view kLarge = "  large: {from: payments, where: amount > 50}\n";
// What it keeps is not made again of rows that are gone.
inline constexpr std::string_view kOnce =
    "  large: {from: payments, dedupe: {by: card, within: 3s}}\n";
inline constexpr std::string_view kPayments = "";
inline std::string OverStream(const std::string& view, std::string_view stream,
                              const std::string& more = "") {
  std::string text = Text(view, Table::kNo, more);
  if (stream.empty()) return text;
  text.insert(text.find("views:\n"), stream);
  return text.replace(text.find("from: payments, by"), 18, "from: large, by");
}

inline constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: integer, required: true}
      - {name: amount, logicalType: number, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

inline pipeline::PipelineRef Define(const std::string& text) {
  auto checked = pipeline::CheckPipeline("pipeline.yaml", text, [](const std::string&) {
    return base::Result<std::string>(std::string(kContract));
  });
  HR_CHECK(checked.definition != nullptr, "the test's pipeline is broken");
  return checked.definition;
}

// A core through its lives.
class Lives {
 public:
  explicit Lives(const std::string& pipeline, uint64_t segment_bytes = 64U << 10)
      : definition_(Define(pipeline)), segment_bytes_(segment_bytes) {
    Start();
  }
  ~Lives() {
    machine_->Crash();
    core_.reset();
  }

  void Start() {
    machine_->Run([&] {
      CoreOptions options{
          .definition = definition_, .data_folder = data_, .log = {}, .answers_file = {}};
      options.log.segment_bytes = segment_bytes_;
      options.budget = budget_;
      auto core = Core::Start(*machine_, options);
      started_ = core ? base::Result<void>() : base::Fail(core.error());
      if (core) core_ = std::move(*core);
    });
  }
  void Die(const env::simulated::Faults& faults = {}) {
    machine_->Crash();
    core_.reset();
    machine_ = machine_->Reboot(random_(), faults);
    Start();
  }

  // Until they are visible; false: they were refused.
  bool Send(int rows, const std::string& stream = "payments") {
    columns::BatchBuilder builder(definition_->streams[0].schema());
    for (int i = 0; i < rows; ++i) {
      builder.column(0).AppendInt(static_cast<int64_t>(random_() % 5));
      builder.column(1).AppendDouble(static_cast<double>(random_() % 999) / 7);
      builder.column(2).AppendInt(now_ += kMinute / 60);
    }
    std::optional<base::Result<log::Acknowledgement>> answer;
    machine_->Run([&] {
      columns::EventBatch batch = definition_->streams[0].contract->Enforce(builder.Finish());
      batch.stream = *core_->StreamNamed(stream);
      core_->Submit(std::move(batch), [&](auto ack) { answer = std::move(ack); });
    });
    const auto refused = [&] { return answer && !*answer; };
    machine_->RunUntil([&] {
      return machine_->crashed() || refused() || (answer && core_->visible() >= (*answer)->epoch);
    });
    return !refused();
  }

  // Asks for everything; "" when a read failed.
  std::string Answers() {
    std::string all;
    machine_->Run([&] {
      for (int64_t card = 0; card < 6; ++card) {
        const auto answer =
            core_->answers().Answer({.service = {},
                                     .features = {"card.*"},
                                     .inputs = {{"card", {columns::Value::Int64(card)}}},
                                     .as_of = {},
                                     .min_epoch = {}});
        if (!answer) {
          ADD_FAILURE() << "a read failed: " << answer.error().ToString();
          continue;
        }
        for (const columns::Value& value : answer->values) all += value.ToJson() + " ";
        all += "| ";
      }
    });
    return all;
  }

  void Snapshot() {
    std::optional<base::Result<void>> taken;
    machine_->Run([&] { core_->TakeSnapshot([&](auto result) { taken = std::move(result); }); });
    machine_->RunUntil([&] { return taken.has_value(); });
    ASSERT_TRUE(taken->has_value()) << taken->error().ToString();
  }
  // So that the log lets go of all but its last segment.
  void LetGo() {
    Snapshot();
    Send(10);
    Snapshot();
    Send(10);
    machine_->RunFor(std::chrono::seconds(20));
    EXPECT_GT(core_->log_status().first.value, 10U);
  }

  // To its end; "" or why it failed.
  std::string Rollback() {
    std::optional<base::Result<std::string>> begun;
    machine_->Run([&] { core_->changes().Rollback([&](auto plan) { begun = std::move(plan); }); });
    machine_->RunUntil([&] { return begun.has_value() || machine_->crashed(); });
    return begun ? Await(*begun) : "died";
  }

  // What a start went on with comes to its end; its state.
  std::string GoneOn();

  nlohmann::json State() const;  // of the change
  // Begins; what it said.
  base::Result<std::string> Begin(ChangeRequest request) {
    std::optional<base::Result<std::string>> begun;
    machine_->Run([&] {
      core_->changes().Apply(std::move(request), [&](auto plan) { begun = std::move(plan); });
    });
    machine_->RunUntil([&] { return begun.has_value() || machine_->crashed(); });
    return begun ? *begun : base::Fail(base::ErrorCode::kUnavailable, "it died");
  }
  // To its end; "" or why it failed. `between` runs while it builds.
  std::string Apply(ChangeRequest request, const std::function<void()>& between = {}) {
    return Await(Begin(std::move(request)), between);
  }
  std::string Await(const base::Result<std::string>& begun,
                    const std::function<void()>& between = {});

  std::mt19937_64 random_{1};
  std::unique_ptr<SimulatedEnvironment> machine_ = std::make_unique<SimulatedEnvironment>(1);
  pipeline::PipelineRef definition_;
  const uint64_t segment_bytes_;
  std::string data_ = kData;              // of the next start
  base::MemoryBudget* budget_ = nullptr;  // null: of its own
  base::Result<void> started_;
  std::unique_ptr<Core> core_;
  int64_t now_ = 1'000'000 * kMinute;
};

inline ChangeRequest To(const std::string& text) {
  return {.next = Define(text), .from_now = {}, .since = {}};
}

// The answers of a core that had the file from the beginning, given the same rows.
inline std::string FreshAnswers(const std::string& text, const std::vector<int>& batches) {
  Lives fresh(text);
  for (const int rows : batches) fresh.Send(rows);
  return fresh.Answers();
}

}  // namespace headrace::wiring::lives_fixture

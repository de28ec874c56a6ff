// Changes of definition of a whole core on a simulated machine: history from log and table, reads
// meanwhile, and deaths in between. What a change builds is held against a core that was started
// with the new file, or against the log.

#include "wiring/definition_changes.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "columns/batch_builder.h"
#include "columns/value.h"
#include "env/simulated/environment.h"
#include "pipeline/pipeline_file.h"
#include "wiring/engine.h"

namespace headrace::wiring {
namespace {

using env::simulated::SimulatedEnvironment;

constexpr const char* kData = "data";
constexpr int64_t kMinute = 60'000'000;
constexpr const char* kHour = "{from: payments, by: card, over: [1h], features: {n: count(*)}}";
constexpr const char* kDay =
    "{from: payments, by: card, over: [1h, 1d], features: {n: count(*), spend: sum(amount)}}";

enum class Table : uint8_t { kYes, kNo };

std::string Text(const std::string& view, Table table, const std::string& more = "") {
  return "headrace: 1\npipeline: p\npromise: {budget: {p99: 200ms}}\nclock: events\n" + more +
         "streams:\n  payments: {contract: c.yaml, source: {http: push}, time: {event: paid_at, "
         "late: 1h}}\nviews:\n  card: " +
         view + "\n" + (table == Table::kYes ? "tables: {payments: {commit: 1s}}\n" : "");
}

// With the view's stream made of another, or not.
constexpr std::string_view kLarge = "  large: {from: payments, where: amount > 50}\n";
constexpr std::string_view kPayments = "";
std::string Derived(const std::string& view, std::string_view stream,
                    const std::string& more = "") {
  std::string text = Text(view, Table::kNo, more);
  if (stream.empty()) return text;
  text.insert(text.find("views:\n"), stream);
  return text.replace(text.find("from: payments, by"), 18, "from: large, by");
}

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
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

pipeline::PipelineRef Define(const std::string& text) {
  auto checked = pipeline::CheckPipeline("pipeline.yaml", text, [](const std::string&) {
    return base::Result<std::string>(std::string(kContract));
  });
  HR_CHECK(checked.definition != nullptr, "the test's pipeline is broken");
  return checked.definition;
}

// A core through its lives.
class Lives {
 public:
  explicit Lives(const std::string& pipeline) : definition_(Define(pipeline)) { Start(); }
  ~Lives() {
    machine_->Crash();
    core_.reset();
  }

  void Start() {
    machine_->Run([&] {
      CoreOptions options{
          .definition = definition_, .data_folder = kData, .log = {}, .answers_file = {}};
      options.log.segment_bytes = 64U << 10;
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

  void Send(int rows) {
    columns::BatchBuilder builder(definition_->streams[0].schema());
    for (int i = 0; i < rows; ++i) {
      builder.column(0).AppendInt(static_cast<int64_t>(random_() % 5));
      builder.column(1).AppendDouble(static_cast<double>(random_() % 999) / 7);
      builder.column(2).AppendInt(now_ += kMinute / 60);
    }
    std::optional<base::Result<log::Acknowledgement>> answer;
    machine_->Run([&] {
      columns::EventBatch batch = definition_->streams[0].contract->Enforce(builder.Finish());
      batch.stream = *core_->StreamNamed("payments");
      core_->Submit(std::move(batch), [&](auto ack) { answer = std::move(ack); });
    });
    machine_->RunUntil(
        [&] { return machine_->crashed() || (answer && core_->visible() >= (*answer)->epoch); });
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

  nlohmann::json State() const { return nlohmann::json::parse(core_->changes().ToJson()); }
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
    const auto begun = Begin(std::move(request));
    if (machine_->crashed()) return "died";
    if (!begun) return begun.error().message();
    if (!nlohmann::json::parse(*begun)["changes"].get<bool>()) return "";
    while (!machine_->crashed() && State()["change"]["state"] == "building") {
      if (between) between();
      machine_->Step();
    }
    machine_->RunUntil([&] {
      return machine_->crashed() || State()["change"]["state"] == "done" ||
             State()["change"]["state"] == "failed";
    });
    if (machine_->crashed()) return "died";
    const nlohmann::json change = State()["change"];
    return change["state"] == "done" ? "" : change["error"]["message"].get<std::string>();
  }

  std::mt19937_64 random_{1};
  std::unique_ptr<SimulatedEnvironment> machine_ = std::make_unique<SimulatedEnvironment>(1);
  pipeline::PipelineRef definition_;
  base::Result<void> started_;
  std::unique_ptr<Core> core_;
  int64_t now_ = 1'000'000 * kMinute;
};

ChangeRequest To(const std::string& text) {
  return {.next = Define(text), .from_now = {}, .since = {}};
}

// The answers of a core that had the file from the beginning, given the same rows.
std::string FreshAnswers(const std::string& text, const std::vector<int>& batches) {
  Lives fresh(text);
  for (const int rows : batches) fresh.Send(rows);
  return fresh.Answers();
}

TEST(DefinitionChanges, BuiltFromTheLogWhileTheOldOneAnswers) {
  Lives lives(Text(kHour, Table::kYes));
  std::vector<int> batches(20, 500);
  for (const int rows : batches) lives.Send(rows);
  int reads = 0;
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes)),
                        [&] {
                          if (++reads % 20 == 0) {
                            lives.Send(100);
                            batches.push_back(100);
                          }
                          lives.Answers();
                        }),
            "");
  EXPECT_GT(reads, 0);
  EXPECT_EQ(lives.Answers(), FreshAnswers(Text(kDay, Table::kYes), batches));
}

TEST(DefinitionChanges, BuiltFromTheTableWhereTheLogLetRowsGo) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  std::vector<int> batches(20, 500);
  for (const int rows : batches) lives.Send(rows);
  lives.LetGo();
  batches.insert(batches.end(), {10, 10});
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes, keep))), "");
  EXPECT_EQ(lives.State()["change"]["rows_done"], 10'020);
  const std::string fresh = FreshAnswers(Text(kDay, Table::kYes, keep), batches);
  EXPECT_EQ(lives.Answers(), fresh);
  // The snapshots lack the view: a start builds it again.
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), fresh);
}

TEST(DefinitionChanges, RefusedWhereTheHistoryIsGone) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kNo, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string before = lives.Answers();
  const auto refused = lives.Begin(To(Text(kDay, Table::kNo, keep)));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("--from now:card"), std::string::npos);
  EXPECT_EQ(lives.Answers(), before);
  ChangeRequest from_now = To(Text(kDay, Table::kNo, keep));
  from_now.from_now = {"card"};
  EXPECT_EQ(lives.Apply(std::move(from_now)), "");
  lives.Send(10);
  const std::string after = lives.Answers();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), after);
}

// What is derived is not made again of rows that the log has let go: a view of it that begins with
// the cut-over must come back without them.
TEST(DefinitionChanges, ADerivedViewFromNowSurvivesADeathBeforeTheNextSnapshot) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Derived(kHour, kLarge, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  ChangeRequest from_now = To(Derived(kDay, kLarge, keep));
  from_now.from_now = {"card"};
  ASSERT_EQ(lives.Apply(std::move(from_now)), "");
  const std::string empty = lives.Answers();
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), empty);
  lives.Send(100);
  const std::string after = lives.Answers();
  EXPECT_NE(after, empty);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), after);
}

// Nothing of it is in the log: a build that comes to ask all the same, as what was kept up has gone
// since it was planned, must not take that for no rows.
TEST(DefinitionChanges, ADerivedStreamHasNoHistoryToRead) {
  Lives lives(Derived(kHour, kLarge));
  lives.Send(300);
  const size_t large = *lives.definition_->StreamNamed("large");
  lives.machine_->Run([&] {
    const auto history = StreamHistory::Open(*lives.machine_, lives.core_->budget(),
                                             {.definition = *lives.definition_,
                                              .number = large,
                                              .id = {2},
                                              .after = {},
                                              .data_folder = kData});
    ASSERT_FALSE(history.has_value());
    EXPECT_EQ(history.error().code(), base::ErrorCode::kFailedPrecondition);
  });
}

// The snapshot is of a definition that the file took the place of since, and lacks its stream.
TEST(DefinitionChanges, AStartWithADerivedStreamThatTheSnapshotLacksReadsTheLogWhole) {
  const std::string with = Derived(kHour, kLarge);
  Lives lives(with);
  lives.Send(300);
  const std::string before = lives.Answers();
  ASSERT_EQ(lives.Apply(To(Derived(kHour, kPayments))), "");
  lives.Snapshot();
  lives.definition_ = Define(with + "# again\n");
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  lives.Send(1);
  const std::string again = lives.Answers();
  lives.definition_ = Define(with);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(lives.Answers(), again);
  EXPECT_NE(again, before);
}

// Somebody compacted the table: where the rows stand in the log is not known any more.
TEST(DefinitionChanges, RefusedWhereTheTableWasRewritten) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string folder = std::string(kData) + "/tables/payments";
  const auto names = lives.machine_->files().List(folder);
  const auto commits = lives.machine_->files().List(folder + "/_delta_log");
  ASSERT_TRUE(names && commits);
  std::string file;
  size_t versions = 0;
  for (const std::string& name : *names)
    if (name.ends_with(".parquet")) file = name;
  for (const std::string& name : *commits)
    if (name.ends_with(".json")) ++versions;
  const std::string commit = R"({"commitInfo":{"timestamp":0,"operation":"OPTIMIZE"}})"
                             "\n"
                             R"({"remove":{"path":")" +
                             file + R"(","deletionTimestamp":0,"dataChange":false}})" + "\n";
  ASSERT_TRUE(env::PutIfAbsent(lives.machine_->files(),
                               fmt::format("{}/_delta_log/{:020}.json", folder, versions),
                               {reinterpret_cast<const uint8_t*>(commit.data()), commit.size()}));
  const std::string before = lives.Answers();
  EXPECT_NE(lives.Apply(To(Text(kDay, Table::kYes, keep))).find("rewritten"), std::string::npos);
  EXPECT_EQ(lives.Answers(), before);
}

TEST(DefinitionChanges, RefusedWhereTheTableIsGone) {
  const std::string keep = "log: {keep: 1m}\n";
  Lives lives(Text(kHour, Table::kYes, keep));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.LetGo();
  const std::string folder = std::string(kData) + "/tables/payments/_delta_log";
  const auto commits = lives.machine_->files().List(folder);
  ASSERT_TRUE(commits && !commits->empty());
  for (const std::string& name : *commits)
    ASSERT_TRUE(lives.machine_->files().Remove(folder + "/" + name));
  const std::string before = lives.Answers();
  EXPECT_NE(lives.Apply(To(Text(kDay, Table::kYes, keep))), "");
  EXPECT_EQ(lives.Answers(), before);
}

TEST(DefinitionChanges, RefusedWhenTwoVersionsDoNotFit) {
  const std::string memory = "memory: 64MiB\n";
  constexpr int64_t kTaken = 60 << 20;
  Lives lives(Text(kHour, Table::kYes, memory));
  for (int i = 0; i < 20; ++i) lives.Send(500);
  lives.core_->budget().Force(base::MemoryAccount::kTables, kTaken);
  const std::string before = lives.Answers();
  const auto refused = lives.Begin(To(Text(kDay, Table::kYes, memory)));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("do not fit beside each other"), std::string::npos);
  lives.core_->budget().Force(base::MemoryAccount::kTables, -kTaken);
  // Taken while it builds, it is given up.
  bool held = false;
  const std::string why = lives.Apply(To(Text(kDay, Table::kYes, memory)), [&] {
    if (std::exchange(held, true)) return;
    lives.core_->budget().Force(base::MemoryAccount::kTables, kTaken);
  });
  EXPECT_NE(why.find("do not fit beside each other"), std::string::npos) << why;
  lives.core_->budget().Force(base::MemoryAccount::kTables, -kTaken);
  EXPECT_EQ(lives.Answers(), before);
  EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes, memory))), "");
}

TEST(DefinitionChanges, OneAtATime) {
  Lives lives(Text(kHour, Table::kYes));
  for (int i = 0; i < 5; ++i) lives.Send(500);
  ASSERT_TRUE(lives.Begin(To(Text(kDay, Table::kYes))).has_value());
  const auto second = lives.Begin(To(Text(kHour, Table::kYes)));
  if (lives.State()["change"]["state"] != "done") {
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), base::ErrorCode::kConflict);
  }
}

// A kill wherever a change can be interrupted: it is whole afterwards, or never happened.
TEST(DefinitionChanges, AKillLeavesAllOfAChangeOrNothing) {
  std::vector<int> batches(6, 500);
  const std::string before = FreshAnswers(Text(kHour, Table::kYes), batches);
  const std::string after = FreshAnswers(Text(kDay, Table::kYes), batches);
  int whole = 0;
  int nothing = 0;
  for (const char* point :
       {"change.before_build", "change.after_piece", "change.before_aside", "change.before_log",
        "log.after_write", "log.after_sync", "change.after_log", "applier.before_apply",
        "change.cut_over", "change.start_build", "change.start_built"}) {
    for (const auto kind :
         {env::simulated::CrashKind::kKill, env::simulated::CrashKind::kPowerCut}) {
      Lives lives(Text(kHour, Table::kYes));
      for (const int rows : batches) lives.Send(rows);
      lives.Snapshot();
      lives.machine_->RunFor(std::chrono::seconds(3));
      lives.machine_->faults().crash_point = point;
      lives.machine_->faults().crash_hit = lives.machine_->crash_point_visits().contains(point)
                                               ? lives.machine_->crash_point_visits().at(point) + 1
                                               : 1;
      lives.machine_->faults().crash_kind = kind;
      const std::string how = lives.Apply(To(Text(kDay, Table::kYes)));
      const bool in_start = std::string_view(point).starts_with("change.start");
      EXPECT_EQ(how, in_start ? "" : "died") << point;
      if (in_start) {
        lives.Die({.crash_point = point, .crash_kind = kind});
        EXPECT_TRUE(lives.machine_->crashed()) << point;
      }
      lives.Die();
      ASSERT_TRUE(lives.started_) << point;
      const std::string now = lives.Answers();
      EXPECT_TRUE(now == before || now == after) << point << ": " << now;
      ++(now == before ? nothing : whole);
      // Whichever it is, it can be done again.
      EXPECT_EQ(lives.Apply(To(Text(kDay, Table::kYes))), "") << point;
      EXPECT_EQ(lives.Answers(), after) << point;
    }
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(nothing, 0);
}

}  // namespace
}  // namespace headrace::wiring

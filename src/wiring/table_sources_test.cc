// A core that takes in a table of somebody else's, on the simulated machine: what the snapshots,
// the status and the dead letters know of it. The source itself: tables/source/table_source_test.cc

#include "wiring/table_sources.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include <nlohmann/json.hpp>

#include "env/simulated/environment.h"
#include "pipeline/pipeline_file.h"
#include "tables/delta/foreign_table.h"
#include "tables/source/logged_rows.h"
#include "wiring/definition_changes.h"
#include "wiring/engine.h"

namespace headrace::wiring {
namespace {

using env::simulated::CrashKind;
using env::simulated::SimulatedEnvironment;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tables::foreign_table::ForeignTable;
using tables::foreign_table::kBegin;
using tables::foreign_table::Row;
using tables::foreign_table::Rows;

// The contract before it got its last field, which the table has.
std::string WithoutNote() {
  const std::string text(tables::foreign_table::kContract);
  return text.substr(0, text.find("      - {name: note"));
}

pipeline::PipelineRef Define(const std::string& streams_and_views, const std::string& contract) {
  auto checked = pipeline::CheckPipeline(
      "pipeline.yaml",
      "headrace: 1\npipeline: p\npromise: {budget: {p99: 200ms}}\nclock: events\nstreams:\n"
      "  shops: {contract: c.yaml, source: {delta: shops, every: 1s}, time: {event: at, late: "
      "1h}}\n" +
          streams_and_views,
      [&](const std::string&) { return base::Result<std::string>(contract); });
  HR_CHECK(checked.definition != nullptr, "the test's pipeline is broken");
  return checked.definition;
}

pipeline::PipelineRef DefineNotes() {
  return Define(
      "  noted: {from: shops, where: note is not null}\n"
      "views:\n  note: {from: noted, by: note, over: [1h], features: {n: count(*)}}\n",
      std::string(tables::foreign_table::kContract));
}

pipeline::PipelineRef DefineShops(const std::string& contract) {
  return Define("views:\n  shop: {from: shops, by: id, over: [1h], features: {n: count(*)}}\n",
                contract);
}

class World {
 public:
  explicit World(uint64_t seed, pipeline::PipelineRef definition = DefineNotes())
      : random_(seed),
        machine_(std::make_unique<SimulatedEnvironment>(seed)),
        definition_(std::move(definition)) {
    table_.Create(*machine_, "t-1");
  }
  ~World() {
    machine_->Crash();
    core_.reset();
  }
  void Start() {
    machine_->Run([&] {
      CoreOptions options{.definition = definition_,
                          .data_folder = "data",
                          .pipeline_folder = "lake",
                          .log = {},
                          .answers_file = {}};
      options.log.segment_bytes = 64U << 10;
      auto core = Core::Start(*machine_, options);
      ASSERT_TRUE(core) << core.error().ToString();
      core_ = std::move(*core);
    });
  }
  void Die(CrashKind kind) {
    machine_->Crash(kind);
    core_.reset();
    machine_ = machine_->Reboot(random_(), {});
    Start();
  }
  void Append(int64_t rows) {
    table_.Append(*machine_, Rows(next_, rows));
    next_ += rows;
  }
  void Apply(const pipeline::PipelineRef& next) {
    machine_->Run([&] {
      core_->changes().Apply({.next = next, .from_now = {}, .since = {}}, [](const auto& begun) {
        ASSERT_TRUE(begun) << begun.error().ToString();
      });
    });
    machine_->RunFor(seconds(2));
    ASSERT_EQ(core_->changes().figures().state, watch::ChangeFigures::State::kDone);
  }
  void Snapshot() {
    machine_->Run([&] { core_->TakeSnapshot([](const auto& /*taken*/) {}); });
  }
  nlohmann::json Source() {
    nlohmann::json source;
    machine_->Run([&] { source = nlohmann::json::parse(core_->StatusJson()).at("sources").at(0); });
    return source;
  }
  void Settle() {
    for (int i = 0; i < 600; ++i) {
      machine_->RunFor(seconds(1));
      const auto source = Source();
      if (source["state"] == "waiting" && source["version"] == table_.newest()) return;
    }
    ADD_FAILURE() << "it does not come to rest: " << Source().dump();
  }

  std::mt19937_64 random_;
  std::unique_ptr<SimulatedEnvironment> machine_;
  const pipeline::PipelineRef definition_;  // of every start
  ForeignTable table_{"lake/shops", DefineNotes()->streams[0].schema()};
  std::unique_ptr<Core> core_;
  int64_t next_ = 0;
};

// The log's own count is of all rows since it began, whatever was let go since.
TEST(TableSources, SnapshotsKnowHowFarTheyCame) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(fmt::format("--gtest_filter=TableSources.Snapshots*, seed {}", seed));
    World world(seed);
    world.Append(20'000);
    world.Append(9'000);
    world.Start();
    for (int life = 0; life < 8; ++life) {
      for (int step = 0; step < 4; ++step) {
        if (world.random_() % 2 == 0) world.Append(1 + static_cast<int64_t>(world.random_() % 400));
        world.machine_->RunFor(milliseconds(world.random_() % (life < 3 ? 30 : 2500)));
        if (world.random_() % 3 == 0) world.Snapshot();
      }
      world.Die(world.random_() % 2 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
    }
    world.Settle();
    const log::LogStatus log = world.core_->log_status();
    EXPECT_EQ(log.rows_accepted, static_cast<uint64_t>(world.next_));
    EXPECT_EQ(log.rows_refused, 0U);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(TableSources, TheStatusAndTheDeadLettersTellOfIt) {
  World world(1);
  world.Append(10);
  world.Start();
  world.Settle();
  std::vector<Row> rows = Rows(7'200 * 100, 2);
  rows.push_back({-5, rows[1].at, "negative"});
  rows.push_back({1, kBegin, "two hours late"});
  world.table_.Append(*world.machine_, rows);
  world.Settle();
  const auto source = world.Source();
  EXPECT_EQ(source["stream"], "shops");
  EXPECT_EQ(source["folder"], "lake/shops");
  EXPECT_EQ(source["table"], "t-1");
  EXPECT_EQ(source["newest"], 2);
  EXPECT_EQ(source["accepted"], 12);
  EXPECT_EQ(source["refused"], 2);
  std::string text;
  world.machine_->Run(
      [&] { text = world.core_->DeadLetters({.stream = "shops", .after = {}})->json; });
  const auto letters = nlohmann::json::parse(text);
  ASSERT_EQ(letters.size(), 2U) << text;
  for (const auto& letter : letters)
    EXPECT_NE(letter["reason"].get<std::string>().find(
                  " (version 2 of table shops, file part-1.parquet)"),
              std::string::npos)
        << text;
}

// The field that it adds is read of the table, and the rule that it brings holds, of the next
// version on, and after a start with the file of before.
TEST(TableSources, GoOnByTheContractThatIsInForce) {
  World world(1, DefineShops(WithoutNote()));
  world.Append(10);
  world.Start();
  world.Settle();
  std::string contract(tables::foreign_table::kContract);
  constexpr std::string_view kRule = "minimum: 0";
  contract.replace(contract.find(kRule), kRule.size(), "minimum: 15");
  world.Apply(DefineShops(contract));
  world.Append(10);
  world.Settle();
  world.Die(CrashKind::kPowerCut);
  world.table_.Append(*world.machine_, {{3, kBegin + 1, "too small"}, {40, kBegin + 2, "last"}});
  world.Settle();
  std::vector<Row> wanted = Rows(0, 10);
  for (Row& row : wanted) row.note.clear();
  std::ranges::copy(Rows(15, 5), std::back_inserter(wanted));
  wanted.push_back({40, kBegin + 2, "last"});
  EXPECT_EQ(tables::foreign_table::RowsInLog(*world.machine_).rows, wanted);
  EXPECT_EQ(world.core_->log_status().rows_refused, 6U);
}

}  // namespace
}  // namespace headrace::wiring

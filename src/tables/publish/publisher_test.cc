// The publisher on the simulated machine: a real log, a table on its faulty disk, and a crash at
// each of its named points. The oracle is the log itself: the table must hold its rows, in its
// order, up to the marker.

#include "tables/publish/publisher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string_view>

#include "columns/batch_builder.h"
#include "env/crash_points.h"
#include "env/simulated/environment.h"
#include "log/sequencer.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/schema_json.h"
#include "tables/delta/support.h"
#include "tables/delta/version_list.h"
#include "tables/publish/plan.h"
#include "tables/publish/publisher_fixture.h"
#include "tables/table_reader.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;
using std::chrono::milliseconds;
using State = PublisherStatus::State;

TEST(Publisher, PublishesEveryRowInOrder) {
  SimulatedEnvironment machine(1);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 50);
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
  EXPECT_EQ(life->RowsOfTable()->size(), static_cast<size_t>(next));
  const PublisherStatus status = life->publisher->status();
  EXPECT_EQ(status.state, State::kRunning);
  EXPECT_EQ(status.pending_rows, 0U);
  EXPECT_EQ(status.lag.count(), 0);
  EXPECT_GT(status.commits, 3U) << "not all at the flush";
}

TEST(Publisher, MeasuresHowLongEachRowTookToBeInTheTable) {
  SimulatedEnvironment machine(7);
  PublisherOptions options = Quick();
  options.commit = std::chrono::hours(1);
  auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kEventTime, options);
  life->Submit(0, 30);
  machine.RunFor(std::chrono::seconds(2));
  life->Submit(30, 10);
  machine.RunFor(std::chrono::seconds(1));
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed);
  const base::Histogram& visible = life->publisher->visible_us();
  EXPECT_EQ(visible.count(), 40U);
  EXPECT_NEAR(static_cast<double>(visible.Quantile(0.5)), 3e6, 2e5);
  EXPECT_NEAR(static_cast<double>(visible.Quantile(0.1)), 1e6, 2e5);
  EXPECT_GT(life->publisher->status().log_bytes, 500U);

  // The table itself tells it.
  const auto versions = delta::ListVersions(machine.files(), kTable, 10);
  ASSERT_TRUE(versions) << versions.error().ToString();
  const delta::CommitCosts costs = delta::CostsOf(*versions);
  EXPECT_EQ(costs.aged_rows, 40U);
  EXPECT_NEAR(costs.age_mean_ms, 2500, 200);
  EXPECT_NEAR(costs.age_max_ms, 3000, 200);
}

// Points that one undisturbed life does not come by three times: they belong to its beginning, to a
// plan of an earlier life, to failures and to flushes. tests/simulation visits them.
bool IsOnTheWayOfEveryPlan(std::string_view point) {
  constexpr std::array kOthers = {
      std::string_view("publish.before_open"),        std::string_view("publish.after_open"),
      std::string_view("publish.after_leftover"),     std::string_view("publish.before_settle"),
      std::string_view("publish.before_seal"),        std::string_view("publish.before_redo"),
      std::string_view("publish.file_was_there"),     std::string_view("publish.before_retry"),
      std::string_view("publish.before_flush_answer")};
  const bool here = point.starts_with("publish.") || point.starts_with("checkpoint.") ||
                    point.starts_with("checksum.") || point.starts_with("cleanup.");
  return here && std::ranges::find(kOthers, point) == kOthers.end();
}

TEST(Publisher, SurvivesACrashAtEachOfItsPoints) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const std::string_view point : env::kCrashPoints) {
    if (!IsOnTheWayOfEveryPlan(point)) continue;
    for (uint64_t hit = 1; hit <= 3; ++hit) {
      for (const CrashKind kind : {CrashKind::kPowerCut, CrashKind::kKill}) {
        SCOPED_TRACE(std::string(point) + " at visit " + std::to_string(hit));
        Faults faults;
        faults.crash_point = point;
        faults.crash_hit = hit;
        faults.crash_kind = kind;
        auto machine = std::make_unique<SimulatedEnvironment>(random(), faults);
        int64_t next = 0;
        int64_t acknowledged = 0;
        {
          auto life = OpenLife(*machine);
          Work(*machine, *life, next, 160);
          ASSERT_TRUE(machine->crashed()) << "the point was not reached";
          acknowledged = life->acknowledged;
        }
        machine = machine->Reboot(random());
        auto life = OpenLife(*machine);
        Work(*machine, *life, next, 10);
        const auto flushed = life->Flush();
        ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
        life->ExpectTableIsLog();
        EXPECT_GE(static_cast<int64_t>(life->RowsOfTable()->size()), acknowledged);
      }
    }
  }
}

// The table gets its new columns with the commit that has the first rows of them.
TEST(Publisher, TheTableFollowsANewSchema) {
  SimulatedEnvironment machine(21);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 30);
  ASSERT_TRUE(life->Flush());
  const auto columns = [&] {
    const auto table = delta::DeltaTable::Open(machine, kTable, delta::Keep::kFiles);
    std::string names;
    for (const columns::Field& field : (*table)->snapshot().schema->fields())
      names += field.name + (field.nullable == columns::Nullable::kYes ? "? " : " ");
    return names;
  };
  EXPECT_EQ(columns(), "at n s? _epoch _row _known_at ");
  life->Evolve();
  machine.RunFor(milliseconds(300));
  EXPECT_EQ(columns(), "at n s? _epoch _row _known_at ") << "nothing needs them yet";
  Work(machine, *life, next, 30);
  ASSERT_TRUE(life->Flush());
  EXPECT_EQ(columns(), "place? at s? n? _epoch _row _known_at ");
  life->ExpectTableIsLog();
  const auto rows = life->RowsOfTable();
  EXPECT_EQ(rows->front().place, "");
  EXPECT_NE(rows->back().place, "");
  // A later life, whose capture of the schemas is the log.
  EXPECT_EQ(life->publisher->status().state, State::kRunning);
}

// A schema changes at any time, and the process dies at any time: before, around and after it.
TEST(Publisher, SurvivesCrashesAroundANewSchema) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::array kPoints = {
      std::string_view("publish.after_plan"),    std::string_view("publish.after_file"),
      std::string_view("publish.before_commit"), std::string_view("delta.before_evolving"),
      std::string_view("delta.after_evolving"),  std::string_view("delta.after_put"),
      std::string_view("publish.after_commit"),  std::string_view("checkpoint.after_put"),
      std::string_view("log.after_write")};
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    Faults faults;
    faults.crash_point = kPoints[static_cast<size_t>(round) % kPoints.size()];
    faults.crash_hit =
        faults.crash_point.find("evolving") == std::string_view::npos ? 1 + random() % 12 : 1;
    faults.crash_kind = random() % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill;
    auto machine = std::make_unique<SimulatedEnvironment>(random(), faults);
    int64_t next = 0;
    bool evolved = false;
    {
      auto life = OpenLife(*machine);
      Work(*machine, *life, next, static_cast<int>(random() % 40));
      if (!machine->crashed()) {
        life->Evolve();
        evolved = true;
        Work(*machine, *life, next, 60);
      }
      if (!machine->crashed()) machine->Crash(CrashKind::kKill);
    }
    for (int lives = 0; lives < 2; ++lives) {
      machine = machine->Reboot(random());
      // A start changes it as well, should the log not have it.
      auto life = OpenLife(*machine, pipeline::KnownAtRule::Kind::kEventTime, Quick(),
                           evolved ? EvolvedSchema() : EventSchema());
      Work(*machine, *life, next, 20);
      const auto flushed = life->Flush();
      ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
      life->ExpectTableIsLog();
      evolved = true;
      machine->Crash(CrashKind::kKill);
    }
  }
}

// What Spark's ALTER COLUMN ... TYPE does.
void WidenItems(SimulatedEnvironment& machine) {
  auto other = delta::DeltaTable::Open(machine, kTable, delta::Keep::kNoFiles);
  ASSERT_TRUE(other) << other.error().ToString();
  const delta::Snapshot& before = (*other)->snapshot();
  const auto wide = TableSchema(*WithItems(columns::Type::kInt64));
  const auto text = delta::RenderEvolved(before.metadata->schema_string, **wide);
  ASSERT_TRUE(wide && text);
  delta::Commit commit{.protocol = delta::WithTypeWidening(*before.protocol),
                       .metadata = before.metadata};
  commit.metadata->schema_string = *text;
  commit.metadata->configuration["delta.enableTypeWidening"] = "true";
  commit.operation = "CHANGE COLUMN";
  const std::string rendered = delta::RenderCommit(commit);
  ASSERT_TRUE(env::PutIfAbsent(
      machine.files(),
      std::string(kTable) + "/_delta_log/" + delta::VersionedName(before.version + 1, ".json"),
      {reinterpret_cast<const uint8_t*>(rendered.data()), rendered.size()}));
}

// A plan's files are there, and then another writer gives the table a wider column. The first start
// with the wider contract does not know yet that the table may have it; its log tells the next one.
TEST(Publisher, APlanIsCarriedOutAgainInATableThatWasWidened) {
  Faults faults;
  faults.crash_point = "publish.after_file";
  faults.crash_kind = CrashKind::kKill;
  auto machine = std::make_unique<SimulatedEnvironment>(16, faults);
  const auto kind = pipeline::KnownAtRule::Kind::kEventTime;
  int64_t next = 0;
  {
    auto life = OpenLife(*machine, kind, Quick(), WithItems(columns::Type::kInt32));
    Work(*machine, *life, next, 40);
    ASSERT_TRUE(machine->crashed());
  }
  machine = machine->Reboot(17);
  machine->Run([&] { WidenItems(*machine); });
  {
    auto life = OpenLife(*machine, kind, Quick(), WithItems(columns::Type::kInt64));
    Work(*machine, *life, next, 10);
    machine->Crash(CrashKind::kKill);
  }
  machine = machine->Reboot(18);
  auto life = OpenLife(*machine, kind, Quick(), WithItems(columns::Type::kInt64));
  Work(*machine, *life, next, 10);
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
}

TEST(Publisher, SurvivesAnyCrashes) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    auto machine = std::make_unique<SimulatedEnvironment>(random());
    int64_t next = 0;
    for (int lives = 0; lives < 5; ++lives) {
      {
        auto life = OpenLife(*machine);
        Work(*machine, *life, next, static_cast<int>(random() % 20));
        for (uint64_t step = random() % 50; step > 0; --step) machine->Step();
        machine->Crash(random() % 2 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
      }
      machine = machine->Reboot(random());
    }
    auto life = OpenLife(*machine);
    const auto flushed = life->Flush();
    ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
    life->ExpectTableIsLog();
  }
}

TEST(Publisher, LiveRowsAreKnownFromWhenTheyWereVisible) {
  SimulatedEnvironment machine(3);
  auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kVisible);
  int64_t next = 0;
  Work(machine, *life, next, 20);
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
  const auto rows = life->RowsOfTable();
  ASSERT_EQ(rows->size(), static_cast<size_t>(next));
  const int64_t now = machine.clock().Wall().us;
  for (size_t i = 0; i < rows->size(); ++i) {
    EXPECT_LE((*rows)[i].known_at, now);
    EXPECT_LE((*rows)[i == 0 ? 0 : i - 1].known_at, (*rows)[i].known_at);
  }
}

TEST(Publisher, GoesOnAfterAForeignCommit) {
  SimulatedEnvironment machine(4);
  auto life = OpenLife(machine);
  int64_t next = 0;
  for (int i = 0; i < 5; ++i) {
    Work(machine, *life, next, 10);
    machine.Run([&] {
      auto other = delta::DeltaTable::Open(machine, kTable, delta::Keep::kNoFiles);
      ASSERT_TRUE(other) << other.error().ToString();
      char name[64];
      const int64_t version = (*other)->snapshot().version + 1;
      std::snprintf(name, sizeof(name), "%s/_delta_log/%020lld.json", kTable,
                    static_cast<long long>(version));
      const std::string text = R"({"commitInfo":{"operation":"SOMETHING"}})";
      ASSERT_TRUE(env::PutIfAbsent(machine.files(), name,
                                   {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    });
  }
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
}

// The publisher stopped for `reason`, and the log goes on.
void ExpectStopped(SimulatedEnvironment& machine, Life& life, const std::string& reason) {
  const auto flushed = life.Flush();
  ASSERT_TRUE(flushed);
  EXPECT_FALSE(*flushed);
  EXPECT_EQ(life.publisher->status().state, State::kStopped);
  EXPECT_NE(life.publisher->status().reason.find(reason), std::string::npos)
      << life.publisher->status().reason;
  const int64_t before = life.acknowledged;
  life.Submit(1'000'000, 5);
  machine.RunFor(milliseconds(50));
  EXPECT_EQ(life.acknowledged, before + 5);
}

void PutMarker(SimulatedEnvironment& machine, const Marker& marker) {
  machine.Run([&] {
    const auto schema = TableSchema(*EventSchema());
    auto table = delta::DeltaTable::OpenForAppend(machine, kTable, "events", *schema);
    ASSERT_TRUE(table) << table.error().ToString();
    ASSERT_TRUE((*table)->Append({}, marker));
  });
}

TEST(Publisher, StopsAtATableOfAnotherLog) {
  SimulatedEnvironment machine(5);
  PutMarker(machine, {"headrace/00112233445566778899aabbccddeeff/events", 12});
  auto life = OpenLife(machine);
  ExpectStopped(machine, *life, "another log");
}

TEST(Publisher, StopsAtATableAheadOfTheLog) {
  auto machine = std::make_unique<SimulatedEnvironment>(6);
  int64_t next = 0;
  std::string application;
  {
    auto life = OpenLife(*machine);
    Work(*machine, *life, next, 20);
    ASSERT_TRUE(life->Flush());
    application = ApplicationId(life->sequencer->status().log, "events");
    machine->Crash();
  }
  machine = machine->Reboot(7);
  PutMarker(*machine, {application, 1'000'000});
  auto life = OpenLife(*machine);
  ExpectStopped(*machine, *life, "the log was restored");
}

// Whose rows are all in the table.
std::unique_ptr<SimulatedEnvironment> AfterALife() {
  SimulatedEnvironment machine(8);
  int64_t next = 0;
  auto life = OpenLife(machine);
  Work(machine, *life, next, 50);
  EXPECT_TRUE(life->Flush());
  machine.Crash();
  life.reset();
  return machine.Reboot(9);
}

TEST(Publisher, StopsAtATableThatWasRestored) {
  const auto machine = AfterALife();
  const std::string log = std::string(kTable) + "/_delta_log";
  auto names = machine->files().List(log);
  ASSERT_TRUE(names);
  std::erase_if(*names, [](const std::string& name) { return !name.ends_with(".json"); });
  ASSERT_GT(names->size(), 4U);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(machine->files().Remove(log + "/" + names->back()));
    names->pop_back();
  }
  auto life = OpenLife(*machine);
  ExpectStopped(*machine, *life, "the table was restored");
}

TEST(Publisher, MakesNoTableInThePlaceOfOneThatIsGone) {
  const auto machine = AfterALife();
  const std::string log = std::string(kTable) + "/_delta_log";
  const auto names = machine->files().List(log);
  ASSERT_TRUE(names);
  for (const std::string& name : *names) ASSERT_TRUE(machine->files().Remove(log + "/" + name));
  auto life = OpenLife(*machine);
  ExpectStopped(*machine, *life, "there is no table");
  EXPECT_TRUE(machine->files().List(log)->empty());
}

TEST(Publisher, NeverOverwritesAFileWithOtherBytes) {
  Faults faults;
  faults.crash_point = "publish.after_plan";
  faults.crash_kind = CrashKind::kKill;
  auto machine = std::make_unique<SimulatedEnvironment>(10, faults);
  int64_t next = 0;
  {
    auto life = OpenLife(*machine);
    Work(*machine, *life, next, 20);
    ASSERT_TRUE(machine->crashed());
  }
  machine = machine->Reboot(11);
  std::string name;
  {  // what the plan in the log wants to write
    auto reader = log::LogReader::Open(*machine, "data/log");
    ASSERT_TRUE(reader);
    ASSERT_TRUE((*reader)->Scan(EpochId{1}, *(*reader)->Newest(),
                                [&](const log::EpochRef& epoch) -> base::Result<void> {
                                  for (const auto& entry : epoch->controls)
                                    if (const auto plan = DecodePlan(entry); plan && *plan)
                                      name = FileName((*reader)->log(), **plan, 0);
                                  return {};
                                }));
  }
  ASSERT_FALSE(name.empty());
  const std::vector<uint8_t> other = {1, 2, 3};
  const std::string path = std::string(kTable) + "/" + name;
  ASSERT_TRUE(env::PutIfAbsent(machine->files(), path, other));
  auto life = OpenLife(*machine);
  ExpectStopped(*machine, *life, "other bytes");
  EXPECT_EQ(*machine->files().ReadAll(path), other);
}

TEST(Publisher, SurvivesAFailedSync) {
  auto machine = std::make_unique<SimulatedEnvironment>(12);
  auto life = OpenLife(*machine);
  int64_t next = 0;
  Work(*machine, *life, next, 10);
  machine->faults().fail_sync_number = machine->syncs() + 40;  // some sync, of log or table
  Work(*machine, *life, next, 30);
  machine->Crash();
  life.reset();
  machine = machine->Reboot(13);
  life = OpenLife(*machine);
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
}

TEST(Publisher, WaitsOutAFullDisk) {
  SimulatedEnvironment machine(15);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 10);
  const uint64_t capacity = machine.faults().capacity_bytes;
  machine.faults().capacity_bytes = 0;  // the log has its segment already
  Work(machine, *life, next, 20);
  EXPECT_EQ(life->publisher->status().state, State::kRetrying);
  EXPECT_GT(life->publisher->status().pending_rows, 0U);
  EXPECT_GT(life->publisher->status().lag.count(), 0);
  const auto failed = life->Flush();
  ASSERT_TRUE(failed);
  EXPECT_FALSE(*failed);
  machine.faults().capacity_bytes = capacity;
  machine.RunFor(std::chrono::minutes(2));  // by itself, at the next retry
  EXPECT_EQ(life->publisher->status().state, State::kRunning);
  EXPECT_EQ(life->publisher->status().pending_rows, 0U);
  life->ExpectTableIsLog();
}

TEST(Publisher, CutsLongPlansIntoFilesAndVersions) {
  SimulatedEnvironment machine(14);
  PublisherOptions options = Quick();
  options.commit = std::chrono::seconds(3600);
  options.plan_rows_max = 20'000;
  options.files.file_rows_max = 3000;
  auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kEventTime, options);
  for (int64_t next = 0; next < 100'000; next += 500) {
    life->Submit(next, 500);
    machine.RunFor(milliseconds(5));
  }
  const auto flushed = life->Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
  life->ExpectTableIsLog();
  EXPECT_GE(life->publisher->status().commits, 4U);
  EXPECT_GE(life->publisher->status().files, 30U);
  EXPECT_EQ(life->publisher->status().rows, 100'000U);
}

}  // namespace
}  // namespace headrace::tables

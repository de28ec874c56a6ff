#include "tables/maintenance/vacuum.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "env/simulated/environment.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"

namespace headrace::tables {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// The vacuum waited for its turn, and a plan that was logged meanwhile has made a file: it is none
// of those that were planned when the vacuum was asked for, and is not in the table yet.
TEST(Vacuum, AFileOfAPlanThatIsYoungerThanTheQuestionStays) {
  env::simulated::SimulatedEnvironment machine(1);
  const auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "a", .type = columns::Type::kInt64}});
  ASSERT_TRUE(delta::DeltaTable::OpenForAppend(machine, "t", "t", schema));
  const std::vector<uint8_t> bytes(10);
  ASSERT_TRUE(env::PutIfAbsent(machine.files(), "t/before.parquet", bytes));
  machine.RunFor(minutes(1));
  const base::Timestamp asked_at = machine.clock().Wall();
  machine.RunFor(seconds(10));
  ASSERT_TRUE(env::PutIfAbsent(machine.files(), "t/planned.parquet", bytes));
  machine.RunFor(minutes(1));
  env::BackgroundPass pass(machine, env::WorkClass::kMaintenance, "vacuum", minutes(10));
  const auto report = VacuumTable(
      machine, "t", {.retain = base::Duration(0), .floor = VacuumRequest::Floor::kWaived},
      [](std::string_view) { return false; }, asked_at, pass);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->files, 1U);
  EXPECT_FALSE(*machine.files().Exists("t/before.parquet"));
  EXPECT_TRUE(*machine.files().Exists("t/planned.parquet"));
}

TEST(Vacuum, AFileWithoutATimeStays) {
  env::simulated::SimulatedEnvironment machine(1);
  const auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "a", .type = columns::Type::kInt64}});
  ASSERT_TRUE(delta::DeltaTable::OpenForAppend(machine, "t", "t", schema));
  for (const char* name : {"t/old.parquet", "t/of-1970.parquet"})
    ASSERT_TRUE(env::PutIfAbsent(machine.files(), name, std::vector<uint8_t>(10)));
  ASSERT_TRUE(machine.files().SetModifiedAt("t/of-1970.parquet", {0}));
  machine.RunFor(minutes(1));
  env::BackgroundPass pass(machine, env::WorkClass::kMaintenance, "vacuum", minutes(10));
  const auto report = VacuumTable(
      machine, "t", {.retain = base::Duration(0), .floor = VacuumRequest::Floor::kWaived},
      [](std::string_view) { return false; }, machine.clock().Wall(), pass);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->files, 1U);
  EXPECT_EQ(report->kept_young, 1U);
  EXPECT_TRUE(*machine.files().Exists("t/of-1970.parquet"));
}

// Another writer names it in another way than the folder does.
TEST(Vacuum, ALiveFileStaysWhateverItsName) {
  env::simulated::SimulatedEnvironment machine(1);
  const auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "a", .type = columns::Type::kInt64}});
  ASSERT_TRUE(delta::DeltaTable::OpenForAppend(machine, "t", "t", schema));
  ASSERT_TRUE(env::PutIfAbsent(machine.files(), "t/live.parquet", std::vector<uint8_t>(10)));
  const std::string text =
      delta::RenderCommit({.adds = {delta::AddFile{.path = "./live.parquet", .size = 10}}});
  ASSERT_TRUE(env::PutIfAbsent(machine.files(), "t/_delta_log/" + delta::VersionedName(1, ".json"),
                               {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  machine.RunFor(minutes(1));
  env::BackgroundPass pass(machine, env::WorkClass::kMaintenance, "vacuum", minutes(10));
  const auto report = VacuumTable(
      machine, "t", {.retain = base::Duration(0), .floor = VacuumRequest::Floor::kWaived},
      [](std::string_view) { return false; }, machine.clock().Wall(), pass);
  EXPECT_FALSE(report);
  EXPECT_TRUE(*machine.files().Exists("t/live.parquet"));
}

// A table with a checkpoint after each commit; `old.parquet` was in it for 20 days, and out of it
// for 10 since.
class VacuumOfALongRetention : public testing::Test {
 protected:
  static constexpr hours kDay{24};

  void Live(delta::UpkeepOptions upkeep, const std::string& property = "") {
    upkeep.checkpoint_every = 1;
    const auto schema = std::make_shared<const columns::Schema>(
        std::vector<columns::Field>{{.id = 1, .name = "a", .type = columns::Type::kInt64}});
    auto table = delta::DeltaTable::OpenForAppend(machine_, "t", "t", schema, std::move(upkeep));
    ASSERT_TRUE(table) << table.error().ToString();
    table_ = std::move(*table);
    if (!property.empty()) Set(property);
    Add("old.parquet");
    machine_.RunFor(20 * kDay);
    Commit(fmt::format(
        R"({{"remove":{{"path":"old.parquet","deletionTimestamp":{},"dataChange":true}}}})",
        machine_.clock().Wall().us / 1000));
    for (int day = 1; day <= 10; ++day) {
      machine_.RunFor(kDay);
      Add(fmt::format("day{}.parquet", day));
    }
  }
  void Add(const std::string& name) {
    const std::vector<uint8_t> bytes(10);
    ASSERT_TRUE(env::PutIfAbsent(machine_.files(), "t/" + name, bytes));
    Commit(fmt::format(
        R"({{"add":{{"path":"{}","partitionValues":{{}},"size":10,"modificationTime":1,"dataChange":true}}}})",
        name));
  }
  void Set(const std::string& property) {
    delta::Metadata metadata = *table_->snapshot().metadata;
    metadata.configuration["delta.deletedFileRetentionDuration"] = property;
    Commit(R"({"metaData":)" + delta::RenderMetadata(metadata) + "}");
  }
  void Commit(const std::string& text) {
    const int64_t version = table_->snapshot().version + 1;
    ASSERT_TRUE(env::PutIfAbsent(machine_.files(),
                                 "t/_delta_log/" + delta::VersionedName(version, ".json"),
                                 {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    ASSERT_TRUE(table_->Refresh());
    const auto tended = table_->TakeUpkeep()();
    ASSERT_TRUE(tended) << tended.error().ToString();
  }
  base::Result<VacuumReport> Vacuum(std::optional<base::Duration> retain,
                                    std::optional<base::Timestamp> read_since = {}) {
    env::BackgroundPass pass(machine_, env::WorkClass::kMaintenance, "vacuum", minutes(10));
    return VacuumTable(
        machine_, "t", {.retain = retain, .read_since = [read_since] { return read_since; }},
        [](std::string_view) { return false; }, machine_.clock().Wall(), pass);
  }
  // The files that a vacuum takes.
  std::string Taken(std::optional<base::Duration> retain,
                    std::optional<base::Timestamp> read_since = {}) {
    const auto report = Vacuum(retain, read_since);
    if (!report) return report.error().ToString();
    std::string names;
    for (const auto& file : report->listed) names += file.name + " ";
    return names;
  }
  bool IsThere() { return *machine_.files().Exists("t/old.parquet"); }

  env::simulated::SimulatedEnvironment machine_{1};
  std::unique_ptr<delta::DeltaTable> table_;
};

TEST_F(VacuumOfALongRetention, KeepsWhatCheckpointsForgot) {
  Live({});
  EXPECT_EQ(Taken(15 * kDay), "");
  EXPECT_TRUE(IsThere());
  machine_.RunFor(6 * kDay);
  EXPECT_EQ(Taken(15 * kDay), "old.parquet ");
}

TEST_F(VacuumOfALongRetention, KeepsWhatAReaderMayHave) {
  Live({});
  EXPECT_EQ(Taken(std::nullopt, machine_.clock().Wall() - 11 * kDay), "");
  EXPECT_EQ(Taken(std::nullopt, machine_.clock().Wall() - 9 * kDay), "old.parquet ");
}

// Nothing tells any more when it was removed.
TEST_F(VacuumOfALongRetention, IsRefusedWhereTheLogForgotToo) {
  Live({.log_retention = 5 * kDay});
  const auto refused = Vacuum(15 * kDay);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("delta.deletedFileRetentionDuration"),
            std::string::npos);
  EXPECT_TRUE(IsThere());
  EXPECT_EQ(Taken(9 * kDay), "old.parquet ");
}

// Where nothing that is old enough would go, nothing has to be known of it.
TEST_F(VacuumOfALongRetention, IsRefusedOnlyForFilesThatAreOldEnough) {
  Live({.log_retention = 5 * kDay});
  EXPECT_EQ(Taken(31 * kDay), "");
}

TEST_F(VacuumOfALongRetention, TheTablesOwnIsToldByCheckpoints) {
  Live({.log_retention = 5 * kDay}, "interval 15 days");
  EXPECT_EQ(Taken(std::nullopt), "");
  EXPECT_TRUE(IsThere());
  machine_.RunFor(6 * kDay);
  EXPECT_EQ(Taken(std::nullopt), "old.parquet ");
}

// A longer one from now on does not bring back what was forgotten.
TEST_F(VacuumOfALongRetention, TheTablesOwnWasMadeLonger) {
  Live({.log_retention = 5 * kDay});
  Set("interval 15 days");
  Add("more.parquet");
  EXPECT_FALSE(Vacuum(std::nullopt));
  EXPECT_TRUE(IsThere());
}

}  // namespace
}  // namespace headrace::tables

#include "tables/maintenance/vacuum.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"
#include "tables/delta/delta_table.h"

namespace headrace::tables {
namespace {

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

}  // namespace
}  // namespace headrace::tables

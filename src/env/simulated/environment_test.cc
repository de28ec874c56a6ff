#include "env/simulated/environment.h"

#include <gtest/gtest.h>

#include <set>

namespace headrace::env::simulated {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<uint8_t> Filled(size_t size, uint8_t byte) { return std::vector<uint8_t>(size, byte); }

TEST(SimulatedDisk, ACrashKeepsWhatWasSyncedAndTearsTheRestAtSectors) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedEnvironment machine(seed);
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
    ASSERT_TRUE(file->WriteAt(0, Filled(3 * kSectorBytes, 1)));
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    ASSERT_TRUE(file->WriteAt(kSectorBytes, Filled(2 * kSectorBytes, 2)));
    machine.Crash();
    EXPECT_FALSE(file->WriteAt(0, Filled(1, 9))) << "the dead can't write";
    const auto next = machine.Reboot(seed);
    const auto bytes = *next->files().ReadAll("d/f");
    ASSERT_EQ(bytes.size(), 3 * kSectorBytes);
    std::string outcome;
    for (size_t sector = 0; sector < 3; ++sector) {
      const auto begin = bytes.begin() + static_cast<ptrdiff_t>(sector * kSectorBytes);
      EXPECT_EQ(std::count(begin, begin + kSectorBytes, *begin),
                static_cast<ptrdiff_t>(kSectorBytes));
      outcome += static_cast<char>('0' + *begin);
    }
    outcomes.insert(outcome);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"111", "112", "121", "122"}));
}

TEST(SimulatedDisk, FolderEntriesAreKeptOrLostUntilTheFolderIsSynced) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedEnvironment machine(seed);
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    const auto create = [&](const std::string& path) {
      auto file = *machine.files().OpenForWriting(path, Files::Open::kCreateNew);
      ASSERT_TRUE(file->WriteAt(0, Filled(10, 1)));
      ASSERT_TRUE(file->Sync());
    };
    create("d/old");
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    ASSERT_TRUE(machine.files().Rename("d/old", "d/new"));
    create("d/other");
    machine.Crash();
    const auto next = machine.Reboot(seed);
    const auto names = next->files().List("d");
    ASSERT_TRUE(names);
    std::string outcome;
    for (const std::string& name : *names) outcome += name + " ";
    outcomes.insert(outcome);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"old ", "new ", "old other ", "new other "}));
}

TEST(SimulatedDisk, AfterAFailedSyncALaterSuccessProvesNothing) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 50 && !lost; ++seed) {
    SimulatedEnvironment machine(seed, Faults{.fail_sync_number = 1});
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
    ASSERT_TRUE(file->WriteAt(0, Filled(kSectorBytes, 1)));
    EXPECT_EQ(file->Sync().error().code(), ErrorCode::kIoError);
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    machine.Crash();
    lost = machine.Reboot(seed)->files().ReadAll("d/f")->empty();
  }
  EXPECT_TRUE(lost);
}

TEST(SimulatedDisk, AKilledProcessLosesNothingOnDisk) {
  SimulatedEnvironment machine(1);
  ASSERT_TRUE(machine.files().CreateFolders("d"));
  const auto lock = machine.files().Lock("d/LOCK");
  auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
  ASSERT_TRUE(file->WriteAt(0, Filled(100, 1)));
  machine.Crash(CrashKind::kKill);
  const auto next = machine.Reboot(2);
  EXPECT_EQ(next->files().ReadAll("d/f")->size(), 100U);
  EXPECT_TRUE(next->files().Lock("d/LOCK"));
}

TEST(SimulatedDisk, AFullDiskTakesWhatFits) {
  SimulatedEnvironment machine(1, Faults{.capacity_bytes = 1'000});
  ASSERT_TRUE(machine.files().CreateFolders("d"));
  auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
  EXPECT_EQ(file->Preallocate(2'000, false).error().code(), ErrorCode::kStorageFull);
  EXPECT_EQ(file->WriteAt(0, Filled(1'500, 1)).error().code(), ErrorCode::kStorageFull);
  EXPECT_EQ(machine.files().ReadAll("d/f")->size(), 1'000U);
  EXPECT_TRUE(file->WriteAt(0, Filled(1'000, 2))) << "overwriting needs no space";
  ASSERT_TRUE(machine.files().Remove("d/f"));
  EXPECT_EQ(*machine.files().FreeBytes("d"), 1'000U);
}

TEST(SimulatedDisk, LinkIsPutIfAbsent) {
  SimulatedEnvironment machine(1);
  ASSERT_TRUE(machine.files().CreateFolders("d"));
  ASSERT_TRUE(PutIfAbsent(machine.files(), "d/v", Filled(3, 1)));
  EXPECT_EQ(PutIfAbsent(machine.files(), "d/v", Filled(3, 2)).error().code(),
            ErrorCode::kAlreadyExists);
  machine.Crash();
  EXPECT_EQ(*machine.Reboot(2)->files().ReadAll("d/v"), Filled(3, 1));
}

TEST(SimulatedLoop, ActorsInterleaveButNeverOverlapOrReorder) {
  std::set<std::string> interleavings;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedEnvironment machine(seed);
    const auto a = machine.NewExecutor("a", Priority::kRealTime);
    const auto b = machine.NewExecutor("b", Priority::kRealTime);
    std::string trace;
    for (const char name : {'1', '2'}) {
      a->Post([&, name] { trace += name; });
      b->Post([&, name] { trace += static_cast<char>(name + 2); });
    }
    ASSERT_TRUE(machine.RunUntilIdle());
    EXPECT_LT(trace.find('1'), trace.find('2'));
    EXPECT_LT(trace.find('3'), trace.find('4'));
    interleavings.insert(trace);
  }
  EXPECT_EQ(interleavings.size(), 6U);
}

TEST(SimulatedLoop, TimePassesOnlyHere) {
  SimulatedEnvironment machine(1);
  const auto executor = machine.NewExecutor("a", Priority::kRealTime);
  const auto begin = machine.clock().Now();
  const auto wall = machine.clock().Wall();
  bool ran = false;
  executor->PostAt(begin + seconds(3'600), [&] { ran = true; });
  ASSERT_TRUE(machine.RunFor(seconds(3'599)));
  EXPECT_FALSE(ran);
  ASSERT_TRUE(machine.RunFor(seconds(2)));
  EXPECT_TRUE(ran);
  machine.StepWall(std::chrono::hours(-1));
  EXPECT_LT(machine.clock().Wall() - wall, milliseconds(2'000));
}

TEST(SimulatedLoop, DestroyingAnExecutorWaitsForItsSyncs) {
  SimulatedEnvironment machine(1);
  ASSERT_TRUE(machine.files().CreateFolders("d"));
  auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
  const auto bytes = Filled(100, 1);
  bool synced = false;
  auto executor = machine.NewExecutor("a", Priority::kRealTime);
  Executor& self = *executor;
  executor->Post([&] {
    file->WriteAndSync(0, bytes, self,
                       [&](base::Result<void> result) { synced = result.has_value(); });
  });
  executor.reset();
  EXPECT_TRUE(synced);
}

TEST(SimulatedLoop, ACrashPointKillsTheProcessThere) {
  SimulatedEnvironment machine(1, Faults{.crash_point = "log.after_sync", .crash_hit = 2});
  auto executor = machine.NewExecutor("a", Priority::kRealTime);
  std::string trace;
  for (const char name : {'1', '2', '3'})
    executor->Post([&, name] {
      machine.CrashPoint("log.after_sync");
      trace += name;
    });
  EXPECT_FALSE(machine.RunUntilIdle());
  EXPECT_TRUE(machine.crashed());
  EXPECT_EQ(trace, "1");
  executor.reset();
  EXPECT_EQ(trace, "1");
}

TEST(SimulatedLoop, TheSameSeedMakesTheSameChoices) {
  const auto run = [](uint64_t seed) {
    SimulatedEnvironment machine(seed);
    const auto a = machine.NewExecutor("a", Priority::kRealTime);
    const auto b = machine.NewExecutor("b", Priority::kRealTime);
    for (int i = 0; i < 20; ++i) (i % 2 == 0 ? a : b)->Post([] {});
    machine.RunUntilIdle();
    return machine.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace headrace::env::simulated

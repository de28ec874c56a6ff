#include "env/simulated/environment.h"

#include <gtest/gtest.h>

#include <set>

namespace headrace::env::simulated {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<uint8_t> Filled(size_t size, uint8_t byte) { return std::vector<uint8_t>(size, byte); }

// "d/f", of ones, durable with its name.
std::unique_ptr<WritableFile> MakeThreeSectors(SimulatedEnvironment& machine) {
  EXPECT_TRUE(machine.files().CreateFolders("d"));
  auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
  EXPECT_TRUE(file->WriteAt(0, Filled(3 * kSectorBytes, 1)));
  EXPECT_TRUE(file->Sync());
  EXPECT_TRUE(machine.files().SyncFolder("d"));
  return file;
}

TEST(SimulatedDisk, ACrashKeepsWhatWasSyncedAndTearsTheRestAtSectors) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedEnvironment machine(seed);
    const auto file = MakeThreeSectors(machine);
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

// The second write is of the same sector, and nobody has synced it.
TEST(SimulatedDisk, ASyncMakesDurableWhatWasThereWhenItBegan) {
  std::set<int> kept;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedEnvironment machine(seed);
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    const auto executor = machine.NewExecutor("writer", Priority::kRealTime);
    const std::vector<uint8_t> first = Filled(kSectorBytes, 1);
    bool synced = false;
    machine.Run([&] {
      file->WriteAndSync(0, first, *executor,
                         [&](base::Result<void> done) { synced = done.has_value(); });
    });
    ASSERT_TRUE(file->WriteAt(0, Filled(kSectorBytes, 2)));
    machine.RunUntil([&] { return synced; });
    machine.Crash();
    kept.insert(machine.Reboot(seed)->files().ReadAll("d/f")->front());
  }
  EXPECT_EQ(kept, (std::set<int>{1, 2})) << "what was written later may be lost, or not";
}

TEST(SimulatedDisk, ASyncThatBeganEarlierDoesNotUndoALaterOne) {
  std::set<uint8_t> kept;
  int overtaken = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedEnvironment machine(seed);
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    auto file = *machine.files().OpenForWriting("d/f", Files::Open::kCreateNew);
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    const auto executor = machine.NewExecutor("writer", Priority::kRealTime);
    const std::vector<uint8_t> bytes[] = {Filled(kSectorBytes, 1), Filled(kSectorBytes, 2)};
    std::string order;
    machine.Run([&] {
      for (const auto& each : bytes)
        file->WriteAndSync(0, each, *executor, [&, name = each[0]](base::Result<void> /*done*/) {
          order += static_cast<char>('0' + name);
        });
    });
    machine.RunUntil([&] { return order.size() == 2; });
    if (order == "21") ++overtaken;
    machine.Crash();
    kept.insert(machine.Reboot(seed)->files().ReadAll("d/f")->front());
  }
  EXPECT_GT(overtaken, 0);
  EXPECT_EQ(kept, std::set<uint8_t>{2});
}

TEST(SimulatedDisk, AFileEndsWhereItWasCutOnceThatIsSynced) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (const bool synced : {false, true}) {
      SimulatedEnvironment machine(seed);
      const auto file = MakeThreeSectors(machine);
      ASSERT_TRUE(file->WriteAt(2 * kSectorBytes, Filled(4 * kSectorBytes, 2)));
      ASSERT_TRUE(file->Truncate(700));
      ASSERT_TRUE(file->Truncate(5000)) << "it is shorter";
      if (synced) ASSERT_TRUE(file->Sync());
      machine.Crash();
      const std::vector<uint8_t> bytes = *machine.Reboot(seed)->files().ReadAll("d/f");
      EXPECT_EQ(bytes, Filled(bytes.size(), 1));
      if (synced) {
        EXPECT_EQ(bytes.size(), 700U);
      } else {
        sizes.insert(bytes.size());
      }
    }
  }
  EXPECT_EQ(sizes, (std::set<size_t>{700, 3 * kSectorBytes}));
}

TEST(SimulatedDisk, WhatIsWrittenBehindACutIsZerosAndItself) {
  SimulatedEnvironment machine(1);
  const auto file = MakeThreeSectors(machine);
  ASSERT_TRUE(file->Truncate(kSectorBytes));
  ASSERT_TRUE(file->WriteAt(2 * kSectorBytes, Filled(kSectorBytes, 3)));
  ASSERT_TRUE(file->Sync());
  machine.Crash();
  std::vector<uint8_t> expected = Filled(kSectorBytes, 1);
  expected.resize(2 * kSectorBytes, 0);
  expected.resize(3 * kSectorBytes, 3);
  EXPECT_EQ(*machine.Reboot(1)->files().ReadAll("d/f"), expected);
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

TEST(SimulatedDisk, AFolderIsLostWithAllThatIsInItUntilItsEntryIsSynced) {
  std::set<size_t> outcomes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    // The process dies between making the folder and syncing its entry; the machine goes on.
    SimulatedEnvironment machine(
        seed, Faults{.crash_point = "folder.after_create", .crash_kind = CrashKind::kKill});
    EXPECT_FALSE(machine.Run([&] { (void)machine.files().CreateFolders("d/e"); }));
    const auto next = machine.Reboot(seed);
    const bool synced_again = seed % 2 == 0;
    if (synced_again) {
      ASSERT_TRUE(next->files().CreateFolders("d"));
    }
    auto file = *next->files().OpenForWriting("d/f", Files::Open::kCreateNew);
    ASSERT_TRUE(file->WriteAt(0, Filled(10, 1)));
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(next->files().SyncFolder("d"));
    next->Crash();
    const auto last = next->Reboot(seed);
    const size_t files = last->disk().files().size();
    EXPECT_EQ(files == 1, *last->files().Exists("d"));
    if (synced_again) {
      EXPECT_EQ(files, 1U);
    }
    outcomes.insert(files);
  }
  EXPECT_EQ(outcomes, (std::set<size_t>{0, 1}));
}

// Only an entry that is made anew is durable then.
TEST(SimulatedDisk, AfterAFailedFolderSyncALaterSuccessProvesNothing) {
  std::set<bool> kept;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedEnvironment machine(seed);
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    for (const char* path : {"d/f", "d/g"})
      ASSERT_TRUE(machine.files().OpenForWriting(path, Files::Open::kCreateNew));
    machine.faults()[Operation::kSyncFolder].number =
        machine.operations(Operation::kSyncFolder) + 1;
    EXPECT_FALSE(machine.files().SyncFolder("d"));
    ASSERT_TRUE(machine.files().SyncFolder("d"));
    ASSERT_TRUE(PutAgain(machine.files(), "d/g"));
    machine.Crash();
    const auto next = machine.Reboot(seed);
    kept.insert(*next->files().Exists("d/f"));
    EXPECT_TRUE(*next->files().Exists("d/g"));
  }
  EXPECT_EQ(kept, (std::set<bool>{false, true}));
}

// The next one makes it anew.
TEST(SimulatedDisk, AFolderWhoseSyncFailedIsNotThere) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedEnvironment machine(seed);
    machine.faults()[Operation::kSyncFolder].number = 1;
    EXPECT_FALSE(machine.files().CreateFolders("d"));
    EXPECT_FALSE(machine.disk().HasFolder("d"));
    ASSERT_TRUE(machine.files().CreateFolders("d"));
    machine.Crash();
    EXPECT_TRUE(machine.Reboot(seed)->disk().HasFolder("d"));
  }
}

// What each kind of operation does when it fails, as far as the next life can tell.
TEST(SimulatedDisk, TheNthOperationOfAKindFails) {
  for (const Operation operation : {Operation::kOpen, Operation::kCreateFolder, Operation::kRead,
                                    Operation::kWrite, Operation::kSync, Operation::kSyncFolder,
                                    Operation::kRename, Operation::kLink, Operation::kRemove}) {
    SCOPED_TRACE(NameOf(operation));
    SimulatedEnvironment machine(1);
    Files& files = machine.files();
    ASSERT_TRUE(files.CreateFolders("d"));
    const auto work = [&](const std::string& name) -> base::Result<void> {
      HR_TRY_VOID(files.CreateFolders("d/" + name));
      HR_TRY_VOID(PutIfAbsent(files, "d/" + name + "/f", Filled(10, 1)));
      HR_TRY_VOID(files.Rename("d/" + name + "/f", "d/" + name + "/g"));
      HR_TRY(const auto bytes, files.ReadAll("d/" + name + "/g"));
      return {};
    };
    ASSERT_TRUE(work("first"));
    machine.faults()[operation].number = machine.operations(operation) + 1;
    EXPECT_EQ(work("second").error().code(), ErrorCode::kIoError);
    EXPECT_TRUE(work("third"));
    EXPECT_EQ(machine.injected().at("failed " + std::string(NameOf(operation))), 1U);
  }
}

TEST(SimulatedDisk, TheProcessDiesAtAnyChange) {
  const auto work = [](SimulatedEnvironment& machine) {
    return PutIfAbsent(machine.files(), "v", Filled(3, 1));
  };
  SimulatedEnvironment whole(1);
  ASSERT_TRUE(work(whole));
  ASSERT_EQ(whole.changes(), 6U) << "create, write, sync, link, sync of the folder, remove";
  for (uint64_t change = 1; change <= whole.changes(); ++change) {
    SimulatedEnvironment machine(1,
                                 Faults{.crash_kind = CrashKind::kKill, .crash_operation = change});
    EXPECT_EQ(work(machine).error().code(), ErrorCode::kIoError);
    EXPECT_TRUE(machine.crashed());
    EXPECT_EQ(*machine.Reboot(2)->files().Exists("v"), change > 4) << change;
  }
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

TEST(SimulatedLoop, AwaitLetsTheOthersRun) {
  SimulatedEnvironment machine(1);
  const auto executor = machine.NewExecutor("a", Priority::kRealTime);
  EXPECT_TRUE(machine.Run([&] {
    machine.Await([&](std::function<void()> done) {
      executor->PostAt(machine.clock().Now() + seconds(5), std::move(done));
    });
  }));
  EXPECT_GE(machine.clock().Now(), seconds(5));
  EXPECT_FALSE(machine.Run([&] {
    machine.Await([&](const std::function<void()>&) {
      executor->Post([&] { machine.Crash(CrashKind::kKill); });
    });
  })) << "who waits dies with the process";
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

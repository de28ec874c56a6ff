#include "log/snapshot_file.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"
#include "columns/batch_codec.h"
#include "env/simulated/environment.h"

namespace headrace::log {
namespace {

using env::simulated::SimulatedEnvironment;

constexpr const char* kFolder = "data/snapshots";
const base::LogId kLog{{1, 2, 3}};

std::vector<uint8_t> RandomBytes(std::mt19937_64& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

using Blocks = std::vector<std::pair<SnapshotSection, std::vector<uint8_t>>>;

Blocks WriteSample(SimulatedEnvironment& machine, uint64_t seed, base::EpochId through = {9},
                   int count = 20) {
  std::mt19937_64 random(seed);
  Blocks blocks;
  EXPECT_TRUE(machine.Run([&] {
    auto writer = SnapshotWriter::Create(machine, kFolder, kLog);
    ASSERT_TRUE(writer.has_value()) << writer.error().ToString();
    for (int i = 0; i < count; ++i) {
      blocks.emplace_back(SnapshotSection::kViews, RandomBytes(random, random() % 500));
      ASSERT_TRUE(writer->Append(blocks.back().first, blocks.back().second).has_value());
    }
    ASSERT_TRUE(writer->Commit({7}, through).has_value());
  }));
  return blocks;
}

base::Result<Blocks> ReadBlocks(env::Files& files, const std::string& path) {
  HR_TRY(SnapshotReader reader, SnapshotReader::Open(files, path, kLog));
  Blocks blocks;
  while (true) {
    HR_TRY(const auto block, reader.Next());
    if (!block) return blocks;
    blocks.emplace_back(block->section,
                        std::vector<uint8_t>(block->payload.begin(), block->payload.end()));
  }
}

TEST(SnapshotFile, GivesBackWhatWasWritten) {
  SimulatedEnvironment machine(1);
  const Blocks written = WriteSample(machine, 1);
  const auto names = ListSnapshots(machine.files(), kFolder);
  ASSERT_EQ(names->size(), 1U);
  EXPECT_EQ(names->front().through.value, 9U);
  const auto read = ReadBlocks(machine.files(), names->front().path);
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_EQ(*read, written);
  const auto reader = SnapshotReader::Open(machine.files(), names->front().path, kLog);
  EXPECT_EQ(reader->end().after.value, 7U);
  EXPECT_EQ(reader->end().blocks, 21U);
}

TEST(SnapshotFile, IsWrittenOverOneThatIsNotNeeded) {
  SimulatedEnvironment machine(5);
  WriteSample(machine, 5, {9}, 40);
  const env::simulated::DiskFileRef file = machine.disk().Find(SnapshotPath(kFolder, {9}));
  const uint64_t bytes = file->size();
  ASSERT_TRUE(RetireSnapshot(machine.files(), kFolder, SnapshotPath(kFolder, {9})));
  EXPECT_TRUE(ListSnapshots(machine.files(), kFolder)->empty());

  const Blocks written = WriteSample(machine, 6, {10});
  EXPECT_EQ(machine.disk().Find(SnapshotPath(kFolder, {10})), file);
  EXPECT_LT(file->size(), bytes);
  const auto read = ReadBlocks(machine.files(), SnapshotPath(kFolder, {10}));
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_EQ(*read, written);

  WriteSample(machine, 7, {11});
  WriteSample(machine, 8, {12});
  for (const uint64_t through : {10, 11})
    ASSERT_TRUE(RetireSnapshot(machine.files(), kFolder, SnapshotPath(kFolder, {through})));
  EXPECT_EQ(machine.disk().files().size(), 2U) << "there is room for one";
}

// A spare that is in doubt is not written over, and room that can't be written is given back.
TEST(SnapshotFile, ABeginningThatFailsLeavesNothingHalf) {
  using env::simulated::Operation;
  int gone = 0;
  for (const Operation failing : {Operation::kSyncFolder, Operation::kWrite}) {
    for (uint64_t number = 1; number <= 4; ++number) {
      auto machine = std::make_unique<SimulatedEnvironment>(8);
      WriteSample(*machine, 8, {9});
      const env::simulated::DiskFileRef spare = machine->disk().Find(SnapshotPath(kFolder, {9}));
      const std::vector<uint8_t> bytes(spare->bytes().begin(), spare->bytes().end());
      ASSERT_TRUE(RetireSnapshot(machine->files(), kFolder, SnapshotPath(kFolder, {9})));
      machine = machine->Reboot(8);
      machine->faults()[failing].number = number;
      if (SnapshotWriter::Create(*machine, kFolder, kLog)) continue;
      // What fails before is of the folders above.
      const auto names = *machine->files().List(kFolder);
      if (!names.empty()) EXPECT_EQ(names, std::vector<std::string>{"spare.state"});
      if (names.empty()) ++gone;
      EXPECT_TRUE(failing == Operation::kWrite || std::ranges::equal(spare->bytes(), bytes));
      const Blocks written = WriteSample(*machine, 9, {10});
      const auto read = ReadBlocks(machine->files(), SnapshotPath(kFolder, {10}));
      ASSERT_TRUE(read.has_value()) << read.error().ToString();
      EXPECT_EQ(*read, written);
    }
  }
  EXPECT_EQ(gone, 2);
}

// One of the same log, of the same sizes.
TEST(SnapshotFile, WhatIsLeftOfAnEarlierOneIsFound) {
  SimulatedEnvironment machine(6);
  WriteSample(machine, 6, {9});
  WriteSample(machine, 6, {10});
  const std::vector<uint8_t> earlier = *machine.files().ReadAll(SnapshotPath(kFolder, {9}));
  const std::vector<uint8_t> later = *machine.files().ReadAll(SnapshotPath(kFolder, {10}));
  ASSERT_EQ(earlier.size(), later.size());
  auto file =
      *machine.files().OpenForWriting(SnapshotPath(kFolder, {10}), env::Files::Open::kExisting);
  for (uint64_t begin = 0; begin < later.size(); begin += 512) {
    const size_t size = std::min<uint64_t>(512, later.size() - begin);
    ASSERT_TRUE(file->WriteAt(begin, std::span(earlier).subspan(begin, size)));
    EXPECT_FALSE(ReadBlocks(machine.files(), SnapshotPath(kFolder, {10}))) << begin;
    ASSERT_TRUE(file->WriteAt(begin, std::span(later).subspan(begin, size)));
  }
  EXPECT_TRUE(ReadBlocks(machine.files(), SnapshotPath(kFolder, {10})));
}

// As they were before each had a number.
TEST(SnapshotFile, OneOfTheFirstFormatIsRead) {
  std::vector<uint8_t> file;
  auto add = [&file, number = 0ULL](SnapshotSection section,
                                    std::span<const uint8_t> payload) mutable {
    const auto kind = static_cast<uint32_t>(section);
    const uint64_t seed = base::Hash64(std::span<const uint8_t>(kLog.bytes), number++);
    columns::ByteWriter out(file);
    out.U32(0x31534248);
    out.U32(kind);
    out.U64(payload.size());
    out.U64(base::Hash64(payload, base::Mix64(seed ^ kind) ^ payload.size()));
    file.insert(file.end(), payload.begin(), payload.end());
    file.resize((file.size() + 7) / 8 * 8, 0);
  };
  const std::string_view format = "headrace snapshot 1";
  add(SnapshotSection::kFormat, {reinterpret_cast<const uint8_t*>(format.data()), format.size()});
  std::mt19937_64 random(7);
  const Blocks written{{SnapshotSection::kViews, RandomBytes(random, 300)}};
  add(written[0].first, written[0].second);
  std::vector<uint8_t> end;
  columns::ByteWriter out(end);
  out.U64(7);
  out.U64(9);
  out.U64(2);
  out.U64(file.size() + 24 + 32);
  add(SnapshotSection::kEnd, end);

  SimulatedEnvironment machine(7);
  ASSERT_TRUE(machine.files().CreateFolders(kFolder));
  ASSERT_TRUE(env::PutIfAbsent(machine.files(), SnapshotPath(kFolder, {9}), file));
  const auto read = ReadBlocks(machine.files(), SnapshotPath(kFolder, {9}));
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_EQ(*read, written);
}

// Those over 1 MiB are not copied first.
TEST(SnapshotFile, GivesBackLargePayloads) {
  SimulatedEnvironment machine(4);
  std::mt19937_64 random(4);
  Blocks written;
  ASSERT_TRUE(machine.Run([&] {
    auto writer = SnapshotWriter::Create(machine, kFolder, kLog);
    ASSERT_TRUE(writer.has_value()) << writer.error().ToString();
    for (const size_t bytes : {1U << 20, (1U << 20) + 1, (1U << 20) + 8, 3U << 20, 5U}) {
      written.emplace_back(SnapshotSection::kLogState, RandomBytes(random, bytes));
      ASSERT_TRUE(writer->Append(written.back().first, written.back().second).has_value());
    }
    ASSERT_TRUE(writer->Commit({7}, {9}).has_value());
  }));
  const auto read = ReadBlocks(machine.files(), SnapshotPath(kFolder, {9}));
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_TRUE(*read == written);
}

TEST(SnapshotFile, EveryFlippedBitIsFound) {
  SimulatedEnvironment machine(2);
  WriteSample(machine, 2);
  const std::string path = SnapshotPath(kFolder, {9});
  const uint64_t bytes = machine.disk().Find(path)->size();
  for (uint64_t offset = 0; offset < bytes; ++offset) {
    const int bit = static_cast<int>(offset * 5 % 8);
    machine.disk().FlipBit(path, offset, bit);
    const auto read = ReadBlocks(machine.files(), path);
    ASSERT_FALSE(read.has_value()) << "offset " << offset;
    ASSERT_EQ(read.error().code(), base::ErrorCode::kCorruption) << "offset " << offset;
    machine.disk().FlipBit(path, offset, bit);
  }
  EXPECT_TRUE(ReadBlocks(machine.files(), path).has_value());
}

TEST(SnapshotFile, AnotherLogsSnapshotIsRefused) {
  SimulatedEnvironment machine(3);
  WriteSample(machine, 3);
  EXPECT_FALSE(
      SnapshotReader::Open(machine.files(), SnapshotPath(kFolder, {9}), {{9}}).has_value());
}

// Whatever the crash leaves under a snapshot's name is whole.
TEST(SnapshotFile, IsThereWholeOrNotAtAll) {
  for (const char* point :
       {"snapshot.before_create", "snapshot.after_create", "snapshot.after_block",
        "snapshot.before_sync", "snapshot.before_rename", "snapshot.after_rename",
        "snapshot.after_folder_sync"}) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      auto machine = std::make_unique<SimulatedEnvironment>(seed);
      // In every second life over an earlier one, longer or shorter.
      const bool over = seed % 2 == 0;
      const Blocks earlier =
          over ? WriteSample(*machine, seed, {1}, static_cast<int>(seed)) : Blocks();
      machine = machine->Reboot(seed, {.crash_point = point, .crash_hit = 1});
      Blocks written;
      const bool alive = machine->Run([&] {
        if (over)
          ASSERT_TRUE(RetireSnapshot(machine->files(), kFolder, SnapshotPath(kFolder, {1})));
        auto writer = SnapshotWriter::Create(*machine, kFolder, kLog);
        std::mt19937_64 random(seed);
        for (int i = 0; i < 5; ++i) {
          written.emplace_back(SnapshotSection::kViews, RandomBytes(random, 900));
          (void)writer->Append(SnapshotSection::kViews, written.back().second);
        }
        (void)writer->Commit({1}, {2});
      });
      EXPECT_FALSE(alive) << point;
      machine = machine->Reboot(seed + 1);
      const auto names = ListSnapshots(machine->files(), kFolder);
      ASSERT_TRUE(names.has_value());
      for (const SnapshotName& name : *names) {
        const auto read = ReadBlocks(machine->files(), name.path);
        ASSERT_TRUE(read.has_value()) << point << " seed " << seed << read.error().ToString();
        EXPECT_EQ(*read, name.through.value == 1 ? earlier : written);
      }
      EXPECT_TRUE(std::string_view(point) != "snapshot.after_folder_sync" || names->size() == 1);
    }
  }
}

}  // namespace
}  // namespace headrace::log

// Which files of a table are the history of a log, when others have rewritten some of them.

#include "tables/table_reader.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"
#include "tables/maintenance/removals_by_others.h"
#include "tables/publish/plan.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::ErrorCode;

constexpr const char* kTable = "t";
const std::string kLog = "t/_delta_log";

class TableHistoryTest : public testing::Test {
 protected:
  TableHistoryTest() {
    const auto schema = std::make_shared<const columns::Schema>(
        std::vector<columns::Field>{{.id = 1, .name = "a", .type = columns::Type::kInt64}});
    table_ = *delta::DeltaTable::OpenForAppend(machine_, kTable, "t", schema);
    for (const auto& [after, last] : {std::pair{0, 5}, {5, 9}, {9, 12}}) {
      names_.push_back(FileName(log_, Plan(after, last), 0));
      const DataFile file{.name = names_.back(), .bytes = 10, .rows = 3, .stats = {ColumnStats{}}};
      EXPECT_TRUE(table_->Append(std::span(&file, 1), {ApplicationId(log_, "s"), 12}));
    }
  }
  static PublishPlan Plan(uint64_t after, uint64_t last) {
    return {base::StreamId{1}, EpochId{after}, EpochId{last}};
  }
  static std::string Add(const std::string& name) {
    return R"({"add":{"path":")" + name +
           R"(","partitionValues":{},"size":10,"modificationTime":0,"dataChange":false}})"
           "\n";
  }
  void Put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(env::PutIfAbsent(machine_.files(), kLog + "/" + name,
                                 {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  // Somebody packs the second file into one of theirs; its tombstone has expired.
  void Rewrite() {
    Put(delta::VersionedName(4, ".json"), R"({"remove":{"path":")" + names_[1] +
                                              R"(","dataChange":false,"deletionTimestamp":1}})"
                                              "\n" +
                                              Add("theirs.parquet"));
  }
  // A checkpoint of another writer, which has forgotten what expired.
  void ForeignCheckpoint(int64_t version, const std::vector<std::string>& names) {
    const auto& state = table_->snapshot();
    std::string text = R"({"checkpointMetadata":{"version":1}})"
                       "\n";
    text += R"({"protocol":)" + delta::RenderProtocol(*state.protocol) + "}\n";
    text += R"({"metaData":)" + delta::RenderMetadata(*state.metadata) + "}\n";
    for (const std::string& name : names) text += Add(name);
    Put(delta::VersionedName(version, ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"),
        text);
  }
  base::Result<std::vector<size_t>> Files() {
    HR_TRY(const auto reader, TableReader::Open(machine_, kTable));
    HR_TRY(const auto stretches, reader->FilesOf(log_, base::StreamId{1}));
    std::vector<size_t> files;
    for (const TableReader::Stretch& stretch : stretches) {
      EXPECT_TRUE(stretch.in_order);
      files.insert(files.end(), stretch.files.begin(), stretch.files.end());
    }
    return files;
  }

  ErrorCode Refusal() {
    const auto files = Files();
    return files ? ErrorCode::kInternal : files.error().code();
  }

  env::simulated::SimulatedEnvironment machine_{1};
  base::LogId log_{};
  std::unique_ptr<delta::DeltaTable> table_;
  std::vector<std::string> names_;
};

TEST_F(TableHistoryTest, IsOurFilesInOrder) {
  const auto files = Files();
  ASSERT_TRUE(files) << files.error().ToString();
  EXPECT_EQ(*files, (std::vector<size_t>{0, 1, 2}));
}

TEST_F(TableHistoryTest, IsRefusedWhenSomeWereRewritten) {
  Rewrite();
  EXPECT_EQ(Refusal(), ErrorCode::kUnsupported);
}

TEST_F(TableHistoryTest, OurCheckpointsRemember) {
  Rewrite();
  delta::UpkeepOptions options;
  options.kept_removals = [this] {
    return std::make_unique<RemovalsByOthers>(log_, base::StreamId{1});
  };
  ASSERT_TRUE(delta::WriteCheckpoint(machine_, kTable, 4, options));
  EXPECT_EQ(Refusal(), ErrorCode::kUnsupported);
}

TEST_F(TableHistoryTest, WhatAnotherCheckpointForgotIsSeen) {
  Rewrite();
  ForeignCheckpoint(4, {names_[0], names_[2], "theirs.parquet"});
  EXPECT_EQ(Refusal(), ErrorCode::kUnsupported) << "files of others";
}

// Ours is made of theirs, and can't know what that has forgotten.
TEST_F(TableHistoryTest, ACheckpointOfOursDoesNotMakeUpForAnothers) {
  Rewrite();
  ForeignCheckpoint(4, {names_[0], names_[2], "theirs.parquet"});
  ASSERT_TRUE(table_->Refresh());
  ASSERT_TRUE(table_->Append({}, {ApplicationId(log_, "s"), 15}));
  ASSERT_TRUE(delta::WriteCheckpoint(machine_, kTable, 5, {}));
  EXPECT_EQ(Refusal(), ErrorCode::kUnsupported);
}

TEST_F(TableHistoryTest, AGapBehindAnotherCheckpointIsSeen) {
  ForeignCheckpoint(3, {names_[0], names_[2]});
  EXPECT_EQ(Refusal(), ErrorCode::kUnsupported);
}

TEST_F(TableHistoryTest, AnotherCheckpointAloneIsNoHarm) {
  ForeignCheckpoint(3, names_);
  const auto files = Files();
  ASSERT_TRUE(files) << files.error().ToString();
  EXPECT_EQ(files->size(), 3U);
}

}  // namespace
}  // namespace headrace::tables

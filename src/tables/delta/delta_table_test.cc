#include "tables/delta/delta_table.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "env/simulated/environment.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using columns::Field;
using columns::Nullable;
using columns::Schema;
using columns::SchemaRef;
using columns::Type;

SchemaRef TwoColumns() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "a", .type = Type::kInt64, .nullable = Nullable::kNo},
                         {.id = 2, .name = "b", .type = Type::kString}});
}

// As JSON has it.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
  return quoted + "\"";
}

class DeltaTableTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "headrace-delta-" + std::to_string(std::random_device{}());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<DeltaTable> OpenForAppend(const SchemaRef& schema = TwoColumns()) {
    auto table = DeltaTable::OpenForAppend(*environment_, folder_, "t", schema);
    EXPECT_TRUE(table) << table.error().ToString();
    return table ? std::move(*table) : nullptr;
  }
  ErrorCode OpenError() {
    const auto table = DeltaTable::Open(*environment_, folder_, Keep::kFiles);
    return table ? ErrorCode::kInternal : table.error().code();
  }
  void PutCommit(int version, const std::string& text) {
    char name[32];
    std::snprintf(name, sizeof(name), "%020d.json", version);
    ASSERT_TRUE(env::PutIfAbsent(environment_->files(), folder_ + "/_delta_log/" + name,
                                 {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  // As a writer without a put-if-absent does.
  void WriteCommit(int version, const std::string& text) {
    char name[32];
    std::snprintf(name, sizeof(name), "%020d.json", version);
    std::ofstream(folder_ + "/_delta_log/" + name, std::ios::binary) << text;
  }
  static DataFile File(const std::string& name, uint64_t rows) {
    return {.name = name, .bytes = 10, .rows = rows, .stats = {ColumnStats{}, ColumnStats{}}};
  }

  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  std::string folder_;
};

TEST_F(DeltaTableTest, AppendsAreReadBack) {
  const auto table = OpenForAppend();
  const std::vector<DataFile> first = {File("x.parquet", 3), File("y.parquet", 4)};
  ASSERT_TRUE(table->Append(first, {"headrace/l/s", 5}));
  ASSERT_TRUE(table->Append({}, {"headrace/l/s", 9}));
  const auto read = DeltaTable::Open(*environment_, folder_, Keep::kFiles);
  ASSERT_TRUE(read) << read.error().ToString();
  const Snapshot& snapshot = (*read)->snapshot();
  EXPECT_EQ(snapshot.version, 2);
  ASSERT_EQ(snapshot.files.size(), 2U);
  EXPECT_EQ(snapshot.files[1].path, "y.parquet");
  EXPECT_EQ(snapshot.files[1].rows, 4U);
  EXPECT_EQ((*read)->markers(), (std::vector<Marker>{{"headrace/l/s", 9}}));
  EXPECT_EQ(*snapshot.schema, *TwoColumns());
}

// The link fails, done or not, and so does the look at what is there: the writer goes on, and takes
// its own commit for nobody else's.
TEST_F(DeltaTableTest, ACommitOfUnknownOutcomeIsSettledByTheNextRefresh) {
  using env::simulated::Operation;
  std::set<size_t> versions;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    env::simulated::SimulatedEnvironment machine(seed);
    const auto table = *DeltaTable::OpenForAppend(machine, "t", "t", TwoColumns());
    ASSERT_TRUE(table->Append({}, {"headrace/l/s", 5}));
    auto& faults = machine.faults();
    faults[Operation::kLink].number = machine.operations(Operation::kLink) + 1;
    faults[Operation::kOpen].number = machine.operations(Operation::kOpen) + 2;
    const auto appended = table->Append({}, {"headrace/l/s", 9});
    ASSERT_FALSE(appended);
    EXPECT_EQ(appended.error().code(), ErrorCode::kIoError);
    faults = {};
    const auto refreshed = table->Refresh();
    ASSERT_TRUE(refreshed) << refreshed.error().ToString();
    ASSERT_TRUE(table->Append({}, {"headrace/l/s", 12}));
    EXPECT_EQ(table->markers(), (std::vector<Marker>{{"headrace/l/s", 12}}));
    versions.insert(static_cast<size_t>(table->snapshot().version));
  }
  EXPECT_EQ(versions, (std::set<size_t>{2, 3}));
}

// The link fails, done or not; what is there can be looked at, and tells.
TEST_F(DeltaTableTest, ACommitWhoseAnswerWasLostIsNotMadeTwice) {
  using env::simulated::Operation;
  size_t done = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    env::simulated::SimulatedEnvironment machine(seed);
    const auto table = *DeltaTable::OpenForAppend(machine, "t", "t", TwoColumns());
    ASSERT_TRUE(table->Append({}, {"headrace/l/s", 5}));
    const auto before = table->snapshot().version;
    machine.faults()[Operation::kLink].number = machine.operations(Operation::kLink) + 1;
    const auto appended = table->Append({}, {"headrace/l/s", 9});
    machine.faults() = {};
    ASSERT_TRUE(table->Refresh());
    EXPECT_EQ(table->snapshot().version, before + (appended ? 1 : 0));
    if (appended) ++done;
  }
  EXPECT_GT(done, 0U);
  EXPECT_LT(done, 20U);
}

// A kill after the link leaves a commit whose entry in the folder is not synced; whoever goes on
// from it may not lose it to a power cut.
TEST_F(DeltaTableTest, ACommitThatWasReadSurvivesAPowerCut) {
  using env::simulated::CrashKind;
  const std::vector<Marker> committed = {{"headrace/l/s", 9}};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    auto machine = std::make_unique<env::simulated::SimulatedEnvironment>(seed);
    const auto markers = [&] {
      std::vector<Marker> found;
      machine->Run([&] {
        found = (*DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns()))->markers();
      });
      return found;
    };
    std::unique_ptr<DeltaTable> table;
    machine->Run([&] {
      table = *DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns());
      machine->faults().crash_point = "put.after_link";
      machine->faults().crash_hit = machine->crash_point_visits().at("put.after_link") + 1;
      machine->faults().crash_kind = CrashKind::kKill;
      (void)table->Append({}, committed[0]);
    });
    ASSERT_TRUE(machine->crashed());
    table.reset();
    machine = machine->Reboot(seed + 100);
    EXPECT_EQ(markers(), committed);
    machine->Crash(CrashKind::kPowerCut);
    machine = machine->Reboot(seed + 200);
    EXPECT_EQ(markers(), committed);
  }
}

// The same of one whose outcome the writer did not know, and learnt by a look.
TEST_F(DeltaTableTest, ACommitThatWasFoundLaterSurvivesAPowerCut) {
  using env::simulated::CrashKind;
  using env::simulated::Operation;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    auto machine = std::make_unique<env::simulated::SimulatedEnvironment>(seed);
    std::vector<Marker> found;
    std::unique_ptr<DeltaTable> table;
    machine->Run([&] {
      table = *DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns());
      auto& faults = machine->faults();
      faults[Operation::kSyncFolder].number = machine->operations(Operation::kSyncFolder) + 1;
      faults[Operation::kOpen].number = machine->operations(Operation::kOpen) + 2;
      EXPECT_FALSE(table->Append({}, {"headrace/l/s", 9}));
      faults = {};
      ASSERT_TRUE(table->Refresh());
      found = table->markers();
    });
    machine->Crash(CrashKind::kPowerCut);
    table.reset();
    machine = machine->Reboot(seed + 100);
    machine->Run([&] {
      EXPECT_EQ((*DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns()))->markers(), found);
    });
  }
}

// The sync of a commit's name failed, and no later one proves anything of it: neither where the
// same writer goes on from it nor where the next life of it does.
TEST_F(DeltaTableTest, ACommitWhoseSyncFailedSurvivesAPowerCutOnceItIsBuiltOn) {
  using env::simulated::CrashKind;
  using env::simulated::Operation;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const bool dies = seed % 2 == 0;
    auto machine = std::make_unique<env::simulated::SimulatedEnvironment>(seed);
    std::vector<Marker> found;
    std::unique_ptr<DeltaTable> table;
    const auto open = [&] {
      table = *DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns());
      found = table->markers();
    };
    machine->Run([&] {
      open();
      machine->faults()[Operation::kSyncFolder].number =
          machine->operations(Operation::kSyncFolder) + 1;
      if (dies) {
        machine->faults().crash_point = "put.after_folder_sync";
        machine->faults().crash_hit = machine->crash_point_visits().at("put.after_folder_sync") + 1;
        machine->faults().crash_kind = CrashKind::kKill;
      }
      EXPECT_TRUE(table->Append({}, {"headrace/l/s", 9}));
      found = table->markers();
    });
    ASSERT_EQ(machine->crashed(), dies);
    if (dies) {
      table.reset();
      machine = machine->Reboot(seed + 100);
      machine->Run(open);
    }
    EXPECT_EQ(found, (std::vector<Marker>{{"headrace/l/s", 9}}));
    machine->Crash(CrashKind::kPowerCut);
    table.reset();
    machine = machine->Reboot(seed + 200);
    const std::vector<Marker> before = found;
    machine->Run(open);
    EXPECT_EQ(found, before);
  }
}

// Versions are found by the times of their files.
TEST_F(DeltaTableTest, AnOpenedTableKeepsTheTimesOfItsCommits) {
  {
    ASSERT_TRUE(OpenForAppend()->Append({}, {"headrace/l/s", 9}));
  }
  const std::string newest = folder_ + "/_delta_log/00000000000000000001.json";
  const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(30);
  std::filesystem::last_write_time(newest, before);
  const auto facts = environment_->files().Facts(newest);
  OpenForAppend();
  EXPECT_EQ(environment_->files().Facts(newest)->modified_at, facts->modified_at);
}

// Nor of commits of others that it goes after.
TEST_F(DeltaTableTest, NothingIsPutAfterACommitWhoseSyncFailed) {
  using env::simulated::Operation;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    auto machine = std::make_unique<env::simulated::SimulatedEnvironment>(seed);
    machine->Run([&] {
      const auto table = *DeltaTable::OpenForAppend(*machine, "t", "t", TwoColumns());
      const std::string text = R"({"commitInfo":{"operation":"WRITE"}})";
      auto file = *machine->files().OpenForWriting("t/_delta_log/00000000000000000001.json",
                                                   env::Files::Open::kCreateNew);
      ASSERT_TRUE(file->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
      ASSERT_TRUE(file->Sync());
      machine->faults()[Operation::kSyncFolder].number =
          machine->operations(Operation::kSyncFolder) + 1;
      EXPECT_FALSE(table->Append({}, {"headrace/l/s", 9}));
      EXPECT_TRUE(table->Append({}, {"headrace/l/s", 9}));
      EXPECT_EQ(table->snapshot().version, 2);
    });
    machine->Crash(env::simulated::CrashKind::kPowerCut);
    machine = machine->Reboot(seed + 100);
    machine->Run([&] {
      const auto read = DeltaTable::Open(*machine, "t", Keep::kFiles);
      ASSERT_TRUE(read) << read.error().ToString();
      EXPECT_EQ((*read)->snapshot().version, 2);
    });
  }
}

// Somebody took the version, and the look at who it was fails: that may pass.
TEST_F(DeltaTableTest, AFailedLookAtATakenVersionIsNoReasonToStop) {
  using env::simulated::Operation;
  env::simulated::SimulatedEnvironment machine(1);
  const auto table = *DeltaTable::OpenForAppend(machine, "t", "t", TwoColumns());
  const auto other = *DeltaTable::OpenForAppend(machine, "t", "t", TwoColumns());
  ASSERT_TRUE(other->Append({}, {"else", 1}));
  machine.faults()[Operation::kOpen].number = machine.operations(Operation::kOpen) + 2;
  const auto appended = table->Append({}, {"headrace/l/s", 9});
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code(), ErrorCode::kIoError);
}

TEST_F(DeltaTableTest, AppendsAfterTheCommitsOfOthers) {
  const auto table = OpenForAppend();
  const auto other = OpenForAppend();
  ASSERT_TRUE(other->Append(std::vector{File("o1.parquet", 1)}, {"else", 1}));
  ASSERT_TRUE(other->Append(std::vector{File("o2.parquet", 1)}, {"else", 2}));
  PutCommit(3, R"({"remove":{"path":"o1.parquet","dataChange":true}})");
  ASSERT_TRUE(table->Append(std::vector{File("mine.parquet", 1)}, {"headrace/l/s", 5}));
  const auto read = DeltaTable::Open(*environment_, folder_, Keep::kFiles);
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->snapshot().version, 4);
  ASSERT_EQ((*read)->snapshot().files.size(), 2U);
  EXPECT_EQ((*read)->snapshot().files[0].path, "o2.parquet");
  EXPECT_EQ((*read)->snapshot().files[1].path, "mine.parquet");
}

// Another writer has made the file of the next version, and is not done with it.
TEST_F(DeltaTableTest, ACommitThatIsNotWrittenToItsEndIsWaitedFor) {
  const auto table = OpenForAppend();
  const std::string whole =
      R"({"commitInfo":{"operation":"WRITE"}}
{"add":{"path":"o.parquet","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}})";
  const auto expect_unavailable = [](const auto& done) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), ErrorCode::kUnavailable) << done.error().ToString();
  };
  for (const size_t written : {size_t{0}, size_t{20}, whole.size() - 1}) {
    SCOPED_TRACE(written);
    WriteCommit(1, whole.substr(0, written));
    expect_unavailable(table->Append({}, {"headrace/l/s", 5}));
    expect_unavailable(table->Refresh());
    expect_unavailable(DeltaTable::Open(*environment_, folder_, Keep::kFiles));
  }
  WriteCommit(1, whole);
  ASSERT_TRUE(table->Append({}, {"headrace/l/s", 5}));
  EXPECT_EQ(table->snapshot().version, 2);
  // Nobody begins a version before the one that it comes after is whole.
  WriteCommit(1, whole.substr(0, 20));
  EXPECT_EQ(OpenError(), ErrorCode::kCorruption);
  WriteCommit(1, "");
  EXPECT_EQ(OpenError(), ErrorCode::kCorruption);
}

// What its log begins with went, and a checkpoint stands for it: a version 0 would begin another
// table among its files.
TEST_F(DeltaTableTest, ATableWithoutItsCommitsIsNotMadeAnew) {
  const std::string log = folder_ + "/_delta_log/";
  for (const char* left : {"00000000000000000010.checkpoint.parquet", "_last_checkpoint",
                           "00000000000000000010.checkpoint.0000000001.0000000002.parquet",
                           "00000000000000000001.00000000000000000004.compacted.json"}) {
    SCOPED_TRACE(left);
    std::filesystem::create_directories(log);
    std::ofstream(log + left) << "x";
    const auto opened = DeltaTable::OpenForAppend(*environment_, folder_, "t", TwoColumns());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), ErrorCode::kCorruption) << opened.error().ToString();
    EXPECT_FALSE(std::filesystem::exists(log + "00000000000000000000.json"));
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::create_directories(log);
  ASSERT_NE(OpenForAppend(), nullptr) << "a folder alone is no table";
}

TEST_F(DeltaTableTest, AListedCommitThatIsGoneWhenItIsReadIsNoMissingTable) {
  const std::string log = folder_ + "/_delta_log/";
  std::filesystem::create_directories(log);
  std::filesystem::create_symlink("nowhere", log + "00000000000000000000.json");
  const auto opened = DeltaTable::OpenForAppend(*environment_, folder_, "t", TwoColumns());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnavailable) << opened.error().ToString();
}

// The log lies in the folder, as everything of a table.
TEST_F(DeltaTableTest, ALinkInTheLogIsNotFollowedOutOfTheFolder) {
  const auto table = OpenForAppend();
  const std::string log = folder_ + "/_delta_log/";
  const std::string elsewhere = folder_ + "-elsewhere";
  const auto link = [&](const char* name, const std::string& to) {
    std::filesystem::rename(log + name, to);
    std::filesystem::create_symlink(to, log + name);
  };
  const auto opened = [&] {
    const auto read = DeltaTable::Open(*environment_, folder_, Keep::kFiles);
    return read ? std::string("yes") : read.error().ToString();
  };
  link("00000000000000000000.json", folder_ + "/inside");
  EXPECT_EQ(opened(), "yes");
  std::filesystem::remove(log + "00000000000000000000.json");
  std::filesystem::rename(folder_ + "/inside", log + "00000000000000000000.json");
  link("00000000000000000000.json", elsewhere);
  EXPECT_EQ(opened().find("Unsupported: a file of the table lies outside"), 0U) << opened();
  std::filesystem::remove(log + "00000000000000000000.json");
  std::filesystem::rename(elsewhere, log + "00000000000000000000.json");
  std::ofstream(log + "00000000000000000000.checkpoint.parquet") << "x";
  link("00000000000000000000.checkpoint.parquet", elsewhere);
  EXPECT_EQ(opened().find("Unsupported: a file of the table lies outside"), 0U) << opened();
  std::filesystem::remove(elsewhere);
}

TEST_F(DeltaTableTest, StopsWhenAnotherMovesItsMarker) {
  const auto table = OpenForAppend();
  ASSERT_TRUE(table->Append({}, {"headrace/l/s", 5}));
  const auto twin = OpenForAppend();
  ASSERT_TRUE(twin->Append({}, {"headrace/l/s", 6}));
  const auto late = table->Append({}, {"headrace/l/s", 7});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kConflict);
}

TEST_F(DeltaTableTest, StopsWhenAnotherChangesTheColumns) {
  const auto table = OpenForAppend();
  PutCommit(
      1,
      R"({"metaData":{"id":"x","schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}})");
  const auto refused = table->Append({}, {"headrace/l/s", 7});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
}

TEST_F(DeltaTableTest, StopsAtAProtocolItDoesNotKnow) {
  const auto table = OpenForAppend();
  PutCommit(
      1,
      R"({"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping"],"writerFeatures":["columnMapping"]}})");
  const auto refused = table->Append({}, {"headrace/l/s", 7});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(refused.error().message().find("columnMapping"), std::string::npos);
  EXPECT_EQ(OpenError(), ErrorCode::kUnsupported);
}

TEST_F(DeltaTableTest, RefusesATableWithOtherColumns) {
  OpenForAppend();
  const auto other = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "a", .type = Type::kFloat64}});
  const auto table = DeltaTable::OpenForAppend(*environment_, folder_, "t", other);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code(), ErrorCode::kConflict);
  EXPECT_NE(table.error().message().find("a int64 not null, b string"), std::string::npos)
      << table.error().message();
}

SchemaRef ThreeColumns() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "when", .type = Type::kTimestampNtz},
                         {.id = 2, .name = "b", .type = Type::kString},
                         {.id = 3, .name = "a", .type = Type::kInt64}});
}

DataFile OfThree(const std::string& name) {
  return {.name = name,
          .bytes = 10,
          .rows = 1,
          .stats = {ColumnStats{}, ColumnStats{}, ColumnStats{}},
          .schema = ThreeColumns()};
}

std::string ColumnsOf(const DeltaTable& table) {
  std::string names;
  for (const Field& field : table.snapshot().schema->fields()) names += field.name + " ";
  return names;
}

TEST_F(DeltaTableTest, FilesWithMoreColumnsGiveThemToTheTable) {
  const auto table = OpenForAppend();
  ASSERT_TRUE(table->Append(std::vector{File("x.parquet", 3)}, {"headrace/l/s", 5}));
  const std::string id = table->snapshot().metadata->id;
  ASSERT_TRUE(table->Append(std::vector{OfThree("y.parquet")}, {"headrace/l/s", 6}));
  EXPECT_EQ(ColumnsOf(*table), "when b a ");
  EXPECT_EQ(table->snapshot().version, 2) << "in one version with its rows";
  // And none that has less takes them away: a plan of before that is carried out late.
  ASSERT_TRUE(table->Append(std::vector{File("z.parquet", 3)}, {"headrace/l/s", 7}));
  EXPECT_EQ(ColumnsOf(*table), "when b a ");
  const auto read = *DeltaTable::Open(*environment_, folder_, Keep::kFiles);
  EXPECT_EQ(ColumnsOf(*read), "when b a ");
  EXPECT_EQ(read->snapshot().files.size(), 3U);
  EXPECT_EQ(read->snapshot().metadata->id, id);
  EXPECT_EQ(read->snapshot().protocol->reader_features, std::vector<std::string>{"timestampNtz"});
  // A start may know the schema of before as well.
  const std::vector<SchemaRef> known = {TwoColumns(), ThreeColumns()};
  EXPECT_TRUE(DeltaTable::OpenForAppend(*environment_, folder_, "t", known.back(), {}, known));
  EXPECT_FALSE(DeltaTable::OpenForAppend(*environment_, folder_, "t", known.front()));
}

TEST_F(DeltaTableTest, ATableThatIsBehindIsOpenedWithTheSchemasThatItMayHave) {
  OpenForAppend();
  const std::vector<SchemaRef> known = {TwoColumns(), ThreeColumns()};
  EXPECT_FALSE(DeltaTable::OpenForAppend(*environment_, folder_, "t", known.back()));
  auto table = DeltaTable::OpenForAppend(*environment_, folder_, "t", known.back(), {}, known);
  ASSERT_TRUE(table) << table.error().ToString();
  EXPECT_EQ(ColumnsOf(**table), "a b ");
  ASSERT_TRUE((*table)->Append(std::vector{OfThree("y.parquet")}, {"headrace/l/s", 6}));
  EXPECT_EQ(ColumnsOf(**table), "when b a ");
}

// What others set stays, also when they do it just before.
TEST_F(DeltaTableTest, ANewColumnKeepsThePropertiesOfOthers) {
  const auto table = OpenForAppend();
  const auto other = OpenForAppend();
  Metadata metadata = *other->snapshot().metadata;
  PutCommit(
      1,
      R"({"metaData":{"id":")" + metadata.id +
          R"(","format":{"provider":"parquet","options":{}},"schemaString":)" +
          Quoted(metadata.schema_string) +
          R"(,"partitionColumns":[],"configuration":{"delta.appendOnly":"true","delta.logRetentionDuration":"interval 9 days"}}})"
          "\n");
  ASSERT_TRUE(table->Append(std::vector{OfThree("y.parquet")}, {"headrace/l/s", 6}));
  EXPECT_EQ(ColumnsOf(*table), "when b a ");
  EXPECT_EQ(table->snapshot().metadata->configuration.at("delta.logRetentionDuration"),
            "interval 9 days");
}

// As PROTOCOL says of type changes, beside what others have said of the column.
TEST_F(DeltaTableTest, FilesWithAWiderColumnSayHowItWas) {
  OpenForAppend();
  const auto with = [](Type type) {
    return std::make_shared<const Schema>(
        std::vector<Field>{{.id = 1, .name = "a", .type = Type::kInt64, .nullable = Nullable::kNo},
                           {.id = 2, .name = "b", .type = Type::kString},
                           {.id = 3, .name = "c", .type = type}});
  };
  const auto file_of = [](const std::string& name, const SchemaRef& schema) {
    return DataFile{.name = name,
                    .bytes = 10,
                    .rows = 1,
                    .stats = {ColumnStats{}, ColumnStats{}, ColumnStats{}},
                    .schema = schema};
  };
  const std::vector<SchemaRef> known = {TwoColumns(), with(Type::kFloat32), with(Type::kFloat64)};
  const auto table =
      *DeltaTable::OpenForAppend(*environment_, folder_, "t", known.back(), {}, known);
  ASSERT_TRUE(table->Append(std::vector{file_of("x.parquet", known[1])}, {"headrace/l/s", 6}));
  EXPECT_EQ(table->snapshot().protocol->reader_version, 1);
  ASSERT_TRUE(table->Append(std::vector{file_of("y.parquet", known[2])}, {"headrace/l/s", 7}));
  const auto read = *DeltaTable::Open(*environment_, folder_, Keep::kFiles);
  EXPECT_EQ(read->snapshot().schema->field(2).type, Type::kFloat64);
  const Protocol& protocol = *read->snapshot().protocol;
  EXPECT_EQ(protocol.reader_features, std::vector<std::string>{"typeWidening"});
  EXPECT_EQ(protocol.writer_features,
            (std::vector<std::string>{"typeWidening", "appendOnly", "invariants"}));
  const Metadata& metadata = *read->snapshot().metadata;
  EXPECT_EQ(metadata.configuration.at("delta.enableTypeWidening"), "true");
  EXPECT_NE(metadata.schema_string.find(
                R"("delta.typeChanges":[{"fromType":"float","toType":"double"}])"),
            std::string::npos)
      << metadata.schema_string;
  // A plan of before that is carried out late has the narrower column, and changes nothing.
  ASSERT_TRUE(table->Append(std::vector{file_of("z.parquet", known[1])}, {"headrace/l/s", 8}));
  EXPECT_EQ(table->snapshot().schema->field(2).type, Type::kFloat64);
}

TEST_F(DeltaTableTest, ColumnsThatCannotFollowStopTheWriter) {
  const auto table = OpenForAppend();
  DataFile file = File("x.parquet", 1);
  file.schema = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "a", .type = Type::kFloat64, .nullable = Nullable::kNo},
                         {.id = 2, .name = "b", .type = Type::kString}});
  const auto refused = table->Append(std::vector{file}, {"headrace/l/s", 6});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_NE(refused.error().message().find("`a` was int64"), std::string::npos);
}

TEST_F(DeltaTableTest, SaysWhatIsWrongWithALog) {
  EXPECT_EQ(OpenError(), ErrorCode::kNotFound);
  const auto table = OpenForAppend();
  ASSERT_TRUE(table->Append({}, {"headrace/l/s", 1}));
  ASSERT_TRUE(table->Append({}, {"headrace/l/s", 2}));
  const std::string log = folder_ + "/_delta_log/";
  std::filesystem::rename(log + "00000000000000000001.json", log + "kept");
  EXPECT_EQ(OpenError(), ErrorCode::kCorruption);
  std::filesystem::remove(log + "00000000000000000000.json");
  const auto cleaned = DeltaTable::Open(*environment_, folder_, Keep::kFiles);
  ASSERT_FALSE(cleaned);
  EXPECT_EQ(cleaned.error().code(), ErrorCode::kCorruption);
  EXPECT_NE(cleaned.error().message().find("before version 2 was cleaned away"), std::string::npos)
      << cleaned.error().message();
}

TEST_F(DeltaTableTest, NamesItsTimestampFeature) {
  const auto ntz = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "a", .type = Type::kTimestampNtz}});
  const auto table = OpenForAppend(ntz);
  EXPECT_EQ(table->snapshot().protocol->reader_version, 3);
  EXPECT_EQ(table->snapshot().protocol->reader_features, std::vector<std::string>{"timestampNtz"});
  ASSERT_TRUE(OpenForAppend(ntz));
}

}  // namespace
}  // namespace headrace::tables::delta

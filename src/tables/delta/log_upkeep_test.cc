// Checkpoints, checksum files and the clean-up of a log, on the simulated disk. The oracle is the
// log itself, read commit by commit.

#include "tables/delta/log_upkeep.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "env/simulated/environment.h"
#include "tables/delta/checkpoint_reader.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/log_replay.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using columns::Field;
using columns::Nullable;
using columns::Schema;
using columns::SchemaRef;
using columns::Type;
using env::simulated::SimulatedEnvironment;
using std::chrono::hours;

constexpr const char* kTable = "t";
const std::string kLog = "t/_delta_log";

SchemaRef OneColumn() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "a", .type = Type::kInt64, .nullable = Nullable::kNo}});
}

// All that a version holds, as text.
struct Collected final : FileSink {
  base::Result<void> Add(AddFile f) override {
    std::string text = f.path + " " + std::to_string(f.size) + " " + f.stats;
    for (const auto& [name, value] : f.partition_values)
      text += " " + name + "=" + value.value_or("null");
    for (const auto& [name, value] : f.tags) text += " #" + name + "=" + value;
    if (f.checksum) text += " xxh3=" + RenderChecksum(*f.checksum);
    adds[KeyOf(f.path, f.deletion_vector)] = text;
    order.push_back(f.path);
    return {};
  }
  base::Result<void> Remove(RemoveFile f) override {
    removes.insert(KeyOf(f.path, f.deletion_vector));
    return {};
  }
  void Restart() override { *this = {}; }
  friend std::ostream& operator<<(std::ostream& out, const Collected& collected) {
    for (const std::string& path : collected.order) out << path << "; ";
    for (const std::string& key : collected.removes) out << "-" << key << "; ";
    return out;
  }
  bool operator==(const Collected& other) const {
    return adds == other.adds && removes == other.removes && order == other.order;
  }
  std::map<std::string, std::string> adds;
  std::set<std::string> removes;
  std::vector<std::string> order;
};

class LogUpkeepTest : public testing::Test {
 protected:
  LogUpkeepTest() {
    options_.checkpoint_every = 10;
    table_ = *DeltaTable::OpenForAppend(machine_, kTable, "t", OneColumn(), options_);
  }
  env::Files& files() { return machine_.files(); }

  void Append(int commits) {
    for (int i = 0; i < commits; ++i) {
      const DataFile file{.name = "f" + std::to_string(next_) + " %.parquet",
                          .bytes = 100 + next_,
                          .rows = next_,
                          .stats = {ColumnStats{}},
                          .checksum = 7 * next_};
      ASSERT_TRUE(table_->Append(std::span(&file, 1), {"headrace/l/s", ++next_}));
    }
  }
  enum class Seen : uint8_t { kYes, kNo };
  void PutForeign(const std::string& text, Seen seen = Seen::kYes) {
    const LogListing listing = *ListLog(files(), kLog);
    const int64_t version = *listing.newest() + 1;
    ASSERT_TRUE(env::PutIfAbsent(files(), kLog + "/" + VersionedName(version, ".json"),
                                 {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    if (seen == Seen::kYes) ASSERT_TRUE(table_->Refresh());
  }
  // Foreign files with everything that an add can have; one of ours is removed.
  void PutForeignFiles() {
    PutForeign(
        R"({"add":{"path":"g%201.parquet","partitionValues":{"p":"x","q":null},"size":5,"modificationTime":6,"dataChange":true,"tags":{"k":"v"},"stats":"{\"numRecords\":3}","deletionVector":{"storageType":"u","pathOrInlineDv":"ab","offset":1,"sizeInBytes":34,"cardinality":2}}})"
        "\n"
        R"({"add":{"path":"h.parquet","partitionValues":{},"size":8,"modificationTime":6,"dataChange":true}})"
        "\n"
        R"({"remove":{"path":"f1%20%25.parquet","dataChange":true,"deletionTimestamp":1749999999000}})"
        "\n"
        R"({"remove":{"path":"f2%20%25.parquet","dataChange":true,"deletionTimestamp":1}})");
  }
  Collected Read(std::optional<int64_t> version = std::nullopt) {
    Collected collected;
    const auto state = ReplayLog(files(), kTable, version, &collected);
    EXPECT_TRUE(state) << state.error().ToString();
    if (state) state_ = *state;
    return collected;
  }
  std::optional<CheckpointFigures> Checkpoint(int64_t version) {
    const auto made = WriteCheckpoint(machine_, kTable, version, options_);
    EXPECT_TRUE(made) << made.error().ToString();
    return made ? *made : std::nullopt;
  }
  void RemoveCommitsBefore(int64_t version) {
    const LogListing listing = *ListLog(files(), kLog);
    for (const int64_t commit : listing.commits)
      if (commit < version)
        ASSERT_TRUE(files().Remove(kLog + "/" + VersionedName(commit, ".json")));
  }
  bool Has(int64_t version, const char* ending) {
    return *files().Exists(kLog + "/" + VersionedName(version, ending));
  }

  SimulatedEnvironment machine_{1};
  UpkeepOptions options_;
  std::unique_ptr<DeltaTable> table_;
  uint64_t next_ = 0;
  LogState state_;
};

TEST_F(LogUpkeepTest, ACheckpointSaysWhatTheCommitsSay) {
  Append(6);
  PutForeignFiles();
  Append(3);
  class Second final : public KeptRemovals {
    base::Result<void> Note(const AddFile& /*file*/) override { return {}; }
    bool Keeps(const std::string& path) const override { return path.starts_with("f2"); }
  };
  options_.kept_removals = [] { return std::make_unique<Second>(); };
  const Collected before = Read();
  const LogState state = state_;
  EXPECT_EQ(before.removes.size(), 2U);
  const auto made = Checkpoint(10);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->sums.files, before.adds.size());
  EXPECT_EQ(made->actions, before.adds.size() + before.removes.size() + 3);
  RemoveCommitsBefore(10);
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, 10);
  EXPECT_EQ(state_.protocol, state.protocol);
  EXPECT_EQ(state_.metadata, state.metadata);
  EXPECT_EQ(state_.transactions.at("headrace/l/s").version, 9U);
  EXPECT_EQ(state_.transactions.at("headrace/l/s").updated_ms,
            state.transactions.at("headrace/l/s").updated_ms);
  EXPECT_TRUE(state_.removals_known);
  EXPECT_EQ(state_.forgotten_ms, 0);
}

TEST_F(LogUpkeepTest, ACheckpointSaysWhatItHasForgotten) {
  Append(6);
  PutForeignFiles();
  Append(14);
  Checkpoint(10);
  Read();
  EXPECT_EQ(state_.forgotten_ms, 1) << "the time of f2's removal";
  Checkpoint(20);
  RemoveCommitsBefore(20);
  Read();
  EXPECT_EQ(state_.checkpoint, 20);
  EXPECT_EQ(state_.forgotten_ms, 1);
}

TEST_F(LogUpkeepTest, ACheckpointIsMadeOfTheOneBefore) {
  Append(10);
  Checkpoint(10);
  PutForeignFiles();
  Append(9);
  const Collected before = Read();
  RemoveCommitsBefore(10);
  ASSERT_TRUE(Checkpoint(20));
  RemoveCommitsBefore(20);
  Append(2);
  Collected after = Read();
  EXPECT_EQ(after.order.size(), before.order.size() + 2);
  after.order.resize(before.order.size());
  EXPECT_EQ(after.order, before.order);
}

TEST_F(LogUpkeepTest, ExpiredTombstonesAreLeftOut) {
  Append(6);
  PutForeignFiles();
  Append(3);
  ASSERT_TRUE(Checkpoint(10));
  EXPECT_EQ(Read().removes, std::set<std::string>{"f1 %.parquet"});
}

TEST_F(LogUpkeepTest, ACheckpointThatIsThereIsLeftAlone) {
  Append(10);
  ASSERT_TRUE(Checkpoint(10));
  const auto bytes = files().ReadAll(kLog + "/" + VersionedName(10, ".checkpoint.parquet"));
  EXPECT_FALSE(Checkpoint(10));
  EXPECT_EQ(*files().ReadAll(kLog + "/" + VersionedName(10, ".checkpoint.parquet")), *bytes);
}

// No damaged checkpoint is believed: the log is read instead; and when it is gone, that is said.
TEST_F(LogUpkeepTest, EveryFlippedByteOfACheckpointIsNoticed) {
  Append(10);
  ASSERT_TRUE(Checkpoint(10));
  const Collected before = Read();
  const std::string path = kLog + "/" + VersionedName(10, ".checkpoint.parquet");
  const uint64_t bytes = (*files().Facts(path)).bytes;
  std::mt19937_64 random(std::random_device{}());
  const auto copy = machine_.Copy(2);
  for (int64_t version = 0; version < 10; ++version)
    ASSERT_TRUE(copy->files().Remove(kLog + "/" + VersionedName(version, ".json")));
  for (uint64_t at = 0; at < bytes; ++at) {
    const int bit = static_cast<int>(random() % 8);
    SCOPED_TRACE("bit " + std::to_string(bit) + " of byte " + std::to_string(at));
    copy->disk().FlipBit(path, at, bit);
    const auto refused = ReplayLog(copy->files(), kTable, std::nullopt, nullptr);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kCorruption);
    copy->disk().FlipBit(path, at, bit);
  }
  machine_.disk().FlipBit(path, bytes / 2, 1);
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, std::nullopt);
}

TEST_F(LogUpkeepTest, ATruncatedCheckpointIsPassedOver) {
  Append(20);
  ASSERT_TRUE(Checkpoint(10));
  const Collected before = Read();
  const auto whole = *files().ReadAll(kLog + "/" + VersionedName(10, ".checkpoint.parquet"));
  for (const size_t length :
       {size_t{0}, size_t{3}, size_t{12}, whole.size() / 2, whole.size() - 1}) {
    const std::string path = kLog + "/" + VersionedName(20, ".checkpoint.parquet");
    ASSERT_TRUE(env::PutAtomically(files(), path, std::span(whole).first(length)));
    EXPECT_EQ(Read(), before);
    EXPECT_EQ(state_.checkpoint, 10);
  }
}

// A read that failed may succeed the next time, so nothing may be made of it: neither another
// state nor the verdict that the table is lost.
TEST_F(LogUpkeepTest, AFailedReadIsNoDamage) {
  using env::simulated::Operation;
  Append(15);
  ASSERT_TRUE(Checkpoint(10));
  RemoveCommitsBefore(10);
  const Collected whole = Read();
  int failed = 0;
  for (uint64_t nth = 1;; ++nth) {
    machine_.faults()[Operation::kRead].number = machine_.operations(Operation::kRead) + nth;
    Collected collected;
    const auto state = ReplayLog(files(), kTable, std::nullopt, &collected);
    machine_.faults() = {};
    if (state) {
      EXPECT_EQ(collected, whole);
      break;
    }
    ASSERT_EQ(state.error().code(), ErrorCode::kIoError)
        << "read " << nth << ": " << state.error().ToString();
    ++failed;
  }
  EXPECT_GT(failed, 3);
}

TEST_F(LogUpkeepTest, AGapInTheLogIsRefusedWithItsVersion) {
  Append(14);
  ASSERT_TRUE(Checkpoint(10));
  ASSERT_TRUE(files().Remove(kLog + "/" + VersionedName(12, ".json")));
  const auto refused = ReplayLog(files(), kTable, std::nullopt, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorruption);
  EXPECT_NE(refused.error().message().find("commit 12 "), std::string::npos);
}

TEST_F(LogUpkeepTest, ReadsOlderVersions) {
  Append(25);
  const Collected at_17 = Read(17);
  const Collected at_4 = Read(4);
  ASSERT_TRUE(Checkpoint(10));
  ASSERT_TRUE(Checkpoint(20));
  EXPECT_EQ(Read(17), at_17);
  EXPECT_EQ(state_.checkpoint, 10);
  EXPECT_EQ(Read(4), at_4);
  EXPECT_EQ(state_.checkpoint, std::nullopt);
  EXPECT_EQ(ReplayLog(files(), kTable, 26, nullptr).error().code(), ErrorCode::kNotFound);
}

// Parts and sidecars are Parquet files like any checkpoint's; here each holds some of the files.
TEST_F(LogUpkeepTest, ReadsCheckpointsOfSeveralFiles) {
  Append(10);
  const Collected before = Read();
  const LogState state = state_;
  const auto write = [&](const std::string& name, int from, int to) {
    auto writer = *CheckpointWriter::Create(files(), kLog + "/" + name);
    struct Between final : FileSink {
      base::Result<void> Add(AddFile file) override {
        const int number = seen++;
        return number >= from && number < to ? out->Add(file) : base::Result<void>();
      }
      base::Result<void> Remove(RemoveFile /*file*/) override { return {}; }
      void Restart() override { seen = 0; }
      CheckpointWriter* out = nullptr;
      int from = 0, to = 0, seen = 0;
    } sink;
    sink.out = writer.get();
    sink.from = from;
    sink.to = to;
    ASSERT_TRUE(ReplayLog(files(), kTable, 10, &sink));
    ASSERT_TRUE(writer->Publish(state));
  };
  const std::string v10 = VersionedName(10, ".checkpoint.");
  write(v10 + "0000000001.0000000003.parquet", 0, 3);
  write(v10 + "0000000003.0000000003.parquet", 6, 100);
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, std::nullopt) << "a part is missing";
  write(v10 + "0000000002.0000000003.parquet", 3, 6);
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, 10);
  for (int part = 1; part <= 3; ++part)
    ASSERT_TRUE(files().Remove(kLog + "/" + v10 + "000000000" + std::to_string(part) +
                               ".0000000003.parquet"));

  ASSERT_TRUE(files().CreateFolders(kLog + "/_sidecars"));
  write("_sidecars/one.parquet", 0, 5);
  const std::string top = R"({"checkpointMetadata":{"version":10}}
{"protocol":)" + RenderProtocol(*state.protocol) +
                          "}\n{\"metaData\":" + RenderMetadata(*state.metadata) + R"(}
{"txn":{"appId":"headrace/l/s","version":10}}
{"sidecar":{"path":"one.parquet","sizeInBytes":1,"modificationTime":1}}
{"sidecar":{"path":"two.parquet","sizeInBytes":1,"modificationTime":1}})";
  const std::string name = v10 + "80a083e8-7026-4e79-81be-64bd76c43a11.json";
  ASSERT_TRUE(env::PutIfAbsent(files(), kLog + "/" + name,
                               {reinterpret_cast<const uint8_t*>(top.data()), top.size()}));
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, std::nullopt) << "a sidecar is missing";
  write("_sidecars/two.parquet", 5, 100);
  EXPECT_EQ(Read(), before);
  EXPECT_EQ(state_.checkpoint, 10);
  EXPECT_EQ(state_.transactions.at("headrace/l/s").version, 10U);
  EXPECT_FALSE(state_.removals_known);
  EXPECT_EQ(state_.forgotten_ms, files().Facts(kLog + "/" + name)->modified_at.us / 1000);
}

TEST_F(LogUpkeepTest, ChecksumFilesCountTheFiles) {
  const auto tend = [&] {
    UpkeepTask task = table_->TakeUpkeep();
    if (task == nullptr) return;
    const auto done = task();
    ASSERT_TRUE(done) << done.error().ToString();
  };
  const auto checked = [&](int64_t version) {
    const auto bytes = files().ReadAll(kLog + "/" + VersionedName(version, ".crc"));
    ASSERT_TRUE(bytes) << version;
    const auto json = nlohmann::json::parse(*bytes);
    const Collected all = Read(version);
    EXPECT_EQ(json["numFiles"], all.adds.size());
    EXPECT_EQ(json["setTransactions"][0]["version"],
              state_.transactions.at("headrace/l/s").version);
  };
  Append(3);
  tend();
  checked(3);
  EXPECT_EQ(table_->TakeUpkeep(), nullptr);
  PutForeignFiles();  // from here on nobody counts, until the next checkpoint
  Append(1);
  tend();
  EXPECT_FALSE(Has(5, ".crc"));
  Append(5);
  tend();
  EXPECT_TRUE(Has(10, ".checkpoint.parquet"));
  Append(1);
  tend();
  checked(11);
  table_ = *DeltaTable::OpenForAppend(machine_, kTable, "t", OneColumn(), options_);
  Append(1);
  tend();
  checked(12);
}

// A writer that begins anew reads what others did meanwhile, and has counted nothing of it.
TEST_F(LogUpkeepTest, AWriterThatSleptWritesNoWrongChecksumFile) {
  const auto tend = [&] {
    if (UpkeepTask task = table_->TakeUpkeep(); task != nullptr) ASSERT_TRUE(task());
  };
  Append(10);
  tend();
  Append(1);
  tend();
  ASSERT_TRUE(Has(11, ".crc"));
  PutForeign(
      R"({"add":{"path":"h.parquet","partitionValues":{},"size":8,"modificationTime":6,"dataChange":true}})",
      Seen::kNo);
  machine_.RunFor(hours(13));
  Append(1);
  tend();
  ASSERT_EQ(table_->snapshot().version, 13);
  EXPECT_FALSE(Has(13, ".crc")) << "nobody counted the other's file";
  Append(8);
  tend();
  Append(1);
  tend();
  const auto bytes = files().ReadAll(kLog + "/" + VersionedName(22, ".crc"));
  ASSERT_TRUE(bytes) << "the checkpoint of 20 counts";
  EXPECT_EQ(nlohmann::json::parse(*bytes)["numFiles"], Read(22).adds.size());
}

TEST_F(LogUpkeepTest, OldCommitsGoWhenACheckpointStandsForThem) {
  Append(15);
  ASSERT_TRUE(Checkpoint(10));
  const auto clean = [&] {
    const auto removed = CleanUpLog(machine_, kTable, state_, options_);
    EXPECT_TRUE(removed) << removed.error().ToString();
    return removed ? *removed : 0;
  };
  const Collected before = Read();
  EXPECT_EQ(clean(), 0U) << "nothing is old";
  machine_.StepWall(hours(24 * 40));
  Append(10);
  ASSERT_TRUE(Checkpoint(20));
  const Collected at_17 = Read(17);
  Read();
  // The newest checkpoint that is old enough is of 10; that of 20 is young.
  EXPECT_EQ(clean(), 10U);
  EXPECT_FALSE(Has(9, ".json"));
  EXPECT_TRUE(Has(10, ".json"));
  EXPECT_EQ(clean(), 0U);
  EXPECT_EQ(Read(15), before);
  EXPECT_EQ(Read(17), at_17);
  const auto gone = ReplayLog(files(), kTable, 9, nullptr);
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message().find("cleaned away"), std::string::npos);
  machine_.StepWall(hours(24 * 40));
  machine_.disk().FlipBit(kLog + "/" + VersionedName(20, ".checkpoint.parquet"), 100, 1);
  Append(1);
  Read();
  const auto refused = CleanUpLog(machine_, kTable, state_, options_);
  EXPECT_FALSE(refused) << "the checkpoint that would stand for the commits is damaged";
  EXPECT_TRUE(Has(10, ".json"));
}

TEST_F(LogUpkeepTest, CommitsWithoutATimeStay) {
  Append(10);
  ASSERT_TRUE(Checkpoint(10));
  for (int64_t version = 0; version <= 10; ++version)
    ASSERT_TRUE(files().SetModifiedAt(kLog + "/" + VersionedName(version, ".json"), {0}));
  machine_.StepWall(hours(24 * 40));
  Append(1);
  Read();
  EXPECT_EQ(*CleanUpLog(machine_, kTable, state_, options_), 0U);
  EXPECT_TRUE(Has(0, ".json"));
}

TEST_F(LogUpkeepTest, TheTableMaySayHowLongCommitsAreKept) {
  Append(10);
  ASSERT_TRUE(Checkpoint(10));
  machine_.StepWall(hours(24 * 40));
  Append(1);
  Read();
  for (const char* keep : {"interval 50 days", "interval 1 fortnight", "forever"}) {
    LogState state = state_;
    state.metadata->configuration["delta.logRetentionDuration"] = keep;
    EXPECT_EQ(*CleanUpLog(machine_, kTable, state, options_), 0U) << keep;
  }
  LogState state = state_;
  state.metadata->configuration["delta.enableExpiredLogCleanup"] = "false";
  EXPECT_EQ(*CleanUpLog(machine_, kTable, state, options_), 0U);
  EXPECT_EQ(*CleanUpLog(machine_, kTable, state_, options_), 10U);
}

// Versions that it never saw were made and cleaned away: the one after its own looks free.
TEST_F(LogUpkeepTest, AWriterThatSleptDoesNotReviveAnOldVersion) {
  Append(3);
  const auto other = *DeltaTable::OpenForAppend(machine_, kTable, "t", OneColumn(), options_);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(other->Append({}, {"else", static_cast<uint64_t>(i)}));
  machine_.RunFor(hours(24 * 40));
  ASSERT_TRUE(Checkpoint(10));
  Read();
  ASSERT_EQ(*CleanUpLog(machine_, kTable, state_, options_), 10U);
  Append(1);
  EXPECT_EQ(table_->snapshot().version, 12);
  EXPECT_FALSE(Has(4, ".json"));
  EXPECT_EQ(Read().adds.size(), 4U);
}

// It begins anew, and meets what it does not know as often as it is asked.
TEST_F(LogUpkeepTest, AWriterThatSleptTakesNothingOverThatItDoesNotKnow) {
  Append(3);
  PutForeign(
      R"({"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping"],"writerFeatures":["columnMapping"]}})",
      Seen::kNo);
  machine_.RunFor(hours(13));
  for (int i = 0; i < 3; ++i) {
    const auto refused = table_->Append({}, {"headrace/l/s", 99});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
    EXPECT_EQ(table_->snapshot().version, 3);
    EXPECT_EQ(table_->first_columns().size(), 1U);
  }
}

// Another's version that came first once is no reason to believe a marker that went back.
TEST_F(LogUpkeepTest, AWriterThatSleptStopsWhereItsMarkerWasMoved) {
  Append(2);
  PutForeign(
      R"({"add":{"path":"h.parquet","partitionValues":{},"size":8,"modificationTime":6,"dataChange":true}})",
      Seen::kNo);
  Append(1);  // goes behind it
  machine_.RunFor(hours(13));
  PutForeign(R"({"txn":{"appId":"headrace/l/s","version":1000}})", Seen::kNo);
  const auto refused = table_->Append({}, {"headrace/l/s", 7});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_NE(refused.error().message().find("slept"), std::string::npos);
}

TEST(ParseInterval, ReadsWhatDeltaWrites) {
  EXPECT_EQ(ParseInterval("interval 30 days"), hours(720));
  EXPECT_EQ(ParseInterval("INTERVAL 1 week 2 hours"), hours(170));
  EXPECT_EQ(ParseInterval("90 minutes"), std::chrono::minutes(90));
  for (const char* bad : {"", "interval", "interval x days", "interval 3 moons", "interval -1 day",
                          "interval 99999999999999999 weeks"})
    EXPECT_EQ(ParseInterval(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace headrace::tables::delta

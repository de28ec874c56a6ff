// OPTIMIZE and vacuum beside a publisher, on the simulated machine: crashes at each step, other
// writers in between, and random histories. The oracle is the log.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string_view>

#include "env/crash_points.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/publish/publisher_fixture.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;
using std::chrono::milliseconds;
using Effort = RewriteRequest::Effort;

constexpr uint64_t kTarget = RewriteRequest::kTargetBytesMin;

OptimizeRequest Packing() {
  OptimizeRequest request;
  request.target_bytes = kTarget;
  return request;
}

// One that makes some versions: plans of four files.
PublisherOptions Often(const std::vector<std::string>& z_order) {
  PublisherOptions options = Quick();
  options.optimize = {.every = milliseconds(300), .request = Packing()};
  options.optimize->request.z_order = z_order;
  options.rewrite_limits.files_max = 4;
  return options;
}

size_t FilesOf(SimulatedEnvironment& machine) {
  const auto table = TableReader::Open(machine, kTable);
  EXPECT_TRUE(table) << table.error().ToString();
  return table ? (*table)->files() : 0;
}

// The rows of the log that the table has, as a reader of history gets them: by their positions.
void ExpectHistory(SimulatedEnvironment& machine, Life& life) {
  const auto table = TableReader::Open(machine, kTable);
  ASSERT_TRUE(table) << table.error().ToString();
  const auto reader = log::LogReader::Open(machine, "data/log");
  ASSERT_TRUE(reader) << reader.error().ToString();
  const auto stretches = (*table)->FilesOf((*reader)->log(), life.stream.id);
  ASSERT_TRUE(stretches) << stretches.error().ToString();
  std::vector<uint64_t> all;
  for (const TableReader::Stretch& stretch : *stretches) {
    std::vector<uint64_t> positions;
    for (const size_t file : stretch.files)
      ASSERT_TRUE((*table)->ScanFile(file, life.stream.schema,
                                     [&](const PositionedRows& rows) -> base::Result<void> {
                                       for (const columns::Position position : rows.positions)
                                         positions.push_back(position.packed);
                                       return {};
                                     }));
    if (stretch.in_order) {
      EXPECT_TRUE(std::ranges::is_sorted(positions));
      EXPECT_EQ(stretch.files.size(), 1U);
    }
    std::ranges::sort(positions);
    all.insert(all.end(), positions.begin(), positions.end());
  }
  EXPECT_TRUE(std::ranges::is_sorted(all)) << "a stretch reaches into the next";
  const auto log = life.RowsOfLog(life.publisher->status().committed);
  ASSERT_TRUE(log);
  ASSERT_EQ(all.size(), log->size());
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], (*log)[i].position);
}

void Flush(Life& life) {
  const auto flushed = life.Flush();
  ASSERT_TRUE(flushed && *flushed) << (flushed ? flushed->error().ToString() : "no answer");
}

TEST(Rewriting, PacksSmallFiles) {
  SimulatedEnvironment machine(1);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 100);
  Flush(*life);
  const size_t before = FilesOf(machine);
  ASSERT_GT(before, 10U);
  const auto dry = life->Optimize([] {
    OptimizeRequest request = Packing();
    request.run = OptimizeRequest::Run::kDry;
    return request;
  }());
  ASSERT_TRUE(dry && *dry);
  EXPECT_EQ((*dry)->choice.files, before);
  EXPECT_EQ((*dry)->versions, 0U);
  EXPECT_EQ(FilesOf(machine), before);
  const auto done = life->Optimize(Packing());
  ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
  EXPECT_EQ((*done)->files_taken, before);
  EXPECT_EQ((*done)->files_made, (*dry)->choice.files_made);
  EXPECT_EQ(FilesOf(machine), (*done)->files_made);
  EXPECT_LT(FilesOf(machine), before);
  life->ExpectTableIsLog();  // the order of positions is kept
  ExpectHistory(machine, *life);
  // The publisher goes on, and what it adds is packed with what was.
  Work(machine, *life, next, 20);
  Flush(*life);
  life->ExpectTableIsLog();
  const auto again = life->Optimize(Packing());
  ASSERT_TRUE(again && *again);
  EXPECT_GT((*again)->versions, 0U);
  life->ExpectTableIsLog();
  ExpectHistory(machine, *life);
}

// A plan's files are there, its commit fails, and before it is tried again a rewriting gives the
// table the wider column that its contract has by now.
TEST(Rewriting, MayWidenTheTableBetweenTwoTriesOfAPlan) {
  constexpr auto kLink = env::simulated::Operation::kLink;
  PublisherOptions options = Quick();
  options.retry_min = std::chrono::seconds(30);
  int widened = 0;
  for (uint64_t link = 1; link <= 8; ++link) {  // of a data file, a commit, a checkpoint ...
    SCOPED_TRACE(link);
    SimulatedEnvironment machine(link);
    auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kEventTime, options,
                         WithItems(columns::Type::kInt32));
    int64_t next = 0;
    Work(machine, *life, next, 40);
    machine.faults()[kLink].number = machine.operations(kLink) + link;
    Work(machine, *life, next, 40);
    const bool retries = life->publisher->status().state == PublisherStatus::State::kRetrying;
    life->Evolve(WithItems(columns::Type::kInt64));
    Work(machine, *life, next, 5);
    const auto done = life->Optimize(Packing());
    ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
    const auto table = delta::DeltaTable::Open(machine, kTable, delta::Keep::kNoFiles);
    ASSERT_TRUE(table) << table.error().ToString();
    const columns::Schema& schema = (*table)->columns();
    const bool wide = schema.field(*schema.IndexOf("items")).type == columns::Type::kInt64;
    widened += retries && wide ? 1 : 0;
    machine.RunFor(std::chrono::minutes(2));
    Flush(*life);
    life->ExpectTableIsLog(Life::Order::kAny);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GE(widened, 2);
}

TEST(Rewriting, ZOrderKeepsEveryRowAndItsPosition) {
  SimulatedEnvironment machine(1);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 60);
  Flush(*life);
  OptimizeRequest request = Packing();
  request.z_order = {"s", "n"};
  const auto done = life->Optimize(request);
  ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
  life->ExpectTableIsLog(Life::Order::kAny);
  ExpectHistory(machine, *life);
  const auto rows = life->RowsOfTable();
  EXPECT_FALSE(std::ranges::is_sorted(*rows, {}, &TableRow::position)) << "it is another order";
}

// More text of a column in one plan than a batch holds.
TEST(Rewriting, ZOrderOfMoreTextThanABatchHolds) {
  SimulatedEnvironment machine(1);
  PublisherOptions options = Quick();
  options.rewrite_limits.sorted_text_bytes_max = 1000;
  auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kEventTime, options);
  int64_t next = 0;
  Work(machine, *life, next, 60);
  Flush(*life);
  OptimizeRequest request = Packing();
  request.z_order = {"s", "n"};
  const auto done = life->Optimize(request);
  ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
  EXPECT_EQ((*done)->versions, 1U);
  EXPECT_GT((*done)->files_made, (*done)->choice.files_made) << "a piece begins a file";
  life->ExpectTableIsLog(Life::Order::kAny);
  ExpectHistory(machine, *life);
}

TEST(Rewriting, WhatIsAskedWrongIsRefused) {
  SimulatedEnvironment machine(1);
  auto life = OpenLife(machine);
  int64_t next = 0;
  Work(machine, *life, next, 20);
  Flush(*life);
  const auto refused = [&](const OptimizeRequest& request) {
    const auto answer = life->Optimize(request);
    EXPECT_TRUE(answer);
    return answer && !*answer ? answer->error().message() : std::string();
  };
  EXPECT_THAT(refused({.where = "m = 1", .z_order = {}}), testing::HasSubstr("no column `m`"));
  EXPECT_THAT(refused({.where = "", .z_order = {"m"}}), testing::HasSubstr("no column `m`"));
  EXPECT_THAT(refused({.where = "", .z_order = {"n", "n"}}), testing::HasSubstr("twice"));
  EXPECT_THAT(refused({.where = "", .z_order = {}, .target_bytes = 1000}),
              testing::HasSubstr("64KiB"));
}

// What a version names is there for those who travel back to it.
TEST(Rewriting, OlderVersionsReadAsTheyDid) {
  SimulatedEnvironment machine(1);
  PublisherOptions options = Quick();
  options.upkeep.log_retention = std::chrono::hours(24);
  auto life = OpenLife(machine, pipeline::KnownAtRule::Kind::kEventTime, options);
  int64_t next = 0;
  Work(machine, *life, next, 60);
  Flush(*life);
  const int64_t version = (*TableReader::Open(machine, kTable))->version();
  const auto rows_at = [&](int64_t at) {
    const auto reader = delta::DeltaReader::Open(machine, kTable, {.version = at});
    EXPECT_TRUE(reader) << reader.error().ToString();
    std::vector<int64_t> rows;
    for (const delta::AddFile& file : (*reader)->files()) {
      const auto data = ParquetReader::Open(machine.files(), std::string(kTable) + "/" + file.path,
                                            file.checksum);
      EXPECT_TRUE(data) << data.error().ToString();
      const auto batch = (*data)->ReadAll(EventSchema());
      const auto values = batch->column(1).Int64s();
      rows.insert(rows.end(), values.begin(), values.end());
    }
    std::ranges::sort(rows);
    return rows;
  };
  const auto before = rows_at(version);
  ASSERT_TRUE(*life->Optimize(Packing()));
  EXPECT_EQ(rows_at(version), before);
  EXPECT_EQ(rows_at((*TableReader::Open(machine, kTable))->version()), before);
  // A vacuum within the retention takes nothing of it; one that is told to takes all of it.
  const auto kept = life->Vacuum({});
  ASSERT_TRUE(kept && *kept) << kept->error().ToString();
  EXPECT_EQ((*kept)->files, 0U);
  EXPECT_GT((*kept)->kept_young, 0U);
  const auto refused = life->Vacuum({.retain = base::Duration(0)});
  ASSERT_TRUE(refused && !*refused);
  EXPECT_EQ(refused->error().code(), ErrorCode::kFailedPrecondition);
  machine.RunFor(std::chrono::seconds(3));
  const auto gone =
      life->Vacuum({.retain = base::Duration(0), .floor = VacuumRequest::Floor::kWaived});
  ASSERT_TRUE(gone && *gone) << gone->error().ToString();
  EXPECT_EQ((*gone)->files, (*kept)->kept_young);
  EXPECT_EQ((*machine.files().List(kTable)).size(), FilesOf(machine) + 1) << "and the log";
  EXPECT_EQ(rows_at((*TableReader::Open(machine, kTable))->version()), before);
}

TEST(Rewriting, APlanThatIsCarriedOutAgainMakesTheSameBytes) {
  for (const auto& z_order : {std::vector<std::string>{}, {"s", "n"}}) {
    Faults faults{.crash_point = "rewrite.before_commit"};
    auto machine = std::make_unique<SimulatedEnvironment>(1, faults);
    int64_t next = 0;
    {
      auto life = OpenLife(*machine, pipeline::KnownAtRule::Kind::kEventTime, Often(z_order));
      Work(*machine, *life, next, 200);
      ASSERT_TRUE(machine->crashed());
    }
    machine->Crash(CrashKind::kKill);
    machine = machine->Reboot(2);
    auto life = OpenLife(*machine);
    machine->RunFor(milliseconds(500));
    EXPECT_GT(machine->crash_point_visits().at("publish.file_was_there"), 0U);
    EXPECT_EQ(life->publisher->status().optimize.versions, 1U);
    EXPECT_EQ(life->publisher->status().optimize.failed, 0U);
    Flush(*life);
    life->ExpectTableIsLog(Life::Order::kAny);
  }
}

bool IsOnTheWayOfRewriting(std::string_view point) {
  constexpr std::array kOthers = {std::string_view("rewrite.before_redo"),
                                  std::string_view("rewrite.before_retry")};
  return (point.starts_with("rewrite.") || point.starts_with("delta.before_replace") ||
          point.starts_with("delta.after_replace")) &&
         std::ranges::find(kOthers, point) == kOthers.end();
}

TEST(Rewriting, SurvivesACrashAtEachOfItsPoints) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const std::string_view point : env::kCrashPoints) {
    if (!IsOnTheWayOfRewriting(point)) continue;
    for (uint64_t hit = 1; hit <= 3; ++hit) {
      for (const CrashKind kind : {CrashKind::kPowerCut, CrashKind::kKill}) {
        SCOPED_TRACE(std::string(point) + " at visit " + std::to_string(hit));
        Faults faults;
        faults.crash_point = point;
        faults.crash_hit = hit;
        faults.crash_kind = kind;
        auto machine = std::make_unique<SimulatedEnvironment>(random(), faults);
        const auto options =
            Often(hit == 2 ? std::vector<std::string>{"s", "n"} : std::vector<std::string>{});
        int64_t next = 0;
        int64_t acknowledged = 0;
        {
          auto life = OpenLife(*machine, pipeline::KnownAtRule::Kind::kEventTime, options);
          Work(*machine, *life, next, 300);
          ASSERT_TRUE(machine->crashed()) << "the point was not reached";
          acknowledged = life->acknowledged;
        }
        machine = machine->Reboot(random());
        auto life = OpenLife(*machine, pipeline::KnownAtRule::Kind::kEventTime, options);
        Work(*machine, *life, next, 10);
        machine->RunFor(std::chrono::seconds(2));
        Flush(*life);
        life->ExpectTableIsLog(Life::Order::kAny);
        ExpectHistory(*machine, *life);
        EXPECT_GE(static_cast<int64_t>(life->RowsOfTable()->size()), acknowledged);
        EXPECT_EQ(life->publisher->status().optimize.failed, 0U)
            << life->publisher->status().optimize.reason;
      }
    }
  }
}

// Somebody else's commit, between the plan of a rewriting and its own.
class ForeignCommits : public testing::Test {
 protected:
  void SetUp() override {
    life_ = OpenLife(machine_);
    Work(machine_, *life_, next_, 60);
    Flush(*life_);
    file_ = [&] {
      const auto names = machine_.files().List(kTable);
      for (const std::string& name : *names)
        if (name.ends_with(".parquet")) return name;
      return std::string();
    }();
  }
  void Put(const std::string& actions) {
    const auto listing = delta::ListLog(machine_.files(), kLog);
    const std::string path = kLog + "/" + delta::VersionedName(*listing->newest() + 1, ".json");
    ASSERT_TRUE(
        env::PutIfAbsent(machine_.files(), path,
                         {reinterpret_cast<const uint8_t*>(actions.data()), actions.size()}));
  }
  // Runs a rewriting, and `meanwhile` once its files are written.
  base::Result<OptimizeReport> OptimizeWith(const std::function<void()>& meanwhile) {
    std::optional<base::Result<OptimizeReport>> answer;
    machine_.Run([&] {
      life_->publisher->Optimize(
          Packing(), [&](base::Result<OptimizeReport> report) { answer = std::move(report); });
    });
    machine_.RunUntil([&] {
      const auto& visits = machine_.crash_point_visits();
      return visits.contains("rewrite.after_file");
    });
    machine_.Run(meanwhile);
    machine_.RunUntil([&] { return answer.has_value(); });
    return std::move(*answer);
  }
  std::string Removal(const std::string& vector = "") const {
    return R"({"commitInfo":{"operation":"DELETE"}})"
           "\n"
           R"({"remove":{"path":")" +
           file_ + R"(","dataChange":true,"deletionTimestamp":1)" + vector + "}}\n";
  }
  std::string Addition(const std::string& vector) const {
    return R"({"add":{"path":")" + file_ +
           R"(","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true,)"
           R"("stats":"{\"numRecords\":1}")" +
           vector + "}}\n";
  }

  const std::string kLog = std::string(kTable) + "/_delta_log";
  SimulatedEnvironment machine_{1};
  std::unique_ptr<Life> life_;
  int64_t next_ = 0;
  std::string file_;
};

TEST_F(ForeignCommits, AFileThatIsGoneEndsThePlan) {
  const size_t files = FilesOf(machine_);
  const auto report = OptimizeWith([&] { Put(Removal()); });
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->given_up, 1U);
  EXPECT_EQ(report->versions, 0U);
  EXPECT_EQ(FilesOf(machine_), files - 1) << "what they removed stays removed";
  // The publisher has lost nothing by it, and the next one does without the file.
  Work(machine_, *life_, next_, 10);
  Flush(*life_);
  const auto again = life_->Optimize(Packing());
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->given_up, 0U);
  EXPECT_GT((*again)->versions, 0U);
}

// The path is there still, with fewer rows: to look at paths alone would bring them back.
TEST_F(ForeignCommits, RowsThatWereDeletedMeanwhileStayDeleted) {
  const std::string vector =
      R"(,"deletionVector":{"storageType":"i","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":1})";
  const auto report = OptimizeWith([&] { Put(Removal() + Addition(vector)); });
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->given_up, 1U);
  EXPECT_EQ(report->versions, 0U);
  const auto again = life_->Optimize(Packing());
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->choice.deletions, 1U) << "the file is left as it is";
}

TEST_F(ForeignCommits, AnAppendIsNotInTheWay) {
  const auto report = OptimizeWith([&] {
    Put(R"({"commitInfo":{"operation":"WRITE"}})"
        "\n"
        R"({"add":{"path":"theirs.parquet","partitionValues":{},"size":1,"modificationTime":0,)"
        R"("dataChange":true,"stats":"{\"numRecords\":1}"}})"
        "\n");
  });
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->versions, 1U);
  EXPECT_EQ(FilesOf(machine_), report->files_made + 1);
}

TEST_F(ForeignCommits, AnotherSchemaEndsTheRewriting) {
  const auto report = OptimizeWith([&] {
    Put(R"({"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":)"
        R"("{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}})"
        "\n");
  });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kConflict);
}

// Publisher and rewriter share the table: what the one may not follow is met by the other, too.
TEST_F(ForeignCommits, WhatEndsTheRewritingStopsThePublisher) {
  const auto report = OptimizeWith([&] {
    Put(R"({"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}})"
        "\n");
  });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kUnsupported);
  const auto theirs = delta::ListLog(machine_.files(), kLog)->newest();
  Work(machine_, *life_, next_, 10);
  EXPECT_EQ(life_->publisher->status().state, PublisherStatus::State::kStopped);
  EXPECT_NE(life_->publisher->status().reason.find("rowTracking"), std::string::npos);
  EXPECT_EQ(delta::ListLog(machine_.files(), kLog)->newest(), theirs);
}

// Rows that come, files that are packed, put in order and vacuumed, and lives that end: in any
// order.
TEST(Rewriting, RandomHistoriesEqualTheLog) {
  const uint64_t first = std::random_device{}();
  for (uint64_t seed = first; seed < first + 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto machine = std::make_unique<SimulatedEnvironment>(random());
    auto life = OpenLife(*machine);
    int64_t next = 0;
    for (int step = 0; step < 40; ++step) {
      switch (random() % 6) {
        case 0: {
          machine->Crash(random() % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill);
          life.reset();
          machine = machine->Reboot(random());
          life = OpenLife(*machine);
          machine->RunFor(milliseconds(200));
          break;
        }
        case 1: {
          OptimizeRequest request = Packing();
          request.target_bytes <<= random() % 3;
          if (random() % 3 == 0) request.effort = Effort::kWorthwhile;
          if (random() % 2 == 0)
            request.z_order = random() % 2 == 0 ? std::vector<std::string>{"s"}
                                                : std::vector<std::string>{"n", "at"};
          if (random() % 3 == 0) request.where = "n >= " + std::to_string(random() % (next + 1));
          const auto done = life->Optimize(request);
          ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
          break;
        }
        case 2: {
          machine->RunFor(std::chrono::seconds(2));
          const auto done =
              life->Vacuum({.retain = base::Duration(0), .floor = VacuumRequest::Floor::kWaived});
          ASSERT_TRUE(done && *done) << (done ? done->error().ToString() : "no answer");
          break;
        }
        default: Work(*machine, *life, next, static_cast<int>(random() % 30));
      }
      if (step % 4 != 0) continue;
      Flush(*life);
      life->ExpectTableIsLog(Life::Order::kAny);
      ExpectHistory(*machine, *life);
      if (testing::Test::HasFailure()) break;
    }
    machine->Crash(CrashKind::kKill);  // with batches under way
    life.reset();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace headrace::tables

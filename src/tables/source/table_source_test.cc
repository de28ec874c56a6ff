// A source over a log, on the simulated machine. The oracle is what the other writer wrote: every
// row of it has to be in the log once, whatever dies in between.

#include "tables/source/table_source.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>

#include "env/simulated/environment.h"
#include "tables/delta/foreign_table.h"
#include "tables/source/logged_rows.h"

namespace headrace::tables {
namespace {

using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;
using foreign_table::ForeignTable;
using foreign_table::kBegin;
using foreign_table::Row;
using foreign_table::Rows;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Change = ForeignTable::Change;
using Definition = pipeline::TableSourceDefinition;
using InForce = TableSourceOptions::InForce;
using State = TableSourceStatus::State;

constexpr const char* kTable = "lake/shops";

contract::ContractRef ShopsContract(const std::string& text) {
  auto parsed = contract::Contract::Parse("c.yaml", text, "");
  HR_CHECK(parsed.contract != nullptr, "the test's contract is broken");
  return parsed.contract;
}

// The contract before it got its last field, which the table has.
contract::ContractRef WithoutNote() {
  const std::string text(foreign_table::kContract);
  return ShopsContract(text.substr(0, text.find("      - {name: note")));
}

class World {
 public:
  explicit World(uint64_t seed = 1, Definition definition = {})
      : random_(seed),
        machine_(std::make_unique<SimulatedEnvironment>(seed)),
        definition_(std::move(definition)),
        contract_(ShopsContract(std::string(foreign_table::kContract))),
        table_(kTable, contract_->schema()) {
    definition_.folder = kTable;
    definition_.every = seconds(1);
    table_.Create(*machine_, "t-1");
  }
  ~World() {
    machine_->Crash();
    End();
  }

  void Start() {
    machine_->Run([&] {
      std::vector<SourcePosition> positions;
      log::LogOptions options;
      options.clock = log::ClockMode::kEvents;
      options.segment_bytes = 1 << 20;
      if (producers_max_) options.producers_max = *producers_max_;
      if (queue_bytes_max_) options.queue_bytes_max = *queue_bytes_max_;
      auto opened = log::Sequencer::Open(
          *machine_, budget_, "data/log", options,
          [&](const log::Epoch& epoch) -> base::Result<void> {
            for (const log::ControlEntry& entry : epoch.controls) {
              HR_TRY(auto position, DecodePosition(entry));
              if (!position) continue;
              if (columns_unknown_) position->fields.clear();
              std::erase_if(positions, [&](const auto& p) { return p.table == position->table; });
              positions.push_back(*position);
            }
            return {};
          });
      if (machine_->crashed()) return;
      ASSERT_TRUE(opened) << opened.error().ToString();
      sequencer_ = std::move(*opened);
      const log::StreamTiming timing{.event_time_field = 1,
                                     .late = std::chrono::hours(1),
                                     .max_ahead = std::chrono::hours(24)};
      const auto id = sequencer_->AddStream("shops", contract_->schema(), timing);
      ASSERT_TRUE(id) << id.error().ToString();
      stream_ = *id;
      sequencer_->Start([](const log::EpochRef& /*epoch*/) {});
      source_ = std::make_unique<TableSource>(
          *machine_, budget_,
          TableSourceOptions{
              .stream = "shops",
              .id = *id,
              .in_force = [this] { return TableSourceOptions::InForce{contract_, 1}; },
              .folder = kTable,
              .definition = definition_,
              .piece_rows = piece_rows_,
              .piece_bytes = piece_bytes_,
              .pieces_per_position = pieces_per_position_},
          TableSource::Log{.submit =
                               [this](columns::EventBatch batch, log::AckCallback done) {
                                 sequencer_->Submit(std::move(batch), std::move(done));
                               },
                           .append =
                               [this](log::ControlEntry entry, auto done) {
                                 sequencer_->Append(std::move(entry), std::move(done));
                               },
                           .last_sequence =
                               [this](base::StreamId stream, const std::string& producer) {
                                 return sequencer_->LastSequence(stream, producer);
                               },
                           .id = sequencer_->status().log.ToString()},
          std::move(positions));
    });
  }
  void End() {
    source_.reset();
    sequencer_.reset();
  }
  void Die(const Faults& faults = {}, CrashKind kind = CrashKind::kPowerCut) {
    machine_->Crash(kind);
    End();
    machine_ = machine_->Reboot(random_(), faults);
    Start();
    if (machine_->crashed()) Die();
  }

  // As a writer that is none of ours has it: without our checksum.
  std::string CommitOfAnother(int64_t version) {
    const auto bytes = machine_->files().ReadAll(table_.CommitPath(version));
    std::string text(bytes->begin(), bytes->end());
    const std::string ours = "headraceXxh3";
    return text.replace(text.find(ours), ours.size(), "theirs");
  }
  void WriteCommit(const std::string& path, const std::string& text) {
    HR_CHECK(env::PutAtomically(machine_->files(), path,
                                {reinterpret_cast<const uint8_t*>(text.data()), text.size()}),
             "the test writes no commit");
  }
  void SendHeartbeatOf(const std::string& producer) {
    columns::EventBatch batch;
    batch.stream = stream_;
    batch.source = {.producer = producer, .sequence = 1};
    batch.rows = columns::BatchBuilder(contract_->schema()).Finish();
    bool taken = false;
    sequencer_->Submit(std::move(batch),
                       [&taken](const auto& answer) { taken = answer.has_value(); });
    machine_->RunFor(seconds(1));
    ASSERT_TRUE(taken);
  }

  void Append(const std::vector<Row>& rows) { last_ = table_.Append(*machine_, rows); }
  // Until that many pieces of a version are in the log, and not all.
  void RunUntilPieces(uint64_t pieces) {
    for (int i = 0; i < 5000 && source_->status().pieces < pieces; ++i)
      machine_->RunFor(milliseconds(1));
    ASSERT_GE(source_->status().pieces, pieces);
    ASSERT_EQ(source_->status().state, State::kReading);
  }
  // Until everything that the table has is in the log, or the source has stopped.
  void Settle() {
    for (int i = 0; i < 600 && !machine_->crashed(); ++i) {
      machine_->RunFor(seconds(1));
      const TableSourceStatus status = source_->status();
      if (status.state == State::kStopped) return;
      if (status.state == State::kWaiting && status.taken == table_.newest()) return;
    }
    if (!machine_->crashed()) ADD_FAILURE() << "no rest: " << source_->status().reason;
  }
  std::vector<Row> InLog() {
    foreign_table::LoggedRows logged = foreign_table::RowsInLog(*machine_);
    refused_.insert(refused_.end(), logged.refused.begin(), logged.refused.end());
    return std::move(logged.rows);
  }
  void ExpectAllOnce() {
    std::vector<Row> rows = InLog();
    std::vector<Row> wanted = table_.written();
    std::ranges::sort(rows);
    std::ranges::sort(wanted);
    EXPECT_EQ(rows.size(), wanted.size());
    EXPECT_TRUE(rows == wanted) << "other rows than were written, of " << wanted.size();
  }
  void ExpectStopped(const std::string& why) {
    const TableSourceStatus status = source_->status();
    EXPECT_EQ(status.state, State::kStopped);
    EXPECT_NE(status.reason.find(why), std::string::npos) << status.reason;
  }

  std::mt19937_64 random_;
  std::unique_ptr<SimulatedEnvironment> machine_;
  base::MemoryBudget budget_{1ULL << 30};
  Definition definition_;
  uint32_t piece_rows_ = 700;
  uint64_t piece_bytes_ = TableSourceOptions{}.piece_bytes;
  uint32_t pieces_per_position_ = TableSourceOptions{}.pieces_per_position;
  std::optional<size_t> producers_max_;
  std::optional<uint64_t> queue_bytes_max_;
  bool columns_unknown_ = false;  // positions as builds before logged them
  base::StreamId stream_;
  contract::ContractRef contract_;  // in force
  ForeignTable table_;
  delta::AddFile last_;
  std::vector<columns::RejectedRow> refused_;
  std::unique_ptr<log::Sequencer> sequencer_;
  std::unique_ptr<TableSource> source_;
};

TEST(TableSource, TakesWhatIsThereThenWhatIsAdded) {
  World world;
  world.Append(Rows(2000, 1000));
  world.Append(Rows(0, 2000));  // older, and written later
  world.Start();
  world.Settle();
  EXPECT_EQ(world.InLog(), Rows(0, 3000)) << "files are read by event time";
  world.Append(Rows(3000, 10));
  world.Settle();
  world.table_.Replace(*world.machine_, world.last_, Rows(3000, 10), Change::kFilesOnly,
                       "OPTIMIZE");
  world.Append(Rows(3010, 5));
  world.Settle();
  world.ExpectAllOnce();
  const TableSourceStatus status = world.source_->status();
  EXPECT_EQ(status.versions, 3U);
  EXPECT_GT(status.heartbeats, 0U);
  EXPECT_EQ(status.accepted, 3015U);
  EXPECT_EQ(status.pieces, 7U);  // 3 of 2,000 rows, 2 of 1,000, and two
}

TEST(TableSource, BeginsNow) {
  World world(1, {.from = Definition::From::kNow});
  world.Append(Rows(0, 5));
  world.Start();
  world.Settle();
  EXPECT_TRUE(world.InLog().empty());
  world.machine_->Crash();
  world.End();
  world.machine_ = world.machine_->Reboot(2, {});
  world.Append(Rows(5, 5));  // while nobody looks
  world.Start();
  world.Settle();
  EXPECT_EQ(world.InLog(), Rows(5, 5));
}

TEST(TableSource, BeginsAtAVersion) {
  World world(1, {.from = Definition::From::kVersion, .version = 2});
  world.Append(Rows(0, 5));
  world.Start();
  world.machine_->RunFor(seconds(5));
  EXPECT_TRUE(world.InLog().empty());
  world.Append(Rows(5, 5));
  world.Append(Rows(10, 5));
  world.machine_->RunFor(seconds(120));
  world.Settle();
  EXPECT_EQ(world.InLog(), Rows(5, 10));
}

// Crashes at any moment, of the process or the machine, while the table grows. Another build may
// cut pieces otherwise: what was begun is ended as it was begun.
TEST(TableSource, NothingTwiceAndNothingMissing) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("--gtest_filter=TableSource.NothingTwice*, seed {}", seed));
    World world(seed);
    int64_t next = 0;
    const auto append = [&](int64_t rows) {
      world.Append(Rows(next, rows));
      next += rows;
    };
    append(4'000);
    append(5'000);
    world.Start();
    for (int life = 0; life < 10; ++life) {
      for (int step = 0; step < 6 && !world.machine_->crashed(); ++step) {
        if (world.random_() % 2 == 0) append(1 + static_cast<int64_t>(world.random_() % 50));
        const auto span = milliseconds(world.random_() % (life < 5 ? 20 : 1500));
        world.machine_->RunFor(span);
      }
      Faults faults;
      if (life % 2 == 0) {
        faults.crash_point = std::array{"log.after_write", "log.after_sync", "log.before_ack",
                                        "log.before_seal"}[world.random_() % 4];
        faults.crash_hit = 1 + world.random_() % 12;
      }
      world.piece_rows_ = 300 + static_cast<uint32_t>(world.random_() % 900);
      world.piece_bytes_ = 5'000 + world.random_() % 40'000;
      world.pieces_per_position_ = 1 + static_cast<uint32_t>(world.random_() % 4);
      world.Die(faults, world.random_() % 2 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
    }
    if (world.machine_->crashed()) world.Die();
    world.Settle();
    world.ExpectAllOnce();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(TableSource, ARewritingStopsIt) {
  World world;
  world.Append(Rows(0, 10));
  world.Start();
  world.Settle();
  world.table_.Replace(*world.machine_, world.last_, Rows(0, 9), Change::kRows, "DELETE");
  world.Append(Rows(10, 5));
  world.Settle();
  world.ExpectStopped("version 2 (DELETE) takes rows out");
  EXPECT_EQ(world.InLog(), Rows(0, 10));
  // Served again with an answer to it, it goes on.
  world.definition_.changes = Definition::Changes::kSkip;
  world.Die();
  world.Settle();
  EXPECT_EQ(world.source_->status().skipped, 1U);
  EXPECT_EQ(world.InLog(), Rows(0, 15));
}

TEST(TableSource, NewRowsOfARewriting) {
  World world(1, {.changes = Definition::Changes::kNewRows});
  world.Append(Rows(0, 3000));
  world.Start();
  world.Settle();
  std::vector<Row> merged = Rows(0, 2999);  // one is deleted
  merged[7].note = "changed";
  merged[2990].note = "changed too";
  merged.push_back(merged[7]);  // and one is there twice
  world.table_.Replace(*world.machine_, world.last_, merged, Change::kRows, "MERGE");
  world.Settle();
  std::vector<Row> wanted = Rows(0, 3000);
  wanted.insert(wanted.end(), {merged[7], merged[2990], merged[7]});
  EXPECT_EQ(world.InLog(), wanted);
  EXPECT_EQ(world.source_->status().gone, 3U);  // the updated ones of before, and the deleted one
}

// The contract gets a field while a version is half in the log: its pieces stay what they were.
TEST(TableSource, ANewFieldInTheMidstOfAVersion) {
  World world;
  const contract::ContractRef wide = std::exchange(world.contract_, WithoutNote());
  world.piece_rows_ = 100;
  world.Append(Rows(0, 3000));
  world.Start();
  world.RunUntilPieces(10);
  world.contract_ = wide;
  world.Die();
  world.Settle();
  std::vector<Row> rows = world.InLog();
  const size_t without = std::ranges::count(rows, std::string(), &Row::note);
  EXPECT_GE(without, 1000U);
  EXPECT_LT(without, 3000U);
  for (Row& row : rows) row.note = "n" + std::to_string(row.id % 3);
  EXPECT_EQ(rows, Rows(0, 3000));
}

// What is applied while it runs holds for the pieces that are sent from then on, each row once.
TEST(TableSource, ARuleInTheMidstOfAVersion) {
  World world;
  const contract::ContractRef before = world.contract_;
  std::string text(foreign_table::kContract);
  world.piece_rows_ = 100;
  world.Append(Rows(0, 3000));
  world.Start();
  world.RunUntilPieces(10);
  world.contract_ = ShopsContract(text.insert(text.find("minimum: 0") + 9, "100000"));
  world.RunUntilPieces(20);
  EXPECT_GE(world.InLog().size(), 1000U);
  world.contract_ = before;
  world.Settle();
  world.refused_.clear();
  std::vector<Row> rows = world.InLog();
  EXPECT_GE(world.refused_.size(), 500U);
  EXPECT_EQ(rows.size() + world.refused_.size(), 3000U);
  EXPECT_EQ(rows.back(), Rows(2999, 1).front());
  EXPECT_TRUE(std::ranges::unique(rows).empty());
}

// Of a rewriting too, whose new rows are told by the fields that the contract had when it was
// begun.
TEST(TableSource, ANewFieldInTheMidstOfARewriting) {
  World world(1, {.changes = Definition::Changes::kNewRows});
  const contract::ContractRef wide = std::exchange(world.contract_, WithoutNote());
  world.piece_rows_ = 100;
  world.Append(Rows(0, 3000));
  world.Start();
  world.Settle();
  const uint64_t before = world.source_->status().pieces;
  std::vector<Row> merged = Rows(0, 3000);
  for (Row& row : merged) {
    row.note += " changed";
    if (row.id % 2 == 0) ++row.at;
  }
  world.table_.Replace(*world.machine_, world.last_, merged, Change::kRows, "MERGE");
  world.RunUntilPieces(before + 5);
  world.contract_ = wide;
  world.Die();
  world.Settle();
  std::vector<int64_t> taken;
  const std::vector<Row> rows = world.InLog();
  for (size_t i = 3000; i < rows.size(); ++i) taken.push_back(rows[i].id);
  std::vector<int64_t> wanted;
  for (int64_t id = 0; id < 3000; id += 2) wanted.push_back(id);
  EXPECT_EQ(taken, wanted);
  EXPECT_EQ(rows.back().note, "n1 changed");
  // The next version is compared by all of them.
  const std::vector<Row> again = Rows(0, 2999);
  const delta::AddFile file{.path = "part-1.parquet"};
  world.table_.Replace(*world.machine_, file, again, Change::kRows, "MERGE");
  world.Settle();
  EXPECT_EQ(world.InLog().size(), rows.size() + 2999);
}

// Builds before did not log by which columns the rows of a rewriting are compared.
TEST(TableSource, ARewritingThatAnEarlierBuildBegan) {
  World world(1, {.changes = Definition::Changes::kNewRows});
  world.piece_rows_ = 100;
  world.Append(Rows(0, 1000));
  world.Start();
  world.Settle();
  const uint64_t before = world.source_->status().pieces;
  std::vector<Row> merged = Rows(0, 1000);
  for (Row& row : merged) row.note += " changed";
  world.table_.Replace(*world.machine_, world.last_, merged, Change::kRows, "MERGE");
  world.RunUntilPieces(before + 2);
  world.columns_unknown_ = true;
  world.Die();
  world.Settle();
  world.ExpectStopped("by a build that did not log");
}

std::vector<Row> LongRows(int64_t count, size_t bytes) {
  std::vector<Row> rows = Rows(0, count);
  for (Row& row : rows) row.note += std::string(bytes, 'x');
  return rows;
}

// 72 MiB, more than the log takes at once.
TEST(TableSource, LongRowsComeInShorterPieces) {
  World world;
  world.piece_rows_ = 8192;
  world.Append(LongRows(8192, 9'000));
  world.Start();
  world.Settle();
  EXPECT_EQ(world.source_->status().state, State::kWaiting) << world.source_->status().reason;
  world.ExpectAllOnce();
}

// The log has some of its pieces, all of the same rows; those to come have bytes as well.
TEST(TableSource, AVersionThatAnEarlierBuildBegan) {
  for (const uint64_t bytes : {uint64_t{2'000}, uint64_t{0}}) {
    World world;
    world.piece_rows_ = 100;
    world.piece_bytes_ = 0;
    world.Append(Rows(0, 3000));
    world.Append(Rows(3000, 950));
    world.Start();
    world.RunUntilPieces(10);
    world.piece_rows_ = 120;
    world.piece_bytes_ = bytes;
    world.Die();
    world.RunUntilPieces(5);
    world.piece_bytes_ = 3'000;
    world.Die();
    world.Settle();
    world.ExpectAllOnce();
  }
}

// A version that takes rows out is read from its beginning again, to know which rows are new.
TEST(TableSource, ARewritingGoesOnFromItsPlace) {
  World world(1, {.changes = Definition::Changes::kNewRows});
  world.piece_rows_ = 100;
  world.pieces_per_position_ = 3;
  world.Append(Rows(0, 3000));
  world.Start();
  world.Settle();
  const uint64_t before = world.source_->status().pieces;
  std::vector<Row> merged = Rows(0, 3000);
  std::vector<Row> wanted = merged;
  for (Row& row : merged) {
    if (row.id % 3 == 0) continue;
    row.note += " changed";
    wanted.push_back(row);
  }
  world.table_.Replace(*world.machine_, world.last_, merged, Change::kRows, "MERGE");
  world.RunUntilPieces(before + 5);
  for (const uint64_t bytes : {uint64_t{1'000}, uint64_t{2'500}}) {
    world.piece_bytes_ = bytes;
    world.Die();
    world.RunUntilPieces(5);
  }
  world.Die();
  world.Settle();
  EXPECT_EQ(world.InLog(), wanted);
}

TEST(TableSource, AFileThatACommitAddsTwice) {
  World world;
  world.Append(Rows(0, 10));
  world.Start();
  world.Settle();
  delta::AddFile twice = world.table_.Write(*world.machine_, Rows(10, 10));
  const delta::AddFile other = world.table_.Write(*world.machine_, Rows(20, 10));
  delta::AddFile again = twice;
  again.modified_ms = 77;
  world.table_.Put(*world.machine_, {.adds = {twice, other, again}, .operation = "WRITE"});
  world.Settle();
  EXPECT_EQ(world.InLog(), Rows(0, 30));
}

TEST(TableSource, ARowThatTheLogDoesNotTake) {
  World world;
  world.queue_bytes_max_ = 1 << 20;
  std::vector<Row> rows = Rows(0, 10);
  rows[7].note = std::string(2 << 20, 'x');
  world.piece_bytes_ = 1 << 10;
  world.Append(rows);
  world.Start();
  world.Settle();
  world.ExpectStopped("row 7 of version 1 of table lake/shops, file part-0.parquet (1 rows)");
  world.ExpectStopped("queue_bytes_max");
}

TEST(SourcePosition, IsReadInEveryFormat) {
  SourcePosition position{.table = "t-1",
                          .folder = "lake/shops",
                          .version = 7,
                          .phase = SourcePosition::Phase::kAdded,
                          .base = 41,
                          .piece_rows = 8192,
                          .files = 0x0123456789ABCDEF};
  constexpr size_t kPlaceBytes = 24;
  log::ControlEntry first = EncodePosition("shops", position);
  first.payload[0] = 1;
  first.payload.resize(first.payload.size() - kPlaceBytes - 4);
  EXPECT_EQ(*DecodePosition(first), position);
  position.fields = {"id", "at"};
  log::ControlEntry second = EncodePosition("shops", position);
  second.payload[0] = 2;
  second.payload.resize(second.payload.size() - kPlaceBytes);
  EXPECT_EQ(*DecodePosition(second), position);
  position.piece_bytes = 1 << 22;
  position.file = 3;
  position.row = 70'000;
  log::ControlEntry third = EncodePosition("shops", position);
  EXPECT_EQ(*DecodePosition(third), position);
  third.payload.resize(third.payload.size() - 1);
  EXPECT_FALSE(DecodePosition(third));
}

TEST(TableSource, AGapInTheLogStopsIt) {
  World world;
  world.Append(Rows(0, 10));
  world.Start();
  world.Settle();
  world.machine_->Crash();
  world.End();
  world.machine_ = world.machine_->Reboot(3, {});
  world.Append(Rows(10, 5));
  world.Append(Rows(15, 5));
  ASSERT_TRUE(world.machine_->files().Remove(world.table_.CommitPath(2)));
  world.Start();
  world.machine_->RunFor(seconds(10));
  world.ExpectStopped("commit 2 of the log is missing");
  EXPECT_EQ(world.InLog(), Rows(0, 10));
}

TEST(TableSource, AFileThatIsGoneStopsIt) {
  World world;
  world.Append(Rows(0, 10));
  world.Start();
  world.Settle();
  world.machine_->Crash();
  world.End();
  world.machine_ = world.machine_->Reboot(3, {});
  world.Append(Rows(10, 5));
  ASSERT_TRUE(world.machine_->files().Remove(std::string(kTable) + "/" + world.last_.path));
  world.Start();
  world.machine_->RunFor(seconds(10));
  world.ExpectStopped("version 2 can't be read any more");
}

TEST(TableSource, AnotherTableInItsPlaceStopsIt) {
  World world;
  world.Append(Rows(0, 10));
  world.Start();
  world.Settle();
  for (int64_t version = 0; version <= world.table_.newest(); ++version)
    ASSERT_TRUE(world.machine_->files().Remove(world.table_.CommitPath(version)));
  world.table_.Create(*world.machine_, "t-2");
  for (int i = 0; i < 3; ++i) world.Append(Rows(100 + i, 1));
  world.machine_->RunFor(seconds(10));
  world.ExpectStopped("another table lies in this place");
  world.Die();  // nor is it forgotten
  world.machine_->RunFor(seconds(10));
  world.ExpectStopped("another table lies in this place");
  EXPECT_EQ(world.InLog(), Rows(0, 10));
}

TEST(TableSource, ATableThatWasRestoredStopsIt) {
  World world;
  world.Append(Rows(0, 10));
  world.Append(Rows(10, 10));
  world.Start();
  world.Settle();
  ASSERT_TRUE(world.machine_->files().Remove(world.table_.CommitPath(2)));
  world.machine_->RunFor(seconds(10));
  world.ExpectStopped("version 2 was read, and the newest is 1");
}

TEST(TableSource, ATableOfTheLogItselfIsRefused) {
  World world;
  world.Start();
  world.Settle();
  const std::string log = world.sequencer_->status().log.ToString();
  world.table_.Put(*world.machine_,
                   {.transactions = {{.application = "headrace/" + log + "/shops", .version = 1}},
                    .operation = "WRITE"});
  world.machine_->RunFor(seconds(5));
  world.ExpectStopped("made of the log");
}

TEST(TableSource, RefusedRowsSayWhereTheyStood) {
  World world;
  world.Start();
  world.Settle();
  std::vector<Row> rows = Rows(7'200 * 100, 2);
  rows.push_back({-5, rows[1].at, "negative"});
  rows.push_back({1, kBegin, "two hours late"});
  world.Append(rows);
  world.Settle();
  EXPECT_EQ(world.InLog().size(), 2U);
  ASSERT_EQ(world.refused_.size(), 2U);
  for (const columns::RejectedRow& row : world.refused_)
    EXPECT_NE(row.reason.find(" (version 1 of table lake/shops, file part-0.parquet)"),
              std::string::npos)
        << row.reason;
  EXPECT_EQ(world.refused_[0].row, 2U);
  EXPECT_EQ(world.refused_[1].row, 3U);
  EXPECT_EQ(world.refused_[1].rule, "late");
  EXPECT_EQ(world.source_->status().refused, 2U);
}

// Rows that wait are told while they do, and what failed also when it has passed.
TEST(TableSource, TellsHowFarBehindItIs) {
  World world;
  world.Append(Rows(0, 3));
  world.Start();
  world.Settle();
  EXPECT_EQ(world.source_->status().waiting_rows, 0U);
  EXPECT_EQ(world.source_->status().errors, 0U);
  for (int64_t version = 2; version <= 4; ++version) world.Append(Rows(version * 10, 5));
  const std::string away = world.table_.CommitPath(2);
  ASSERT_TRUE(world.machine_->files().Rename(away, away + ".away"));
  world.machine_->RunFor(seconds(5));
  world.ExpectStopped("commit 2");
  EXPECT_EQ(*world.source_->status().newest - *world.source_->status().taken, 3);
  EXPECT_EQ(world.source_->status().errors, 1U);
  EXPECT_NE(world.source_->status().last_error.find("commit 2"), std::string::npos);
  EXPECT_TRUE(world.source_->status().last_error_at.has_value());
  ASSERT_TRUE(world.machine_->files().Rename(away + ".away", away));
  world.Die();
  world.Settle();
  EXPECT_EQ(world.source_->status().waiting_rows, 0U);
  world.ExpectAllOnce();
}

TEST(TableSource, RowsOfVersionsToComeWait) {
  World world;
  world.Append(Rows(0, 3));
  world.Start();
  world.Settle();
  for (int64_t version = 2; version <= 4; ++version) world.Append(Rows(version * 10, 5));
  // The last of them can't be read to its end.
  const delta::AddFile broken = world.last_;
  const std::string path = std::string(kTable) + "/" + broken.path;
  ASSERT_TRUE(world.machine_->files().Rename(path, path + ".away"));
  for (int64_t version = 5; version <= 6; ++version) world.Append(Rows(version * 10, 5));
  world.machine_->RunFor(seconds(5));
  EXPECT_EQ(world.source_->status().state, State::kStopped);
  EXPECT_EQ(world.source_->status().taken, 3);
  EXPECT_EQ(world.source_->status().waiting_rows, 15U) << "of versions 4, 5 and 6";
}

// However long a table is not there, it is looked for every `every`.
TEST(TableSource, AnAbsentTableIsLookedForAsOftenAsSaid) {
  World world;
  world.Append(Rows(0, 3));
  const auto move = [&](const std::string& from, const std::string& to) {
    for (int64_t version = 0; version <= 1; ++version) {
      const std::string path = world.table_.CommitPath(version);
      ASSERT_TRUE(world.machine_->files().Rename(path + from, path + to));
    }
  };
  move("", ".away");
  world.Start();
  world.machine_->RunFor(std::chrono::minutes(20));
  EXPECT_EQ(world.source_->status().state, State::kRetrying);
  EXPECT_GE(world.source_->status().errors, 1100U);
  move(".away", "");
  world.machine_->RunFor(seconds(3));
  EXPECT_EQ(world.source_->status().state, State::kWaiting);
  EXPECT_EQ(world.source_->status().taken, 1);
  world.ExpectAllOnce();
}

// A writer without a put-if-absent makes the file of a version, and then writes it.
TEST(TableSource, ACommitThatIsNotWrittenToItsEndIsWaitedFor) {
  for (const bool cut : {false, true}) {
    SCOPED_TRACE(cut);
    World world;
    world.Append(Rows(0, 3));
    world.Start();
    world.Settle();
    world.Append(Rows(3, 3));
    const std::string path = world.table_.CommitPath(2);
    std::string whole = world.CommitOfAnother(2);
    whole.pop_back();  // a last line may lack its end
    world.WriteCommit(path, cut ? whole.substr(0, whole.size() - 5) : "");
    world.machine_->RunFor(seconds(5));
    EXPECT_EQ(world.source_->status().state, State::kRetrying) << world.source_->status().reason;
    EXPECT_NE(world.source_->status().reason.find("written to its end"), std::string::npos);
    EXPECT_EQ(world.source_->status().taken, 1);
    world.WriteCommit(path, whole);
    world.machine_->RunFor(seconds(120));
    world.Settle();
    world.ExpectAllOnce();
  }
}

TEST(TableSource, AnEmptyCommitBeforeOthersStopsIt) {
  World world;
  world.Append(Rows(0, 3));
  world.Start();
  world.Settle();
  world.Append(Rows(3, 3));
  world.Append(Rows(6, 3));
  world.WriteCommit(world.table_.CommitPath(2), "");
  world.machine_->RunFor(seconds(5));
  world.ExpectStopped("no action");
}

// Many others have come since: how much of the version is in the log is known all the same.
TEST(TableSource, ItsProducerIsNotForgotten) {
  World world;
  world.producers_max_ = 4;
  world.piece_rows_ = 100;
  world.Append(Rows(0, 20'000));
  world.Start();
  for (int i = 0; i < 2000 && world.source_->status().pieces == 0; ++i)
    world.machine_->RunFor(milliseconds(1));
  ASSERT_GT(world.source_->status().pieces, 0U);
  ASSERT_EQ(world.source_->status().state, State::kReading);
  world.source_.reset();
  world.machine_->RunFor(seconds(1));
  for (int i = 0; i < 10; ++i) world.SendHeartbeatOf(fmt::format("other-{}", i));
  world.Die();
  world.Settle();
  world.ExpectAllOnce();
}

// A table that can't be read is a dead source: no heartbeat says otherwise.
TEST(TableSource, AnUnreadableTableSendsNoHeartbeat) {
  World world;
  world.Append(Rows(0, 3));
  world.Start();
  world.Settle();
  for (int64_t version = 0; version <= 1; ++version)
    ASSERT_TRUE(world.machine_->files().Rename(world.table_.CommitPath(version),
                                               world.table_.CommitPath(version) + ".away"));
  world.machine_->RunFor(seconds(5));
  EXPECT_EQ(world.source_->status().state, State::kRetrying);
  const uint64_t heartbeats = world.source_->status().heartbeats;
  world.machine_->RunFor(seconds(100));
  EXPECT_EQ(world.source_->status().heartbeats, heartbeats);
  for (int64_t version = 0; version <= 1; ++version)
    ASSERT_TRUE(world.machine_->files().Rename(world.table_.CommitPath(version) + ".away",
                                               world.table_.CommitPath(version)));
  world.Append(Rows(3, 3));
  world.machine_->RunFor(seconds(120));
  world.Settle();
  world.ExpectAllOnce();
}

}  // namespace
}  // namespace headrace::tables

// Keys as bytes: what was read of a piece that breaks off is given back, and the store is as it
// was.
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <string>

#include "columns/batch_builder.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

AggregateSpec Spec(AggregateKind kind, std::optional<size_t> argument) {
  return {.name = "", .kind = kind, .argument = argument, .where = {}};
}

AggregatePlan Plan() {
  const std::vector<AggregateSpec> specs = {Spec(AggregateKind::kSum, 0),
                                            Spec(AggregateKind::kLast, 1)};
  return {specs, std::array{columns::Type::kInt64, columns::Type::kString}};
}

constexpr Retention kADay{.horizon = std::chrono::hours(24)};
constexpr Retention kATotal{.horizon = std::nullopt,
                            .tiles = Retention::Tiles{.settled = std::chrono::hours(24)}};
constexpr base::Timestamp kInTwoDays{std::chrono::microseconds(std::chrono::hours(48)).count()};

// Rows of a key, a microsecond apart; their first argument is their time.
void Append(RowStore& store, uint32_t key, int64_t first_time, columns::Column second,
            base::Timestamp clock, Step step) {
  std::vector<int64_t> times(second.length());
  std::iota(times.begin(), times.end(), first_time);
  std::vector<uint32_t> order(times.size());
  std::iota(order.begin(), order.end(), 0U);
  std::vector<columns::Column> arguments;
  arguments.emplace_back(columns::Type::kInt64, times.size(),
                         columns::Buffer::OwnValues(std::vector<int64_t>(times)));
  arguments.push_back(std::move(second));
  store.Append(key, {.times = times, .epoch = {step}, .arguments = arguments}, order, clock, step);
}

// Every second one does not fit into its cell.
columns::Column Texts(size_t rows) {
  columns::ColumnBuilder texts(columns::Type::kString);
  for (size_t row = 0; row < rows; ++row)
    texts.AppendText(row % 2 == 0 ? "a"
                                  : "a text that is longer than a cell " + std::to_string(row));
  return texts.Finish();
}

columns::Column Bools(size_t rows, bool value) {
  columns::ColumnBuilder bools(columns::Type::kBool);
  for (size_t row = 0; row < rows; ++row) bools.AppendBool(value);
  return bools.Finish();
}

void Fill(RowStore& store, size_t rows) {
  Append(store, 0, 1, Texts(rows), {static_cast<int64_t>(rows)}, 1);
}

std::vector<std::vector<uint8_t>> PiecesOf(const RowStore& store, size_t bytes) {
  std::vector<std::vector<uint8_t>> pieces;
  RowStore::EncodeCursor cursor;
  for (bool complete = false; !complete;) {
    pieces.emplace_back();
    complete = store.EncodeKey(*store.Newest(0), cursor, bytes, pieces.back());
  }
  return pieces;
}

base::Result<void> Restore(RowStore& store, std::span<const uint8_t> piece) {
  columns::ByteReader in(piece);
  return store.RestoreKey(0, in, 1);
}

class RowBytes : public testing::Test {
 protected:
  ~RowBytes() override { memory_.Collect(1); }

  const AggregatePlan plan_ = Plan();
  base::MemoryBudget budget_{1ULL << 40};
  StateMemory memory_{budget_};
  RowStore store_{plan_, kADay, memory_};
};

TEST_F(RowBytes, APieceThatBreaksOffLeavesNothingBehind) {
  Fill(store_, 150);  // two sealed chunks and an open one
  for (const size_t piece_bytes : {size_t{1}, size_t{1} << 20}) {
    const auto pieces = PiecesOf(store_, piece_bytes);
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
      base::MemoryBudget budget{1ULL << 40};
      StateMemory memory(budget);
      {
        RowStore restored(plan_, kADay, memory);
        const size_t broken = random() % pieces.size();
        for (size_t i = 0; i < broken; ++i) ASSERT_TRUE(Restore(restored, pieces[i]));
        // The page of keys is there from now on.
        if (broken == 0) {
          ASSERT_FALSE(Restore(restored, {}));
        }
        const uint64_t rows = restored.rows();
        const uint64_t keys = restored.keys();
        const uint64_t bytes = restored.bytes();
        const uint64_t in_use = memory.bytes_in_use();
        const std::span<const uint8_t> piece = pieces[broken];
        const auto read = Restore(restored, piece.first(random() % piece.size()));
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code(), base::ErrorCode::kCorruption);
        EXPECT_EQ(restored.rows(), rows);
        EXPECT_EQ(restored.keys(), keys);
        EXPECT_EQ(restored.bytes(), bytes);
        EXPECT_EQ(memory.bytes_in_use(), in_use);
        for (size_t i = broken; i < pieces.size(); ++i) ASSERT_TRUE(Restore(restored, pieces[i]));
        EXPECT_EQ(restored.rows(), 150U);
        EXPECT_EQ(PiecesOf(restored, piece_bytes), pieces);
      }
      memory.Collect(1);
      EXPECT_EQ(memory.bytes_in_use(), 0U);
    }
  }
}

TEST_F(RowBytes, ATextCellWithAnAddressIsRefused) {
  Fill(store_, 2);
  std::vector<uint8_t> piece = PiecesOf(store_, 1 << 20).front();
  const auto tag = std::ranges::find(piece.begin() + 20, piece.end(), uint8_t{0xff});
  ASSERT_NE(tag, piece.end());
  *std::prev(tag) = 0x12;
  base::MemoryBudget budget{1ULL << 40};
  StateMemory memory(budget);
  RowStore restored(plan_, kADay, memory);
  const auto read = Restore(restored, piece);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), base::ErrorCode::kCorruption);
}

// All rows of a full chunk are folded, and the row that needed room is before the boundary, too.
class AllFolded : public RowBytes {
 protected:
  ~AllFolded() override { memory_.Collect(2); }
  void SetUp() override {
    Append(folded_, 0, 1, Texts(8), {8}, 1);
    Append(folded_, 0, 9, Texts(1), kInTwoDays, 2);
  }

  RowStore folded_{plan_, kATotal, memory_};
};

TEST_F(AllFolded, AKeyIsItsTiles) {
  EXPECT_TRUE(folded_.Newest(0)->empty());
  EXPECT_EQ(folded_.rows(), 0U);
  EXPECT_EQ(folded_.tile_figures()->rows + folded_.tile_figures()->late_rows, 9U);
}

TEST_F(AllFolded, AKeyIsReadBack) {
  const auto pieces = PiecesOf(folded_, 1 << 20);
  RowStore restored(plan_, kATotal, memory_);
  const auto read = Restore(restored, pieces.front());
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(PiecesOf(restored, 1 << 20), pieces);
}

TEST_F(AllFolded, AChunkOfNoRowsIsPassedOver) {
  const std::vector<uint8_t> piece = PiecesOf(folded_, 1 << 20).front();
  std::vector<uint8_t> with_chunk(piece.begin(), piece.end() - sizeof(uint32_t));
  columns::ByteWriter out(with_chunk);
  out.U32(1);                                                                             // chunks
  out.U32(0);                                                                             // rows
  out.Bytes(std::vector<uint8_t>(2 * sizeof(uint64_t) * plan_.argument_types().size()));  // bits
  RowStore restored(plan_, kATotal, memory_);
  const auto read = Restore(restored, with_chunk);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_TRUE(restored.Newest(0)->empty());
  EXPECT_EQ(PiecesOf(restored, 1 << 20).front(), piece);
  RowStore other(plan_, kATotal, memory_);
  ASSERT_TRUE(Restore(other, piece));
  EXPECT_EQ(restored.bytes(), other.bytes());
}

// Whether they are folded right behind those of another key or alone.
TEST(TileBytes, AreOfTheKeysOwnRows) {
  const std::vector<AggregateSpec> specs = {
      {.name = "", .kind = AggregateKind::kLast, .argument = 0, .where = 1}};
  const AggregatePlan plan(specs, std::array{columns::Type::kInt64, columns::Type::kBool});
  std::vector<std::vector<uint8_t>> written;
  for (const bool behind_another : {false, true}) {
    base::MemoryBudget budget{1ULL << 40};
    StateMemory memory(budget);
    RowStore store(plan, kATotal, memory);
    Append(store, 0, 1, Bools(8, false), {8}, 1);
    if (behind_another) Append(store, 1, 1, Bools(8, true), {8}, 1);
    store.Sweep(2, kInTwoDays, 2);  // 1, then 0
    EXPECT_EQ(store.rows(), 0U);
    written.push_back(PiecesOf(store, 1 << 20).front());
    memory.Collect(2);
  }
  EXPECT_EQ(written[0], written[1]);
}

}  // namespace
}  // namespace headrace::pipeline

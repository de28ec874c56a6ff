#include "tables/publish/made_rows.h"

#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include "columns/random_batch.h"

namespace headrace::tables {
namespace {

using base::EpochId;

class MadeRowsTest : public testing::Test {
 protected:
  // Of every third epoch; all rows with times, or none.
  void Fill(MadeRows& rows, uint64_t epochs) {
    for (uint64_t epoch = 1; epoch <= epochs; ++epoch) {
      MadeRows::OfEpoch made;
      if (epoch % 3 == 0)
        made.rows = columns::RandomBatch(schema_, 1 + random_() % 9, 0.2, random_);
      if (epoch % 6 == 0)
        for (size_t row = 0; row < made.rows.rows(); ++row)
          made.known_at.push_back(static_cast<int64_t>(random_()));
      rows.Add({epoch}, std::move(made));
    }
  }

  static std::string TextOf(const MadeRows& rows, uint64_t epochs) {
    std::string text = fmt::format("through {}\n", rows.through().value);
    for (uint64_t epoch = 1; epoch <= epochs; ++epoch) {
      const auto made = rows.Of({epoch});
      if (!made) continue;
      fmt::format_to(std::back_inserter(text), "{}: {}\n", epoch, fmt::join(made->known_at, " "));
      for (size_t row = 0; row < made->rows.rows(); ++row) {
        for (const columns::Column& column : made->rows.columns())
          text += column.At(row).ToJson() + " ";
        text += "\n";
      }
    }
    return text;
  }

  uint64_t charged() const { return budget_.used_bytes(base::MemoryAccount::kTables); }

  std::mt19937_64 random_{7};
  columns::SchemaRef schema_ = columns::SchemaOfAllTypes();
  base::MemoryBudget budget_{1ULL << 30};
};

TEST_F(MadeRowsTest, ComeBackFromTheirBytes) {
  for (uint64_t epochs : {0, 1, 2, 3, 20, 61}) {
    MadeRows rows(schema_, budget_);
    Fill(rows, epochs);
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    rows.Encode(out);
    const uint64_t before = charged();
    MadeRows again(schema_, budget_);
    columns::ByteReader in(bytes);
    ASSERT_TRUE(again.Decode(in).has_value());
    EXPECT_EQ(in.remaining(), 0U);
    EXPECT_EQ(TextOf(again, epochs + 1), TextOf(rows, epochs + 1));
    EXPECT_EQ(again.through(), EpochId{epochs});
    EXPECT_EQ(charged() - before, before);
    // What a replay makes again is there already; what comes next is not.
    const std::string text = TextOf(again, epochs);
    Fill(again, epochs);
    EXPECT_EQ(TextOf(again, epochs), text);
    again.Add({epochs + 1}, {columns::RandomBatch(schema_, 2, 0.2, random_), {}});
    EXPECT_TRUE(again.Of({epochs + 1}).has_value());
  }
  EXPECT_EQ(charged(), 0U);
}

TEST_F(MadeRowsTest, RefuseBytesThatEndTooEarly) {
  MadeRows rows(schema_, budget_);
  Fill(rows, 6);
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  rows.Encode(out);
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 20) {
    MadeRows again(schema_, budget_);
    columns::ByteReader in(std::span<const uint8_t>(bytes).first(size));
    EXPECT_FALSE(again.Decode(in).has_value()) << size;
  }
}

TEST_F(MadeRowsTest, GoWhenTheTableHasThem) {
  MadeRows rows(schema_, budget_);
  Fill(rows, 12);
  const uint64_t all = charged();
  rows.DropThrough({6});
  EXPECT_FALSE(rows.Of({6}).has_value());
  EXPECT_TRUE(rows.Of({9}).has_value());
  EXPECT_EQ(rows.through(), EpochId{12});
  EXPECT_LT(charged(), all);
  rows.DropThrough({12});
  EXPECT_EQ(charged(), 0U);
}

}  // namespace
}  // namespace headrace::tables

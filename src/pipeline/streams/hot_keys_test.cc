#include "pipeline/streams/hot_keys.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "columns/batch_builder.h"

namespace headrace::pipeline {
namespace {

using std::chrono::milliseconds;

TEST(FrequentNumbersTest, CountsWithinItsBoundWhateverComes) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    std::mt19937_64 random(seed);
    FrequentNumbers numbers;
    std::map<uint32_t, uint64_t> exact;
    constexpr uint64_t kRows = 200'000;
    for (uint64_t i = 0; i < kRows; ++i) {
      // Some often, most seldom, and many that never come again.
      const uint64_t kind = random() % 10;
      const auto number = static_cast<uint32_t>(kind < 2   ? random() % 3
                                                : kind < 6 ? 100 + random() % 5000
                                                           : 10'000 + i);
      ++exact[number];
      numbers.Add(number);
    }
    EXPECT_EQ(numbers.total(), kRows);
    EXPECT_LE(numbers.error(), kRows / (FrequentNumbers::kNumbersMax / 2));
    size_t often = 0;
    for (const auto& [number, count] : exact) often += count >= kRows / 50 ? 1 : 0;
    const auto found = numbers.AtLeast(kRows / 50);
    EXPECT_EQ(often, 3U);
    ASSERT_GE(found.size(), often) << "seed " << seed;
    for (const auto& [number, tag, count] : found) {
      EXPECT_LE(count, exact[number]);
      EXPECT_GE(count + numbers.error(), exact[number]);
    }
  }
}

// Feeds batches of keys with given shares of the rows, the rest spread over a million keys.
class HotKeysTest : public ::testing::Test {
 protected:
  void Feed(HotKeys& hot, const std::vector<double>& shares, size_t batches, size_t rows,
            env::MonotonicTime apart) {
    for (size_t b = 0; b < batches; ++b) {
      columns::BatchBuilder builder(schema_);
      std::vector<uint32_t> numbers;
      for (size_t row = 0; row < rows; ++row) {
        const auto number = NumberOf(shares);
        builder.column(0).AppendInt(number);
        numbers.push_back(number);
      }
      const columns::ColumnBatch batch = builder.Finish();
      std::vector<uint32_t> all(rows);
      std::iota(all.begin(), all.end(), 0U);
      hot.Note(batch, all, numbers, now_);
      now_ += apart;
    }
  }

  uint32_t NumberOf(const std::vector<double>& shares) {
    double u = static_cast<double>(random_() >> 11) * 0x1p-53;
    for (size_t i = 0; i < shares.size(); ++i) {
      if (u < shares[i]) return static_cast<uint32_t>(i);
      u -= shares[i];
    }
    return static_cast<uint32_t>(1000 + random_() % 1'000'000);
  }

  std::map<int64_t, double> Newest() { return Newest(hot_); }
  std::map<int64_t, double> Newest(const HotKeys& hot) {
    std::map<int64_t, double> found;
    for (const HotKey& each : hot.Newest(now_)) {
      const auto values = columns::DecodeKey(std::vector{schema_->field(0).type}, each.key);
      EXPECT_TRUE(values);
      found[(*values)[0].as_int()] = each.share;
    }
    return found;
  }

  columns::SchemaRef schema_ = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "key", columns::Type::kInt64, columns::Nullable::kNo}});
  std::mt19937_64 random_{7};
  HotKeys hot_{{0}};
  env::MonotonicTime now_ = std::chrono::seconds(100);
};

TEST_F(HotKeysTest, NamesWhatHasFivePercentAndNothingElse) {
  const std::vector<double> shares = {0.38, 0.058, 0.042, 0.01};
  // Two million rows a second are sampled, a thousand are not.
  for (const size_t rows : {20'000, 10}) {
    HotKeys fresh({0});
    Feed(fresh, shares, 1001, rows, milliseconds(10));
    const auto found = Newest(fresh);
    ASSERT_EQ(found.size(), 2U) << rows;
    const double within = rows > 1000 ? 0.005 : 0.03;  // 5,000 rows are few
    EXPECT_NEAR(found.at(0), shares[0], within);
    EXPECT_NEAR(found.at(1), shares[1], within);
  }
}

// Nobody has numbered them: by their bytes, and beside rows without a key.
TEST_F(HotKeysTest, KeysWithoutNumbersAreNamedAlike) {
  const auto schema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "key", columns::Type::kInt64, columns::Nullable::kYes}});
  for (int step = 0; step < 1001; ++step, now_ += milliseconds(10)) {
    columns::BatchBuilder builder(schema);
    for (int row = 0; row < 2000; ++row) {
      const uint32_t number = NumberOf({0.3, 0.2, 0.058, 0.042});
      if (number == 1) {
        builder.column(0).AppendNull();
      } else {
        builder.column(0).AppendInt(number);
      }
    }
    hot_.Note(builder.Finish(), now_);
  }
  const auto found = Newest();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(0), 0.3, 0.005);
  EXPECT_NEAR(found.at(2), 0.058, 0.005);
}

TEST_F(HotKeysTest, AKeyIsNamedWithinTenSecondsAndForgottenAgain) {
  Feed(hot_, {}, 700, 1000, milliseconds(10));
  EXPECT_TRUE(Newest().empty());
  Feed(hot_, {0.06}, 1000, 1000, milliseconds(10));
  EXPECT_EQ(Newest().size(), 1U);
  Feed(hot_, {}, 1001, 1000, milliseconds(10));
  EXPECT_TRUE(Newest().empty());
  Feed(hot_, {0.5}, 1001, 1000, milliseconds(10));
  EXPECT_EQ(Newest().size(), 1U);
  now_ += 3 * HotKeys::kPeriod;  // a stream that stands still has no hot key
  EXPECT_TRUE(Newest().empty());
}

TEST_F(HotKeysTest, TheStreamsRhythmDoesNotDecide) {
  Feed(hot_, {}, 600, 20'000,
       milliseconds(10));  // from here on one row of about fifty is looked at
  columns::BatchBuilder builder(schema_);
  std::vector<uint32_t> numbers;
  for (uint32_t row = 0; row < 20'000; ++row) {
    numbers.push_back(row % 50);
    builder.column(0).AppendInt(row % 50);
  }
  const columns::ColumnBatch batch = builder.Finish();
  std::vector<uint32_t> all(numbers.size());
  std::iota(all.begin(), all.end(), 0U);
  for (int i = 0; i < 1100; ++i, now_ += milliseconds(10)) hot_.Note(batch, all, numbers, now_);
  EXPECT_TRUE(Newest().empty()) << "each of fifty keys has 2 %";
}

TEST_F(HotKeysTest, AFewRowsSayNothing) {
  Feed(hot_, {0.5}, 110, 9, milliseconds(100));
  EXPECT_TRUE(Newest().empty());
}

// A thousand times the rate within one period: it ends when enough rows were looked at, and the
// next looks at fewer.
TEST_F(HotKeysTest, ARateThatGrowsEndsThePeriodEarly) {
  Feed(hot_, {0.1}, 70, 10'000, milliseconds(0));
  const auto found = Newest();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(found.at(0), 0.1, 0.005);
}

}  // namespace
}  // namespace headrace::pipeline

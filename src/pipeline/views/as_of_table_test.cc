// A dimension with very many versions of one key, against a look at every one of them; and what
// they cost, whatever order they come in.
#include "pipeline/streams/as_of_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <numeric>
#include <random>

#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using streams_fixture::kSecond;

struct Version {
  int64_t time;
  int64_t known_at;
  columns::Position position;
};

// `known`, over rows of one shop; its country says which version it is.
class AsOfTableTest : public testing::Test {
 protected:
  void Insert(AsOfTable& table, uint64_t epoch, const std::vector<int64_t>& times,
              const std::vector<int64_t>& known_at = {}) {
    columns::BatchBuilder rows(pipeline_->streams[1].schema());
    std::vector<columns::Position> positions;
    for (size_t i = 0; i < times.size(); ++i) {
      positions.push_back(columns::Position::Of({epoch}, i));
      rows.column(0).AppendInt(1);
      rows.column(1).AppendText(std::to_string(positions.back().packed));
      rows.column(2).AppendNull();
      rows.column(3).AppendNull();
      rows.column(4).AppendInt(times[i]);
      rows.column(5).AppendInt(times[i]);
      versions_.push_back({times[i],
                           known_at.empty() ? std::numeric_limits<int64_t>::min() : known_at[i],
                           positions.back()});
    }
    const columns::ColumnBatch batch = rows.Finish();
    table.Insert({batch, batch.column(4).Int64s(), positions, known_at}, counts_);
  }

  // The countries that events of these times get in `epoch`; empty: none.
  std::vector<std::string> Join(const AsOfTable& table, uint64_t epoch,
                                const std::vector<int64_t>& times,
                                const std::vector<int64_t>& known_at = {}) {
    columns::BatchBuilder rows(pipeline_->streams[0].schema());
    std::vector<columns::Position> positions;
    for (size_t i = 0; i < times.size(); ++i) {
      positions.push_back(columns::Position::Of({epoch}, i));
      rows.column(0).AppendText("c");
      rows.column(1).AppendInt(1);
      rows.column(2).AppendNull();
      rows.column(3).AppendInt(times[i]);
      rows.column(4).AppendInt(times[i]);
    }
    const columns::ColumnBatch batch = rows.Finish();
    const DerivedRows joined =
        table.Join({batch, batch.column(3).Int64s(), positions, known_at}, counts_);
    std::vector<std::string> countries(times.size());
    const auto country = *derivation_.input->IndexOf("shops.country");
    for (size_t row = 0; row < joined.from.size(); ++row)
      countries[joined.from[row]] = joined.rows.column(country).Text(row);
    return countries;
  }

  std::string Naive(uint64_t epoch, int64_t time, int64_t known_at) const {
    const Version* best = nullptr;
    for (const Version& version : versions_) {
      if (version.time > time || version.position.epoch() > base::EpochId{epoch}) continue;
      if (version.known_at > std::max(time, known_at)) continue;
      if (best == nullptr ||
          std::pair(version.time, version.position) > std::pair(best->time, best->position))
        best = &version;
    }
    return best == nullptr ? "" : std::to_string(best->position.packed);
  }

  // CPU seconds of this thread.
  template <typename F>
  static double Seconds(F f) {
    const auto now = [] {
      timespec time{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    };
    const double began = now();
    f();
    return now() - began;
  }

  const PipelineRef pipeline_ = streams_fixture::PaymentsPipeline();
  const Derivation& derivation_ =
      *pipeline_->streams[pipeline_->views[2].stream].derivation;  // of `known`
  std::vector<Version> versions_;
  AsOfCounts counts_;
};

TEST_F(AsOfTableTest, EachEventFindsItsVersionAmongThousands) {
  for (const uint64_t seed : {1, 2, 3}) {
    std::mt19937_64 random(seed);
    versions_.clear();
    AsOfTable table(derivation_, *pipeline_->streams[1].schema());
    for (uint64_t epoch = 1; epoch <= 40; ++epoch) {
      std::vector<int64_t> times, known_at;
      for (uint64_t n = random() % 300; n > 0; --n) {
        // Few enough that some are equal.
        times.push_back(static_cast<int64_t>(random() % 2000) * kSecond);
        known_at.push_back(times.back() + static_cast<int64_t>(random() % 3000) * kSecond);
      }
      if (seed == 2) std::ranges::sort(times, std::greater<>());
      if (seed == 3) std::ranges::sort(times);
      Insert(table, epoch, times, known_at);
      if (epoch == 20) Insert(table, epoch, times, known_at);  // a replay
      if (epoch == 30) {                                       // and what a capture has goes on
        std::vector<uint8_t> bytes;
        EXPECT_EQ(table.Encode(0, 1 << 30, bytes), 1U);
        AsOfTable restored(derivation_, *pipeline_->streams[1].schema());
        columns::ByteReader in(bytes);
        ASSERT_TRUE(restored.Restore(in));
        EXPECT_EQ(restored.versions(), table.versions());
        EXPECT_EQ(restored.bytes(), table.bytes());
        std::vector<uint8_t> again;
        restored.Encode(0, 1 << 30, again);
        EXPECT_EQ(again, bytes);
      }
      times.clear();
      known_at.clear();
      for (int i = 0; i < 100; ++i) {
        times.push_back(static_cast<int64_t>(random() % 2200) * kSecond - 100 * kSecond);
        known_at.push_back(times.back() + static_cast<int64_t>(random() % 1000) * kSecond);
      }
      const uint64_t as_of = random() % 4 == 0 ? 1 + random() % epoch : epoch;
      const auto found = Join(table, as_of, times, known_at);
      for (size_t i = 0; i < times.size(); ++i)
        ASSERT_EQ(found[i], Naive(as_of, times[i], known_at[i])) << "seed " << seed;
    }
  }
}

// An epoch's room is its own; what has no text needs none.
TEST_F(AsOfTableTest, AnEpochHasRoomForSoMuchText) {
  const size_t text = std::to_string(columns::Position::Of({1}, 0).packed).size();
  AsOfTable table(derivation_, *pipeline_->streams[1].schema(), 3 * text + 1);
  Insert(table, 1, {100});
  EXPECT_TRUE(table.MayFill(4));
  EXPECT_FALSE(table.MayFill(3));
  const std::string country = Naive(1, 100, 0);
  const std::vector<std::string> has = {country, country, country, "", ""};
  EXPECT_EQ(Join(table, 2, {100, 50, 100, 100, 100}),
            (std::vector<std::string>{country, "", country, country, ""}));
  EXPECT_EQ(counts_.without_texts, 1U);
  EXPECT_EQ(Join(table, 3, {100, 100, 100, 101, 102}), has);
  EXPECT_EQ(counts_.without_texts, 3U);
  EXPECT_EQ(counts_.matched, 9U);
}

// Those that the watermark hides go, and only those.
TEST_F(AsOfTableTest, HiddenVersionsGoAmongThousands) {
  std::mt19937_64 random(5);
  AsOfTable table(derivation_, *pipeline_->streams[1].schema());
  size_t most = 0;
  for (uint64_t epoch = 1; epoch <= 100; ++epoch) {
    const int64_t now = static_cast<int64_t>(epoch) * 100;
    std::vector<int64_t> times, known_at;
    for (int i = 0; i < 400; ++i) {
      times.push_back((now - static_cast<int64_t>(random() % 2000)) * kSecond);
      known_at.push_back(times.back() + static_cast<int64_t>(random() % 500) * kSecond);
    }
    Insert(table, epoch, times, known_at);
    most = std::max<size_t>(most, table.versions());
    times.clear();
    for (int i = 0; i < 30; ++i)
      times.push_back((now - static_cast<int64_t>(random() % 1000)) * kSecond);
    const auto found = Join(table, epoch, times, times);
    for (size_t i = 0; i < times.size(); ++i)
      ASSERT_EQ(found[i], Naive(epoch, times[i], times[i])) << "epoch " << epoch;
    table.SetWatermark(base::Timestamp{(now - 1000) * kSecond});
  }
  EXPECT_GT(most, 1000U);
  EXPECT_LT(most, 10'000U);
}

// Twenty epochs of 2,000.
TEST_F(AsOfTableTest, TheOrderOfVersionsDoesNotDecideWhatTheyCost) {
  constexpr size_t kEpochs = 20;
  constexpr size_t kVersions = 40'000;
  std::vector<int64_t> ascending(kVersions);
  std::iota(ascending.begin(), ascending.end(), int64_t{0});
  std::vector<int64_t> descending(ascending.rbegin(), ascending.rend());
  std::vector<int64_t> any = ascending;
  std::ranges::shuffle(any, std::mt19937_64(1));
  const auto load = [&](const std::vector<int64_t>& times) {
    return Seconds([&] {
      AsOfTable table(derivation_, *pipeline_->streams[1].schema());
      for (size_t epoch = 0; epoch < kEpochs; ++epoch) {
        const auto begin = times.begin() + static_cast<ptrdiff_t>(epoch * kVersions / kEpochs);
        Insert(table, epoch + 1, {begin, begin + kVersions / kEpochs});
      }
      EXPECT_EQ(table.versions(), kVersions);
    });
  };
  (void)load(ascending);
  const double in_order = load(ascending);
  EXPECT_LT(load(descending), 10 * in_order);
  EXPECT_LT(load(any), 10 * in_order);
}

// All but the first became known long after all events.
TEST_F(AsOfTableTest, VersionsThatAreNotYetKnownCostLittle) {
  constexpr size_t kVersions = 40'000;
  constexpr int64_t kLater = int64_t{1} << 60;
  AsOfTable table(derivation_, *pipeline_->streams[1].schema());
  std::vector<int64_t> times(kVersions), known_at(kVersions, kLater);
  std::iota(times.begin(), times.end(), int64_t{0});
  known_at[0] = 0;
  Insert(table, 1, times, known_at);
  const std::vector<int64_t> events(2000, static_cast<int64_t>(kVersions));
  std::vector<std::string> found;
  const auto join = [&](int64_t known) {
    return Seconds(
        [&] { found = Join(table, 1, events, std::vector<int64_t>(events.size(), known)); });
  };
  (void)join(kLater);
  const double known = join(kLater);
  EXPECT_EQ(found[0], std::to_string(columns::Position::Of({1}, kVersions - 1).packed));
  EXPECT_LT(join(static_cast<int64_t>(kVersions)), 10 * known);
  EXPECT_EQ(found[0], std::to_string(columns::Position::Of({1}, 0).packed));
}

}  // namespace
}  // namespace headrace::pipeline

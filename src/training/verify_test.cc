#include "training/verify.h"

#include <gtest/gtest.h>

#include <random>

#include "columns/key.h"
#include "serving/answer_log.h"
#include "training/testing/shop.h"

namespace headrace::training {
namespace {

using testing::Order;
using testing::Shop;

VerifyOptions Options() {
  VerifyOptions options;
  options.data_folder = testing::kDataFolder;
  options.answers = testing::kAnswersFile;
  return options;
}

VerifyReport Verified(Shop& shop, const VerifyOptions& options = Options()) {
  shop.WriteAnswers();
  auto report = Verify(shop.machine, options);
  EXPECT_TRUE(report) << report.error().ToString();
  return report ? std::move(*report) : VerifyReport{};
}

// Orders and questions in turns; some late, some customers unknown, a part published.
void Trade(Shop& shop, std::mt19937_64& random, int rounds) {
  int64_t id = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Order> orders;
    for (int i = 0; i < 5; ++i) {
      const auto back = static_cast<int64_t>(random() % 1800);
      orders.push_back({++id, 2000 + id * 15 - back, "c" + std::to_string(random() % 5),
                        static_cast<int64_t>(random() % 1000)});
    }
    shop.Send(orders);
    shop.Ask("c" + std::to_string(random() % 6), static_cast<double>(random() % 100) / 7);
    if (round % 10 == 0) shop.AskList("c1", {"customer:quarters_1h", "latest:last_amount"});
    if (round == rounds / 2) shop.Publish();
  }
}

TEST(Verify, FindsEveryAnswerEqual) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Shop shop(seed);
  Trade(shop, random, 200);
  VerifyOptions options = Options();
  WorkProgress progress;
  options.progress = &progress;
  const VerifyReport report = Verified(shop, options);
  EXPECT_EQ(progress.figures().doing, "comparing");
  EXPECT_EQ(progress.figures().done, 220U);
  EXPECT_EQ(report.checked, 220U);
  EXPECT_EQ(report.values, 200U * 21 + 20 * 2);
  EXPECT_EQ(report.mismatches, 0U);
  EXPECT_EQ(report.scanned.total().from_table, 505U);
  EXPECT_EQ(report.scanned.total().from_log, 495U);
  for (const Difference& difference : report.differences)
    for (const DifferentFeature& feature : difference.features)
      ADD_FAILURE() << difference.key << " " << feature.feature << ": " << feature.served << ", "
                    << feature.recomputed;
}

TEST(Verify, FindsOneFlippedBitAndNamesIt) {
  std::mt19937_64 random(4);
  Shop shop(4);
  Trade(shop, random, 20);
  const auto customer = shop.definition->ViewNamed("customer");
  columns::KeyBytes key;
  columns::AppendKeyValue(key, columns::Value::String("c2"));
  shop.Send({{1'000'000, 3000, "c2", 40}});
  ASSERT_TRUE(shop.views->CorruptForDemonstration(*customer, key));
  const serving::FeatureAnswer answer = shop.Ask("c2", 1);
  const VerifyReport report = Verified(shop);
  EXPECT_EQ(report.mismatches, 1U);
  ASSERT_EQ(report.differences.size(), 1U);
  const Difference& difference = report.differences[0];
  EXPECT_EQ(difference.epoch, answer.epoch);
  EXPECT_NE(difference.key.find("customer=c2"), std::string::npos) << difference.key;
  ASSERT_FALSE(difference.features.empty());
  EXPECT_TRUE(difference.features[0].feature.starts_with("customer."))
      << difference.features[0].feature;
}

TEST(Verify, ComparesTheLastBitAndTheStatus) {
  std::mt19937_64 random(5);
  Shop shop(5);
  shop.Send({{1, 100, "a", 3}});
  shop.Ask("a", 1);
  const std::string good = shop.answers;
  ASSERT_NE(good.find("0.75"), std::string::npos) << good;
  const auto with = [&](const std::string& from, const std::string& to) {
    shop.answers = good;
    shop.answers.replace(shop.answers.find(from), from.size(), to);
    return Verified(shop);
  };
  EXPECT_EQ(with("0.75", "0.7500000000000001").mismatches, 1U);  // one unit in the last place
  EXPECT_EQ(with("\"statuses\":[1", "\"statuses\":[2").mismatches, 1U);
  EXPECT_EQ(with("\"a\"", "\"b\"").mismatches, 1U);
  const VerifyReport beyond = with("\"epoch\":", "\"epoch\":9");
  ASSERT_EQ(beyond.differences.size(), 1U);
  EXPECT_NE(beyond.differences[0].reason.find("not in the log"), std::string::npos);
}

TEST(Verify, LeavesOutTornLinesAndOtherLogs) {
  Shop shop(6);
  shop.Send({{1, 100, "a", 3}});
  shop.Ask("a", 1);
  const std::string line = shop.answers;
  std::string foreign = line;
  const size_t id = foreign.find("\"log\":\"") + 7;
  foreign[id] = foreign[id] == '0' ? '1' : '0';
  shop.answers = line.substr(0, 50) + "\n" + line + foreign + line.substr(0, line.size() / 2);
  VerifyOptions options = Options();
  for (const uint64_t part_bytes : {uint64_t{8} << 20, uint64_t{line.size() + 10}}) {
    options.part_bytes = part_bytes;
    const VerifyReport report = Verified(shop, options);
    EXPECT_EQ(report.checked, 1U);
    EXPECT_EQ(report.mismatches, 0U);
    EXPECT_EQ(report.unreadable, 2U);
    EXPECT_EQ(report.damaged, 0U);
    EXPECT_EQ(report.other_log, 1U);
  }
}

// No crash ends a line and changes what is in it.
TEST(Verify, CountsDamagedLinesApart) {
  Shop shop(6);
  shop.Send({{1, 100, "a", 3}});
  shop.Ask("a", 1);
  const std::string line = shop.answers;
  std::string flipped = line;
  flipped[line.find("\"epoch\"") + 1] = 'E';
  shop.answers = line + flipped + "garbage\n" + line;
  const VerifyReport report = Verified(shop);
  EXPECT_EQ(report.checked, 2U);
  EXPECT_EQ(report.unreadable, 0U);
  EXPECT_EQ(report.damaged, 2U);
}

TEST(Verify, SaysThatThereIsNothingToVerify) {
  Shop shop(7);
  const auto report = Verify(shop.machine, Options());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), base::ErrorCode::kNotFound);
}

}  // namespace
}  // namespace headrace::training

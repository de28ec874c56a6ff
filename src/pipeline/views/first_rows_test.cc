// Which rows stay, against a comparison with all that stayed before; also after a restart, and in
// the views over them.
#include "pipeline/streams/first_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/memory_budget.h"
#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using streams_fixture::kSecond;
using streams_fixture::Payment;
using streams_fixture::RandomEpochs;

constexpr std::string_view kOncePipeline = R"(headrace: 1
pipeline: once
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 10m}}
  once:
    from: payments
    where: amount < 90
    dedupe: {by: [card, shop], within: 7s}
views:
  card:
    from: once
    by: card
    over: [2m]
    features: {n: count(*), spend: sum(amount)}
)";
const Dedupe kByCardAndShop{.by = {0, 1}, .within = std::chrono::seconds(7)};
constexpr size_t kPaidAt = 3;

// Those that stay, found by looking at every one that stayed.
std::vector<const Payment*> NaiveFirst(const std::vector<Payment>& payments) {
  std::vector<const Payment*> kept;
  for (const Payment& payment : payments) {
    if (payment.amount.value_or(100) >= 90) continue;
    const bool repeat = payment.shop && std::ranges::any_of(kept, [&](const Payment* other) {
                          return other->card == payment.card && other->shop == payment.shop &&
                                 std::abs(other->at - payment.at) <= 7 * kSecond;
                        });
    if (!repeat) kept.push_back(&payment);
  }
  return kept;
}

std::string NaiveCard(const std::vector<const Payment*>& kept, const std::string& card,
                      int64_t as_of) {
  int64_t n = 0;
  int64_t spend = 0;
  bool known = false;
  for (const Payment* payment : kept) {
    if (payment->card != card || payment->at > as_of) continue;
    known = true;
    if (payment->at <= as_of - 120 * kSecond) continue;
    ++n;
    spend += *payment->amount;
  }
  if (!known) return "NOT_FOUND";
  return std::to_string(n) + " " + (n == 0 ? "null" : std::to_string(spend));
}

class Engine {
 public:
  explicit Engine(const PipelineRef& pipeline) : views_(pipeline, budget_, clock_) {
    views_.BindStream(0, streams_fixture::kPayments);
    views_.BindStream(1, streams_fixture::kShops);
  }
  std::string Answer(const std::string& card, int64_t as_of) {
    const auto pin = views_.PinNewest();
    if (!pin) return pin.error().ToString();
    columns::KeyBytes key;
    columns::AppendKeyValue(key, columns::Value::String(card));
    const auto answer = views_.Get(*pin, 0, key, {as_of});
    if (!answer) return answer.error().ToString();
    if (answer->statuses[0] == FeatureStatus::kNotFound) return "NOT_FOUND";
    return answer->values[0].ToJson() + " " + answer->values[1].ToJson();
  }

  base::MemoryBudget budget_{1ULL << 40};
  fixture::ManualClock clock_;
  ViewSet views_;
};

TEST(FirstRows, ViewsSeeEachOnceAlsoAfterARestart) {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
    RandomEpochs random(seed, pipeline);
    Engine engine(pipeline);
    for (int step = 0; step < 40; ++step) engine.views_.Apply({{random.Next()}});
    size_t calls = 0;
    const auto captured = fixture::CaptureAll(engine.views_, 50 + 400 * (seed % 3), [&] {
      if (calls % (seed % 4 + 1) == 0 && calls < 60) engine.views_.Apply({{random.Next()}});
      ++calls;
    });
    Engine restored(pipeline);
    fixture::Restore(restored.views_, captured, random.epochs);
    for (int step = 0; step < 20; ++step) {
      const auto kept = NaiveFirst(random.payments);
      for (int i = 0; i < 5; ++i) {
        const std::string card = "c" + std::to_string(i);
        const int64_t as_of = random.now - static_cast<int64_t>(random.Random(60)) * kSecond;
        const std::string naive = NaiveCard(kept, card, as_of);
        ASSERT_EQ(engine.Answer(card, as_of), naive) << "seed " << seed << " step " << step;
        ASSERT_EQ(restored.Answer(card, as_of), naive)
            << "restored, seed " << seed << " step " << step << " captured " << captured.after.value
            << " to " << captured.through.value;
      }
      const log::EpochRef epoch = random.Next();
      engine.views_.Apply({{epoch}});
      restored.views_.Apply({{epoch}});
    }
    const auto before = engine.views_.derived_status()[0];
    const auto after = restored.views_.derived_status()[0];
    EXPECT_EQ(before.counts.dedupe, after.counts.dedupe) << "seed " << seed;
    EXPECT_EQ(before.remembered.rows, after.remembered.rows) << "seed " << seed;
    EXPECT_EQ(before.remembered.bytes, after.remembered.bytes) << "seed " << seed;
    EXPECT_EQ(before.counts.rows.rows_out - before.counts.dedupe.repeats,
              NaiveFirst(random.payments).size());
    EXPECT_GT(before.counts.dedupe.repeats, 20U);
  }
}

TEST(FirstRows, ForgetWhatNothingCanRepeat) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
  RandomEpochs random(4, pipeline);
  FirstRows first(kByCardAndShop, kPaidAt, std::chrono::minutes(1));
  DedupeCounts counts;
  uint64_t most = 0;
  for (int step = 0; step < 2000; ++step) {
    const log::EpochRef epoch = random.Next();
    if (const auto* rows = epoch->RowsOf(streams_fixture::kPayments))
      (void)first.Apply(epoch->id, *rows, counts);
    most = std::max(most, first.remembered());
  }
  EXPECT_LT(most, 400U);
  EXPECT_LT(first.bytes(), 40'000U);
  EXPECT_EQ(counts.forgotten, 0U);
}

TEST(FirstRows, ForgetTheEarliestWhenThereAreTooMany) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
  RandomEpochs random(4, pipeline);
  FirstRows few(kByCardAndShop, kPaidAt, std::chrono::minutes(1), 1);
  DedupeCounts counts;
  for (int step = 0; step < 200; ++step) {
    const log::EpochRef epoch = random.Next();
    if (const auto* rows = epoch->RowsOf(streams_fixture::kPayments))
      (void)few.Apply(epoch->id, *rows, counts);
    ASSERT_LE(few.remembered(), FirstRows::kParts);
  }
  EXPECT_GT(counts.forgotten, 0U);
}

// Of rows of one time, too: what a restart reads has no order of its own.
TEST(FirstRows, ForgetTheSameAfterARestart) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
  constexpr size_t kRemembered = 1;
  const Dedupe by_card{.by = {0}, .within = std::chrono::seconds(7)};
  FirstRows first(by_card, kPaidAt, std::chrono::minutes(1), kRemembered);
  FirstRows restored(by_card, kPaidAt, std::chrono::minutes(1), kRemembered);
  DedupeCounts counts;
  const auto apply = [&](FirstRows& to, uint64_t epoch, size_t begin, size_t end) {
    columns::BatchBuilder rows(pipeline->streams[0].schema());
    for (size_t card = begin; card < end; ++card) {
      rows.column(0).AppendText("card " + std::to_string(card));
      rows.column(1).AppendNull();
      rows.column(2).AppendNull();
      rows.column(3).AppendInt(kSecond);
      rows.column(4).AppendInt(kSecond);
    }
    return to.Apply({epoch}, rows.Finish(), counts);
  };
  (void)apply(first, 1, 0, 250);
  for (size_t part = 0; part < FirstRows::kParts; ++part) {
    std::vector<uint8_t> bytes;
    first.Encode(part, {1}, bytes);
    columns::ByteReader in(bytes);
    ASSERT_TRUE(restored.Restore(part, FirstRows::kParts, in));
  }
  (void)apply(first, 2, 250, 400);
  (void)apply(restored, 2, 250, 400);
  ASSERT_GT(counts.forgotten, 100U);
  EXPECT_EQ(apply(first, 3, 0, 400), apply(restored, 3, 0, 400));
}

// Rows of one card, in epochs of 2,000.
std::vector<size_t> KeptOf(const PipelineRef& pipeline, FirstRows& first,
                           const std::vector<int64_t>& times, DedupeCounts& counts) {
  constexpr size_t kRows = 2000;
  std::vector<size_t> kept;
  for (size_t begin = 0; begin < times.size(); begin += kRows) {
    columns::BatchBuilder rows(pipeline->streams[0].schema());
    for (size_t i = begin; i < std::min(times.size(), begin + kRows); ++i) {
      rows.column(0).AppendText("c");
      rows.column(1).AppendInt(1);
      rows.column(2).AppendNull();
      rows.column(3).AppendInt(times[i]);
      rows.column(4).AppendInt(times[i]);
    }
    for (const uint32_t row : first.Apply({begin / kRows + 1}, rows.Finish(), counts))
      kept.push_back(begin + row);
  }
  return kept;
}

TEST(FirstRows, OfOneKeyInAnyOrder) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
  for (const uint64_t seed : {1, 2, 3, 4}) {
    std::mt19937_64 random(seed);
    std::vector<int64_t> times;
    for (int64_t i = 0; i < 12'000; ++i)
      times.push_back((i * 3 + static_cast<int64_t>(random() % 12'000) - 6000) * kSecond);
    if (seed == 2) std::ranges::sort(times, std::greater<>());
    if (seed == 3) std::ranges::sort(times);
    const int64_t late = seed == 2 ? 50'000 : 20'000;
    FirstRows first(kByCardAndShop, kPaidAt, std::chrono::seconds(late));
    DedupeCounts counts;
    const auto kept = KeptOf(pipeline, first, times, counts);
    std::set<int64_t> naive;
    size_t at = 0;
    for (size_t i = 0; i < times.size(); ++i) {
      const auto near = naive.lower_bound(times[i] - 7 * kSecond);
      if (near != naive.end() && *near <= times[i] + 7 * kSecond) continue;
      naive.insert(times[i]);
      ASSERT_LT(at, kept.size()) << "seed " << seed;
      ASSERT_EQ(kept[at++], i) << "seed " << seed;
    }
    EXPECT_EQ(at, kept.size());
    EXPECT_GT(at, 1500U);
    EXPECT_EQ(counts.repeats, times.size() - at);
    uint64_t remembered = 0;  // the others are forgotten
    const int64_t newest = *naive.rbegin();
    for (const int64_t time : naive) remembered += time + 7 * kSecond >= newest - late * kSecond;
    EXPECT_EQ(first.remembered(), remembered);
    EXPECT_GT(remembered, 500U);
    EXPECT_EQ(remembered == at, seed == 2);
  }
}

// Those of one key go and come at either end, or anywhere.
TEST(FirstRows, TheOrderOfRowsDoesNotDecideWhatTheyCost) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kOncePipeline);
  const Dedupe dedupe{.by = {0}, .within = std::chrono::microseconds(0)};
  constexpr int64_t kRows = 400'000;
  const auto seconds = [&](const std::vector<int64_t>& times, base::Duration late) {
    FirstRows first(dedupe, kPaidAt, late);
    DedupeCounts counts;
    const auto began = std::clock();
    EXPECT_EQ(KeptOf(pipeline, first, times, counts).size(), times.size());
    return static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  };
  std::vector<int64_t> times(kRows);
  std::iota(times.begin(), times.end(), int64_t{0});
  const base::Duration forever = std::chrono::days(1);
  (void)seconds(times, forever);
  const double in_order = seconds(times, forever);
  // Half of them are remembered, and each forgets one.
  EXPECT_LT(seconds(times, base::Duration(kRows / 2)), 10 * in_order);
  std::ranges::reverse(times);
  EXPECT_LT(seconds(times, forever), 10 * in_order);
  std::ranges::shuffle(times, std::mt19937_64(1));
  EXPECT_LT(seconds(times, forever), 10 * in_order);
}

}  // namespace
}  // namespace headrace::pipeline

// Rows of two streams joined within a time: every row that is made, its epoch, event time and
// known_at, against all pairs; and the views over them, also through captures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/memory_budget.h"
#include "pipeline/aggregates/reference_sum.h"
#include "pipeline/streams/interval_table.h"
#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using columns::Value;
using streams_fixture::kSecond;
using streams_fixture::NaivePair;
using streams_fixture::NaivePairs;
using streams_fixture::RandomEpochs;

RandomEpochs Outcomes(uint64_t seed, const PipelineRef& pipeline) {
  return {seed, pipeline, streams_fixture::kOutcomesLateSeconds};
}

// One epoch's rows of a stream, as a join wants them.
struct Rows {
  Rows(const log::Epoch& epoch, base::StreamId id, size_t time, size_t came_at) {
    const columns::ColumnBatch* rows = epoch.RowsOf(id);
    if (rows == nullptr) return;
    batch = *rows;
    for (size_t row = 0; row < batch.rows(); ++row)
      positions.push_back(columns::Position::Of(epoch.id, row));
    times = batch.column(time).Int64s();
    known_at = batch.column(came_at).Int64s();
  }
  JoiningRows Joining() const { return {batch, times, positions, known_at}; }

  columns::ColumnBatch batch;
  std::vector<columns::Position> positions;
  std::span<const int64_t> times, known_at;
};

std::string RowText(uint64_t epoch, int64_t at, int64_t known_at, const Value& card,
                    const Value& amount, const Value& country) {
  return std::to_string(epoch) + " " + std::to_string(at / kSecond) + " " +
         std::to_string(known_at / kSecond) + " " + card.ToJson() + " " + amount.ToJson() + " " +
         country.ToJson();
}

// Joins all epochs and says each row that was made.
class Joined {
 public:
  explicit Joined(const PipelineDefinition& pipeline, const IntervalTable::Limits& limits = {})
      : derivation_(*pipeline.streams[2].derivation),
        table_(derivation_, *pipeline.streams[0].schema(), *pipeline.streams[1].schema(),
               pipeline.streams[0].timing.late, pipeline.streams[1].timing.late, limits) {}

  IntervalTable::Made Make(const log::Epoch& epoch) {
    const Rows payments(epoch, streams_fixture::kPayments, 3, 4);
    const Rows shops(epoch, streams_fixture::kShops, 4, 5);
    return table_.Apply(epoch.id, payments.Joining(), shops.Joining(), counts);
  }
  void Apply(const log::Epoch& epoch) {
    const auto made = Make(epoch);
    for (size_t row = 0; row < made.rows.rows(); ++row)
      rows.push_back(RowText(epoch.id.value, made.rows.column(11).Int64s()[row], made.known_at[row],
                             made.rows.column(0).At(row), made.rows.column(2).At(row),
                             made.rows.column(6).At(row)));
  }
  IntervalTable& table() { return table_; }
  uint64_t waiting() const { return table_.waiting(); }
  uint64_t bytes() const { return table_.bytes(); }

  std::vector<std::string> rows;
  IntervalCounts counts;

 private:
  const Derivation& derivation_;
  IntervalTable table_;
};

std::vector<std::string> Texts(const std::vector<NaivePair>& pairs) {
  std::vector<std::string> texts;
  for (const NaivePair& pair : pairs) {
    const auto text = [](const std::optional<std::string>& value) {
      return value ? Value::String(*value) : Value::Null(columns::Type::kString);
    };
    texts.push_back(RowText(pair.epoch, pair.at, pair.known_at, Value::String(pair.payment->card),
                            pair.payment->amount ? Value::Int64(*pair.payment->amount)
                                                 : Value::Null(columns::Type::kInt64),
                            text(pair.shop == nullptr ? std::nullopt : pair.shop->country)));
  }
  return texts;
}

TEST(IntervalJoin, MakesEveryPairOnceAndWhatFoundNone) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const PipelineRef pipeline =
        streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
    RandomEpochs random = Outcomes(seed, pipeline);
    Joined joined(*pipeline);
    for (int epoch = 0; epoch < 80; ++epoch) joined.Apply(*random.Next());
    auto made = joined.rows;
    const auto pairs = NaivePairs(random.payments, random.shops, 80);
    auto naive = Texts(pairs);
    std::ranges::sort(made);
    std::ranges::sort(naive);
    ASSERT_EQ(made, naive) << "seed " << seed;
    EXPECT_GT(joined.counts.pairs, 20U);
    EXPECT_GT(joined.counts.alone, 20U);
    EXPECT_EQ(joined.counts.pairs + joined.counts.alone, pairs.size());
    EXPECT_EQ(joined.counts.given_up, 0U);
  }
}

// A capture of before, of 16 parts: keys were divided by the same hash.
TEST(IntervalJoin, TakesACaptureOfFewerParts) {
  constexpr size_t kPartsBefore = 16;
  constexpr size_t kHeadBytes = 4 * sizeof(uint64_t);
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  RandomEpochs random = Outcomes(1, pipeline);
  Joined first(*pipeline);
  Joined again(*pipeline);
  for (int epoch = 0; epoch < 40; ++epoch) first.Apply(*random.Next());
  for (size_t part = 0; part < kPartsBefore; ++part) {
    std::vector<uint8_t> head;
    std::vector<uint8_t> rows;
    uint32_t keys = 0;
    for (size_t number = part; number < IntervalTable::kParts; number += kPartsBefore) {
      std::vector<uint8_t> bytes;
      first.table().Encode(number, {40}, bytes);
      uint32_t of_part = 0;
      std::memcpy(&of_part, bytes.data() + kHeadBytes, sizeof(of_part));
      keys += of_part;
      head.assign(bytes.begin(), bytes.begin() + kHeadBytes);
      rows.insert(rows.end(), bytes.begin() + kHeadBytes + sizeof(keys), bytes.end());
    }
    columns::ByteWriter(head).U32(keys);
    head.insert(head.end(), rows.begin(), rows.end());
    columns::ByteReader in(head);
    ASSERT_TRUE(again.table().Restore(part, kPartsBefore, in).has_value());
  }
  ASSERT_GT(first.waiting(), 10U);
  EXPECT_EQ(again.waiting(), first.waiting());
  EXPECT_EQ(again.bytes(), first.bytes());
  first.rows.clear();
  for (int epoch = 0; epoch < 40; ++epoch) {
    const log::EpochRef next = random.Next();
    first.Apply(*next);
    again.Apply(*next);
  }
  EXPECT_EQ(again.rows, first.rows);
}

// At the limits of an epoch: on top of parts that were captured at different epochs, those
// behind all of them give up the pairs that they gave up the first time.
TEST(IntervalJoin, GivesUpTheSamePairsInAReplay) {
  uint64_t given_up = 0;
  uint64_t put_off = 0;  // epochs with events that are to be made in a later one
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const PipelineRef pipeline =
        streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
    RandomEpochs random = Outcomes(seed, pipeline);
    const auto limits = seed % 2 == 0
                            ? IntervalTable::Limits{.pairs = 2}
                            : IntervalTable::Limits{.alone = IntervalTable::kParts, .text = 8};
    Joined all(*pipeline);
    Joined first(*pipeline, limits);
    Joined again(*pipeline, limits);
    size_t part = 0;
    uint64_t earliest = 0;
    uint64_t last = 0;
    size_t rows_then = 0;
    uint64_t given_up_then = 0;
    for (uint64_t epoch = 1; epoch <= 80; ++epoch) {
      const log::EpochRef next = random.Next();
      first.Apply(*next);
      all.Apply(*next);
      if (first.counts.alone < all.counts.alone) ++put_off;
      for (uint64_t n = epoch < 20 ? 0 : random.Random(40); n > 0 && part < IntervalTable::kParts;
           --n) {
        std::vector<uint8_t> bytes;
        first.table().Encode(part, {epoch}, bytes);
        columns::ByteReader in(bytes);
        ASSERT_TRUE(again.table().Restore(part, IntervalTable::kParts, in).has_value());
        if (part++ == 0) earliest = epoch;
        last = epoch;
        rows_then = first.rows.size();
        given_up_then = first.counts.given_up;
      }
    }
    ASSERT_EQ(part, IntervalTable::kParts) << "seed " << seed;
    ASSERT_LT(earliest, last);
    for (const log::EpochRef& epoch : random.epochs) {
      if (epoch->id.value <= earliest) continue;
      if (epoch->id.value == last + 1) {
        again.rows.clear();
        again.counts = {};
      }
      again.Apply(*epoch);
    }
    ASSERT_EQ(again.rows,
              std::vector<std::string>(first.rows.begin() + static_cast<ptrdiff_t>(rows_then),
                                       first.rows.end()))
        << "seed " << seed;
    ASSERT_EQ(again.counts.given_up, first.counts.given_up - given_up_then) << "seed " << seed;
    EXPECT_EQ(again.waiting(), first.waiting());
    given_up += again.counts.given_up;
  }
  EXPECT_GT(given_up, 20U);
  EXPECT_GT(put_off, 20U);
}

// With bounds that lie before the event, none can come for long when it comes itself; it is no fact
// before it has happened.
TEST(IntervalJoin, WhatFoundNoneIsNotDatedBeforeItself) {
  std::string text(streams_fixture::kOutcomesPipeline);
  text.replace(text.find("within -5s to 20s"), 17, "within -60s to -20s");
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(text);
  RandomEpochs random = Outcomes(1, pipeline);
  const Derivation& derivation = *pipeline->streams[2].derivation;
  IntervalTable table(derivation, *pipeline->streams[0].schema(), *pipeline->streams[1].schema(),
                      pipeline->streams[0].timing.late, pipeline->streams[1].timing.late,
                      IntervalTable::Limits{});
  IntervalCounts counts;
  for (int step = 0; step < 80; ++step) {
    const log::EpochRef epoch = random.Next();
    const Rows payments(*epoch, streams_fixture::kPayments, 3, 4);
    const Rows shops(*epoch, streams_fixture::kShops, 4, 5);
    const auto made = table.Apply(epoch->id, payments.Joining(), shops.Joining(), counts);
    for (size_t row = 0; row < made.rows.rows(); ++row)
      ASSERT_EQ(made.rows.column(11).Int64s()[row], made.rows.column(3).Int64s()[row]);
  }
  EXPECT_GT(counts.alone, 20U);
  EXPECT_GT(counts.pairs, 20U);
}

// What waits follows the bounds and the lateness, not the log.
TEST(IntervalJoin, ForgetsWhatCanFindNothing) {
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  RandomEpochs random = Outcomes(1, pipeline);
  Joined joined(*pipeline);
  uint64_t most = 0;
  for (int epoch = 0; epoch < 2000; ++epoch) {
    joined.Apply(*random.Next());
    most = std::max(most, joined.waiting());
  }
  EXPECT_LT(most, 500U);
  EXPECT_LT(joined.bytes(), 500'000U);
  EXPECT_GT(random.payments.size(), 5000U);
}

TEST(IntervalJoin, GivesTheEarliestUpWhenTooManyWait) {
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  RandomEpochs random = Outcomes(2, pipeline);
  Joined few(*pipeline, {.waiting = 3});
  Joined all(*pipeline);
  for (int epoch = 0; epoch < 200; ++epoch) {
    const log::EpochRef next = random.Next();
    few.Apply(*next);
    all.Apply(*next);
    ASSERT_LE(few.waiting(), 2 * 3 * IntervalTable::kParts);
  }
  EXPECT_GT(few.counts.given_up, 0U);
  EXPECT_LT(few.counts.pairs, all.counts.pairs);
  EXPECT_GT(few.counts.alone, all.counts.alone) << "given up, but made all the same";
}

// Rows of one key and time; a payment's text is its card, a shop has none.
log::EpochRef EpochOfOneKey(const PipelineDefinition& pipeline, uint64_t id, size_t stream,
                            size_t rows, int64_t second = 1'000'000) {
  columns::BatchBuilder builder(pipeline.streams[stream].schema());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < builder.schema()->size(); ++i) {
      const columns::Field& field = builder.schema()->field(i);
      if (field.type == columns::Type::kTimestamp) {
        builder.column(i).AppendInt(second * kSecond);
      } else if (field.name == "card") {
        builder.column(i).AppendText("card");
      } else if (field.name == "shop") {
        builder.column(i).AppendInt(1);
      } else {
        builder.column(i).AppendNull();
      }
    }
  }
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = {id};
  epoch->streams.push_back(
      {stream == 0 ? streams_fixture::kPayments : streams_fixture::kShops, builder.Finish()});
  return epoch;
}
constexpr uint64_t kCardBytes = 4;

// A key that everything has: the number of pairs is bounded, and what is cut is counted.
TEST(IntervalJoin, BoundsThePartnersOfARow) {
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  Joined joined(*pipeline);
  EXPECT_EQ(joined.Make(*EpochOfOneKey(*pipeline, 1, 0, 1500)).rows.rows(), 0U);
  EXPECT_EQ(joined.Make(*EpochOfOneKey(*pipeline, 2, 1, 1200)).rows.rows(),
            IntervalTable::kPairsMax);
  EXPECT_EQ(joined.counts.pairs, IntervalTable::kPairsMax);
  EXPECT_EQ(joined.counts.pairs + joined.counts.given_up, 1500U * 1200U);
  EXPECT_EQ(joined.counts.alone, 0U);
}

TEST(IntervalJoin, BoundsTheTextOfPairs) {
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  Joined joined(*pipeline, {.text = 7 * kCardBytes});
  joined.Make(*EpochOfOneKey(*pipeline, 1, 0, 5));
  EXPECT_EQ(joined.Make(*EpochOfOneKey(*pipeline, 2, 1, 2)).rows.rows(), 7U);
  EXPECT_EQ(joined.counts.pairs, 7U);
  EXPECT_EQ(joined.counts.given_up, 3U);
}

// Nothing is lost of events alone: those that an epoch has no room for are made in the next.
TEST(IntervalJoin, MakesInALaterEpochWhatOneHasNoRoomFor) {
  const PipelineRef pipeline =
      streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
  constexpr uint64_t kRoom = IntervalTable::kParts * 2 * kCardBytes;
  Joined joined(*pipeline, {.text = kRoom});
  joined.Make(*EpochOfOneKey(*pipeline, 1, 0, 5));
  const auto made_beside_a_shop = [&](uint64_t epoch) {
    return joined.Make(*EpochOfOneKey(*pipeline, epoch, 1, 1, 2'000'000)).rows.rows();
  };
  EXPECT_EQ(made_beside_a_shop(2), 2U);
  EXPECT_EQ(made_beside_a_shop(3), 2U);
  EXPECT_EQ(made_beside_a_shop(4), 1U);
  EXPECT_EQ(made_beside_a_shop(5), 0U);
  EXPECT_EQ(joined.counts.alone, 5U);
  EXPECT_EQ(joined.counts.given_up, 0U);

  Joined few(*pipeline, {.alone = 3 * IntervalTable::kParts});
  few.Make(*EpochOfOneKey(*pipeline, 1, 0, 5));
  EXPECT_EQ(few.Make(*EpochOfOneKey(*pipeline, 2, 1, 1, 2'000'000)).rows.rows(), 3U);
  EXPECT_EQ(few.Make(*EpochOfOneKey(*pipeline, 3, 1, 1, 2'000'000)).rows.rows(), 2U);

  // Where too many wait, there is no later.
  Joined full(*pipeline, {.waiting = 5, .text = kRoom});
  full.Make(*EpochOfOneKey(*pipeline, 1, 0, 9));
  EXPECT_EQ(full.waiting(), 5U);
  EXPECT_EQ(full.counts.given_up, 4U);
  EXPECT_EQ(full.counts.alone, 2U);
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
    columns::AppendKeyValue(key, Value::String(card));
    const auto answer = views_.Get(*pin, 0, key, {as_of});
    if (!answer) return answer.error().ToString();
    std::string text;
    for (size_t i = 0; i < answer->values.size(); ++i)
      text += answer->statuses[i] == FeatureStatus::kNotFound ? "NOT_FOUND "
                                                              : answer->values[i].ToJson() + " ";
    return text;
  }

  base::MemoryBudget budget_{1ULL << 40};
  fixture::ManualClock clock_;
  ViewSet views_;
};

std::string NaiveCard(const std::vector<NaivePair>& pairs, const std::string& card, int64_t as_of) {
  std::vector<const NaivePair*> known;
  for (const NaivePair& pair : pairs)
    if (pair.payment->card == card && pair.at <= as_of && pair.payment->amount.value_or(0) < 90)
      known.push_back(&pair);
  std::string text;
  for (int feature = 0; feature < 5; ++feature) {
    for (const int64_t seconds : {20, 120}) {
      int64_t n = 0;
      int64_t met = 0;
      std::optional<int64_t> spend;
      std::optional<int64_t> after;
      ReferenceSum risk;
      bool any_risk = false;
      for (const NaivePair* pair : known) {
        if (pair->at <= as_of - seconds * kSecond) continue;
        ++n;
        after = std::max(after.value_or(-1), (pair->at - pair->payment->at) / kSecond);
        if (pair->payment->amount) spend = spend.value_or(0) + *pair->payment->amount;
        if (pair->shop == nullptr) continue;
        ++met;
        if (!pair->shop->risk) continue;
        any_risk = true;
        risk.Add(*pair->shop->risk);
      }
      const auto integer = [](const std::optional<int64_t>& value) {
        return value ? Value::Int64(*value) : Value::Null(columns::Type::kInt64);
      };
      const Value values[] = {
          Value::Int64(n), Value::Int64(met), integer(spend),
          any_risk ? Value::Float64(risk.Round()) : Value::Null(columns::Type::kFloat64),
          integer(after)};
      text += known.empty() ? "NOT_FOUND " : values[feature].ToJson() + " ";
    }
  }
  return text;
}

TEST(IntervalJoin, ViewsAnswerWhatTheRowsSayAlsoAfterARestart) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const PipelineRef pipeline =
        streams_fixture::PaymentsPipeline(streams_fixture::kOutcomesPipeline);
    RandomEpochs random = Outcomes(seed, pipeline);
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
      const auto pairs = NaivePairs(random.payments, random.shops, random.epochs.size());
      for (int i = 0; i < 5; ++i) {
        const std::string card = "c" + std::to_string(i);
        const int64_t as_of = random.now - static_cast<int64_t>(random.Random(60)) * kSecond;
        const std::string naive = NaiveCard(pairs, card, as_of);
        ASSERT_EQ(engine.Answer(card, as_of), naive) << "seed " << seed << " step " << step;
        ASSERT_EQ(restored.Answer(card, as_of), naive)
            << "restored, seed " << seed << " step " << step << " captured " << captured.after.value
            << " to " << captured.through.value;
      }
      const log::EpochRef epoch = random.Next();
      engine.views_.Apply({{epoch}});
      restored.views_.Apply({{epoch}});
    }
    const auto before = engine.views_.derived_status();
    const auto after = restored.views_.derived_status();
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(before[i].counts.rows, after[i].counts.rows) << "seed " << seed;
      EXPECT_EQ(before[i].counts.interval, after[i].counts.interval) << "seed " << seed;
      EXPECT_EQ(before[i].kept.rows, after[i].kept.rows) << "seed " << seed;
      EXPECT_EQ(before[i].kept.bytes, after[i].kept.bytes) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace headrace::pipeline

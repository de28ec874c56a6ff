// Views over derived streams, online, through captures and offline, against a naive recomputation
// from the rows that came in.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "base/memory_budget.h"
#include "pipeline/aggregates/reference_sum.h"
#include "pipeline/streams/as_of_table.h"
#include "pipeline/views/batch_driver.h"
#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using columns::Value;
using fixture::ManualClock;
using streams_fixture::NaiveVersion;
using streams_fixture::Payment;
using streams_fixture::RandomEpochs;
using streams_fixture::Shop;

// A view's rows must be these, of the key that is asked for.
struct NaiveRow {
  const Payment* payment;
  const Shop* shop;
};

class Engine {
 public:
  explicit Engine(const PipelineRef& pipeline) : views_(pipeline, budget_, clock_) {
    views_.BindStream(0, streams_fixture::kPayments);
    views_.BindStream(1, streams_fixture::kShops);
  }

  std::string Answer(size_t view, const std::vector<Value>& key, int64_t as_of) {
    const auto pin = views_.PinNewest();
    if (!pin) return pin.error().ToString();
    columns::KeyBytes bytes;
    for (const Value& value : key) columns::AppendKeyValue(bytes, value);
    const auto answer = views_.Get(*pin, view, bytes, {as_of});
    if (!answer) return answer.error().ToString();
    return Text(*answer);
  }
  static std::string Text(const ViewAnswer& answer) {
    std::string text;
    for (size_t i = 0; i < answer.values.size(); ++i)
      text += answer.statuses[i] == FeatureStatus::kNotFound ? "NOT_FOUND "
                                                             : answer.values[i].ToJson() + " ";
    return text;
  }

  base::MemoryBudget budget_{1ULL << 40};
  ManualClock clock_;
  ViewSet views_;
};

// Offline: all versions first, then all events, each once, in batches as they came.
class Offline {
 public:
  Offline(const PipelineDefinition& pipeline, const RandomEpochs& random) : pipeline_(pipeline) {
    for (const ViewDefinition& view : pipeline.views) {
      drivers_.push_back(
          std::make_unique<BatchDriver>(view, pipeline.streams[view.stream], std::nullopt));
      for (const log::EpochRef& epoch : random.epochs) Feed(view, *drivers_.back(), *epoch, random);
      drivers_.back()->Prepare();
    }
  }
  std::string Answer(size_t view, const std::vector<Value>& key, int64_t as_of,
                     std::optional<uint64_t> epoch_max) {
    Question question{{}, {as_of}, {}};
    for (const Value& value : key) columns::AppendKeyValue(question.key, value);
    if (epoch_max) question.cut.epoch_max = base::EpochId{*epoch_max};
    return Engine::Text(drivers_[view]->Answer(question));
  }

 private:
  struct Rows {
    columns::ColumnBatch batch;
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;
  };
  JoiningRows ForJoin(size_t stream, const Rows& rows) const {
    return {.rows = rows.batch,
            .times = rows.batch.column(pipeline_.streams[stream].timing.event_time_field).Int64s(),
            .positions = rows.positions,
            .known_at = rows.known_at};
  }
  static Rows RowsOf(const log::Epoch& epoch, base::StreamId id, size_t came_at) {
    Rows rows;
    const columns::ColumnBatch* batch = epoch.RowsOf(id);
    if (batch == nullptr) return rows;
    rows.batch = *batch;
    for (size_t row = 0; row < batch->rows(); ++row) {
      rows.positions.push_back(columns::Position::Of(epoch.id, row));
      rows.known_at.push_back(batch->column(came_at).Int64s()[row]);
    }
    return rows;
  }
  Rows Make(size_t stream, const Rows& root, const RandomEpochs& random) {
    if (!pipeline_.streams[stream].derived() || root.batch.rows() == 0) return root;
    const Derivation& derivation = *pipeline_.streams[stream].derivation;
    const Rows source = Make(derivation.source, root, random);
    if (source.batch.rows() == 0) return {};
    DerivedRows input{source.batch, {}};
    AsOfCounts as_of;
    if (derivation.as_of) {
      AsOfTable table(derivation, *pipeline_.streams[derivation.as_of->stream].schema());
      for (auto epoch = random.epochs.rbegin(); epoch != random.epochs.rend(); ++epoch) {
        const Rows versions = RowsOf(**epoch, streams_fixture::kShops, 5);
        if (versions.batch.rows() > 0) table.Insert(ForJoin(1, versions), as_of);
      }
      input = table.Join(ForJoin(derivation.source, source), as_of);
    }
    DerivationCounts counts = CountsOf(derivation);
    DerivedRows derived = Derive(derivation, input.rows, counts);
    Rows rows{std::move(derived.rows), {}, {}};
    for (const uint32_t row : derived.from) {
      const uint32_t from = input.from.empty() ? row : input.from[row];
      rows.positions.push_back(source.positions[from]);
      rows.known_at.push_back(source.known_at[from]);
    }
    return rows;
  }
  void Feed(const ViewDefinition& view, BatchDriver& driver, const log::Epoch& epoch,
            const RandomEpochs& random) {
    const Rows rows = Make(view.stream, RowsOf(epoch, streams_fixture::kPayments, 4), random);
    if (rows.batch.rows() > 0) driver.Add(rows.batch, rows.positions, rows.known_at);
  }

  const PipelineDefinition& pipeline_;
  std::vector<std::unique_ptr<BatchDriver>> drivers_;
};

// `where: wide > 10 and amount < 90`, with wide = amount * 2: not true for a NULL amount.
bool IsPaid(const Payment& payment) {
  return payment.amount && *payment.amount * 2 > 10 && *payment.amount < 90;
}

// What view `card` must answer, in the words of Engine::Text.
std::string NaiveCard(const std::vector<NaiveRow>& rows, const std::string& card, int64_t as_of) {
  std::vector<const NaiveRow*> known;
  for (const NaiveRow& row : rows)
    if (row.payment->card == card && row.payment->at <= as_of && IsPaid(*row.payment))
      known.push_back(&row);
  const auto in = [&](const NaiveRow& row, int64_t seconds) {
    return row.payment->at > as_of - seconds * streams_fixture::kSecond;
  };
  if (known.empty()) {
    std::string none;
    for (int i = 0; i < 12; ++i) none += "NOT_FOUND ";
    return none;
  }
  std::vector<std::string> texts;
  const auto each = [&](const std::function<Value(const std::vector<const NaiveRow*>&)>& feature) {
    for (const int64_t seconds : {20, 120}) {
      std::vector<const NaiveRow*> inside;
      for (const NaiveRow* row : known)
        if (in(*row, seconds)) inside.push_back(row);
      texts.push_back(feature(inside).ToJson());
    }
  };
  using Rows = std::vector<const NaiveRow*>;
  each([](const Rows& inside) { return Value::Int64(static_cast<int64_t>(inside.size())); });
  each([](const Rows& inside) {
    int64_t sum = 0;
    for (const NaiveRow* row : inside) sum += *row->payment->amount;
    return inside.empty() ? Value::Null(columns::Type::kInt64) : Value::Int64(sum);
  });
  each([](const Rows& inside) {
    int64_t count = 0;
    for (const NaiveRow* row : inside)
      if (row->shop != nullptr && row->shop->country && *row->shop->country != "NL") ++count;
    return Value::Int64(count);
  });
  each([](const Rows& inside) {
    ReferenceSum sum;
    bool any = false;
    for (const NaiveRow* row : inside) {
      if (row->shop == nullptr || !row->shop->risk) continue;
      sum.Add(*row->shop->risk);
      any = true;
    }
    return any ? Value::Float64(sum.Round()) : Value::Null(columns::Type::kFloat64);
  });
  each([](const Rows& inside) {
    ReferenceSum sum;
    for (const NaiveRow* row : inside) sum.Add(1000.0 / static_cast<double>(*row->payment->amount));
    return inside.empty() ? Value::Null(columns::Type::kFloat64) : Value::Float64(sum.Round());
  });
  each([](const Rows& inside) {
    const NaiveRow* last = nullptr;
    for (const NaiveRow* row : inside)
      if (last == nullptr || row->payment->at >= last->payment->at) last = row;
    if (last == nullptr) return Value::Null(columns::Type::kString);
    return Value::String(last->shop != nullptr && last->shop->country ? *last->shop->country : "?");
  });
  std::string text;
  for (const std::string& each_text : texts) text += each_text + " ";
  return text;
}

std::vector<NaiveRow> NaiveRows(const RandomEpochs& random) {
  std::vector<NaiveRow> rows;
  for (const Payment& payment : random.payments)
    rows.push_back({&payment, NaiveVersion(random.shops, payment)});
  return rows;
}

TEST(DerivedStreams, AnswerWhatTheRowsSay) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
    RandomEpochs random(seed, pipeline);
    Engine engine(pipeline);
    for (int step = 0; step < 240; ++step) {
      engine.views_.Apply({{random.Next()}});
      if (step % 8 != 7) continue;
      const std::vector<NaiveRow> rows = NaiveRows(random);
      for (int i = 0; i < 6; ++i) {
        const std::string card = "c" + std::to_string(random.Random(5));
        const int64_t as_of =
            random.now - static_cast<int64_t>(random.Random(60)) * streams_fixture::kSecond;
        ASSERT_EQ(engine.Answer(0, {Value::String(card)}, as_of), NaiveCard(rows, card, as_of))
            << "seed " << seed << " step " << step << " " << card;
      }
    }
  }
}

// Every key of every view, online and by the batch driver, also as of an earlier epoch.
void ExpectAgreement(const PipelineDefinition& pipeline, RandomEpochs& random, Engine& engine,
                     Offline& offline, uint64_t seed) {
  const std::vector<std::string> countries = {"NL", "DE", "a country with a long name", "?"};
  for (int i = 0; i < 40; ++i) {
    const size_t view = random.Random(pipeline.views.size());
    const std::string card = "c" + std::to_string(random.Random(4));
    const std::string& country = countries[random.Random(4)];
    std::vector<Value> key;
    if (view == 0) key = {Value::String(card)};
    if (view == 1) key = {Value::String(country)};
    if (view == 2)
      key = {country == "?" ? Value::Null(columns::Type::kString) : Value::String(country),
             Value::String(card)};
    const int64_t as_of =
        random.now - static_cast<int64_t>(random.Random(60)) * streams_fixture::kSecond;
    const std::string online = engine.Answer(view, key, as_of);
    ASSERT_EQ(online, offline.Answer(view, key, as_of, engine.views_.visible().value))
        << "seed " << seed << " view " << pipeline.views[view].name << " " << card << " "
        << country;
  }
}

TEST(DerivedStreams, OnlineAndBatchDriverAgree) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
    RandomEpochs random(seed, pipeline);
    Engine engine(pipeline);
    for (int step = 0; step < 50; ++step) engine.views_.Apply({{random.Next()}});
    // What comes later must not change what was answered from these epochs.
    for (int step = 0; step < 10; ++step) random.Next();
    Offline offline(*pipeline, random);
    random.now -= 60 * streams_fixture::kSecond;
    ExpectAgreement(*pipeline, random, engine, offline, seed);
  }
}

TEST(DerivedStreams, RestoredStateGoesOnAsIfEveryEpochHadBeenApplied) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
    RandomEpochs random(seed, pipeline);
    Engine engine(pipeline);
    for (int step = 0; step < 40; ++step) engine.views_.Apply({{random.Next()}});
    // Pieces and pages of different epochs.
    size_t calls = 0;
    const auto captured = fixture::CaptureAll(engine.views_, 50 + 400 * (seed % 3), [&] {
      if (calls % 2 == 0 && calls < 40) engine.views_.Apply({{random.Next()}});
      ++calls;
    });
    for (int step = 0; step < 5; ++step) engine.views_.Apply({{random.Next()}});
    Engine restored(pipeline);
    fixture::Restore(restored.views_, captured, random.epochs);
    for (int step = 0; step < 10; ++step) {
      const std::vector<NaiveRow> rows = NaiveRows(random);
      for (int i = 0; i < 4; ++i) {
        const std::string card = "c" + std::to_string(i);
        ASSERT_EQ(restored.Answer(0, {Value::String(card)}, random.now),
                  NaiveCard(rows, card, random.now))
            << "seed " << seed << " step " << step << " captured " << captured.after.value << " to "
            << captured.through.value;
      }
      const log::EpochRef epoch = random.Next();
      engine.views_.Apply({{epoch}});
      restored.views_.Apply({{epoch}});
    }
    const auto before = engine.views_.derived_status();
    const auto after = restored.views_.derived_status();
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(before[i].counts.rows, after[i].counts.rows)
          << "seed " << seed << " " << before[i].name;
      EXPECT_EQ(before[i].counts.as_of, after[i].counts.as_of) << "seed " << seed;
    }
  }
}

// Epochs that a capture has are learnt from again, and nothing is made of them.
TEST(DerivedStreams, MakeNothingOfWhatACaptureHas) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  base::MemoryBudget budget(1ULL << 40);
  RandomEpochs random(7, pipeline);
  DerivedStreams streams(*pipeline, budget);
  DerivedStreams restored(*pipeline, budget);
  const auto apply = [&](DerivedStreams& to, const log::Epoch& epoch) {
    return streams_fixture::Made(*pipeline, to, epoch);
  };
  for (int epoch = 0; epoch < 30; ++epoch) (void)apply(streams, *random.Next());
  DerivedStreams::Cursor cursor;
  while (true) {
    std::vector<uint8_t> part;
    if (!streams.Encode(cursor, {30}, 100, part)) break;
    columns::ByteReader in(part);
    ASSERT_TRUE(restored.Restore(in, {30}));
  }
  const uint64_t versions = restored.status()[1].kept.rows;
  EXPECT_EQ(versions, streams.status()[1].kept.rows);
  for (size_t epoch = 20; epoch < 30; ++epoch)
    EXPECT_TRUE(apply(restored, *random.epochs[epoch]).empty());
  // Hidden ones may be back, until they are looked for; no version is there twice.
  EXPECT_LE(restored.status()[1].kept.rows, versions + 3);
  size_t rows = 0;
  for (int epoch = 0; epoch < 30; ++epoch) {
    const log::EpochRef next = random.Next();
    const auto made = apply(streams, *next);
    rows += made.size();
    EXPECT_EQ(apply(restored, *next), made);
  }
  EXPECT_GT(rows, 50U);
}

TEST(DerivedStreams, CountWhatTheyLeaveOut) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  RandomEpochs random(5, pipeline);
  Engine engine(pipeline);
  for (int step = 0; step < 50; ++step) engine.views_.Apply({{random.Next()}});
  DerivationCounts expected = {};
  expected.failed = {0, 0, 0};
  AsOfCounts as_of;
  for (const Payment& payment : random.payments) {
    ++expected.rows_in;
    if (payment.amount == 0) ++expected.failed[0];  // 1000 / amount
    if (!payment.amount) {
      ++expected.where_null;
    } else {
      ++(IsPaid(payment) ? expected.rows_out : expected.where_false);
    }
    if (!IsPaid(payment)) continue;
    if (!payment.shop) {
      ++as_of.null_keys;
    } else {
      ++(NaiveVersion(random.shops, payment) != nullptr ? as_of.matched : as_of.unmatched);
    }
  }
  for (const Shop& shop : random.shops)
    if (!shop.shop) ++as_of.version_null_keys;
  const auto status = engine.views_.derived_status();
  ASSERT_EQ(status[0].name, "paid");
  EXPECT_EQ(status[0].counts.rows, expected);
  EXPECT_EQ(status[1].counts.as_of, as_of);
}

// Of two payments of a card, an epoch and a time the one that is left out is the one that was
// asked about, also where it is not among the rows at all.
TEST(DerivedStreams, LeaveOutTheRowThatWasMadeOfTheEvent) {
  std::string text(streams_fixture::kPaymentsPipeline);
  const std::string view = "    from: placed\n    by: card\n";
  text.insert(text.find(view) + view.size(), "    self: excluded\n");
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(text);
  RandomEpochs random(11, pipeline);
  Engine engine(pipeline);
  size_t without = 0;
  size_t beside_others = 0;
  for (int step = 0; step < 400; ++step) {
    const log::EpochRef epoch = random.Next();
    engine.views_.Apply({{epoch}});
    for (const Payment& own : random.payments) {
      if (own.epoch != epoch->id.value) continue;
      int64_t expected = 0;
      bool shared = false;
      for (const Payment& other : random.payments) {
        if (&other == &own || other.card != own.card || !IsPaid(other)) continue;
        expected += other.at > random.now - 120 * streams_fixture::kSecond ? 1 : 0;
        shared |= other.epoch == own.epoch && other.at == own.at;
      }
      const auto pin = engine.views_.PinNewest();
      columns::KeyBytes key;
      columns::AppendKeyValue(key, Value::String(own.card));
      const auto answer = engine.views_.Get(*pin, 0, key, {random.now},
                                            OwnRow{"payments", epoch->id, {own.at}, own.row});
      ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
      const Value count = answer->values[1];
      ASSERT_EQ(count.is_null() ? 0 : count.as_int(), expected)
          << "epoch " << own.epoch << " row " << own.row;
      without += IsPaid(own) ? 0 : 1;
      beside_others += shared ? 1 : 0;
    }
  }
  EXPECT_GT(without, 50U);
  EXPECT_GT(beside_others, 50U);
}

// Hidden versions go, and nobody misses them (the tests above): memory follows the lateness, not
// the log.
TEST(DerivedStreams, ForgetHiddenVersions) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  RandomEpochs random(3, pipeline);
  Engine engine(pipeline);
  for (int step = 0; step < 400; ++step) engine.views_.Apply({{random.Next()}});
  const auto few = engine.views_.derived_status()[1].kept;
  const size_t versions = random.shops.size();
  for (int step = 0; step < 1200; ++step) engine.views_.Apply({{random.Next()}});
  const auto still_few = engine.views_.derived_status()[1].kept;
  EXPECT_GT(random.shops.size(), 3 * versions);
  EXPECT_EQ(still_few.keys, 5U);
  EXPECT_LT(still_few.rows, 2 * few.rows + 50);
  EXPECT_LT(still_few.rows, random.shops.size() / 2);
}

TEST(DerivedStreams, ChargeTheirVersionsAndGiveThemBack) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  base::MemoryBudget budget(1ULL << 40);
  ManualClock clock;
  RandomEpochs random(3, pipeline);
  {
    ViewSet views(pipeline, budget, clock);
    views.BindStream(0, streams_fixture::kPayments);
    views.BindStream(1, streams_fixture::kShops);
    const uint64_t before = views.bytes();
    for (int step = 0; step < 50; ++step) views.Apply({{random.Next()}});
    EXPECT_GT(views.bytes(), before);
    uint64_t kept = 0;
    for (const auto& stream : views.derived_status()) kept += stream.kept.bytes;
    EXPECT_GT(kept, 0U);
    EXPECT_GE(budget.used_bytes(base::MemoryAccount::kState), kept);
  }
  EXPECT_EQ(budget.used_bytes(base::MemoryAccount::kState), 0U);
}

// A dimension with very many new keys at once: each is kept, charged, and found.
TEST(DerivedStreams, ManyNewKeysAreKeptAndCharged) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  Engine engine(pipeline);
  constexpr size_t kKeys = 120'000;
  columns::BatchBuilder shops(pipeline->streams[1].schema());
  for (size_t key = 0; key < kKeys; ++key) {
    shops.column(0).AppendInt(static_cast<int64_t>(key));
    shops.column(1).AppendText("country " + std::to_string(key));
    shops.column(2).AppendDouble(0.5);
    shops.column(3).AppendBool(true);
    shops.column(4).AppendInt(0);
    shops.column(5).AppendInt(0);
  }
  columns::BatchBuilder payments(pipeline->streams[0].schema());
  for (const int64_t key : {int64_t{0}, int64_t{kKeys - 1}, int64_t{kKeys}}) {
    payments.column(0).AppendText("c" + std::to_string(key));
    payments.column(1).AppendInt(key);
    payments.column(2).AppendInt(50);
    payments.column(3).AppendInt(streams_fixture::kSecond);
    payments.column(4).AppendInt(streams_fixture::kSecond);
  }
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = {1};
  epoch->clock = {streams_fixture::kSecond};
  epoch->streams.push_back({streams_fixture::kPayments, payments.Finish()});
  epoch->streams.push_back({streams_fixture::kShops, shops.Finish()});
  engine.views_.Apply({{epoch}});
  const auto kept = engine.views_.derived_status()[1].kept;
  EXPECT_EQ(kept.keys, kKeys);
  EXPECT_GT(kept.bytes, kKeys * 150);
  EXPECT_LT(kept.bytes, kKeys * 350);
  EXPECT_GE(engine.budget_.used_bytes(base::MemoryAccount::kState), kept.bytes);
  for (const auto& [card, country] : std::map<std::string, std::string>{
           {"c0", "\"country 0\""}, {"c119999", "\"country 119999\""}, {"c120000", "\"?\""}}) {
    const std::string answer = engine.Answer(0, {Value::String(card)}, streams_fixture::kSecond);
    EXPECT_NE(answer.find(country), std::string::npos) << card << " " << answer;
  }
}

TEST(DerivedStreams, StateOfOtherRowsIsNotUsed) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline();
  Engine engine(pipeline);
  RandomEpochs random(3, pipeline);
  engine.views_.Apply({{random.Next()}});
  const auto layout = ViewCapture(engine.views_).Layout();
  for (const auto& [old, changed] :
       std::map<std::string, std::string>{{"amount < 90", "amount < 91"},
                                          {"asof left join", "asof join"},
                                          {"1000 / amount", "999 / amount"},
                                          {"late: 1m", "late: 2m"}}) {
    std::string text(streams_fixture::kPaymentsPipeline);
    text.replace(text.find(old), old.size(), changed);
    Engine other(streams_fixture::PaymentsPipeline(text));
    EXPECT_FALSE(ViewRestore::Begin(other.views_, layout)) << changed;
  }
}

// Versions are kept as bytes of the dimension's columns: with others they are other versions.
TEST(DerivedStreams, VersionsOfOtherColumnsAreNotUsed) {
  const std::string text = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 10m}}
  slim: {from: shops, drop: [country]}
views:
  card:
    from: payments asof left join slim using (shop)
    by: card
    over: [1m]
    features: {risk: max(slim.risk)}
)";
  Engine engine(streams_fixture::PaymentsPipeline(text));
  const auto layout = ViewCapture(engine.views_).Layout();
  Engine same(streams_fixture::PaymentsPipeline(text));
  EXPECT_TRUE(ViewRestore::Begin(same.views_, layout));
  for (const std::string changed :
       {"drop: [open]", "drop: [open, country]", "select: [risk, shop, open, since, came_at]"}) {
    std::string other = text;
    other.replace(other.find("drop: [country]"), 15, changed);
    Engine engine_of_other(streams_fixture::PaymentsPipeline(other));
    EXPECT_FALSE(ViewRestore::Begin(engine_of_other.views_, layout)) << changed;
  }
}

// A capture takes some epochs: the events of those that are applied again find the versions that
// they found, although the watermark of the last one is behind them.
TEST(DerivedStreams, AVersionIsKeptForTheEventsThatAreAppliedAgain) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 60m}}
  outcomes: {from: shops, select: [shop, since]}
  placed: {from: payments asof left join shops using (shop), drop: [shops.since]}
  settled: {from: placed left join outcomes using (shop) within 1m to 60m}
views:
  card: {from: settled, by: card, over: [60m], features: {countries: last(shops.country)}}
)");
  const auto apply = [&](DerivedStreams& to, uint64_t epoch, const std::vector<int64_t>& shops,
                         const std::vector<int64_t>& payments) {
    std::vector<columns::ColumnBatch> batches(pipeline->streams.size());
    columns::BatchBuilder versions(pipeline->streams[1].schema());
    for (const int64_t at : shops) {
      versions.column(0).AppendInt(1);
      versions.column(1).AppendText("since " + std::to_string(at));
      versions.column(2).AppendDouble(0.5);
      versions.column(3).AppendBool(true);
      versions.column(4).AppendInt(at * streams_fixture::kSecond);
      versions.column(5).AppendInt(at * streams_fixture::kSecond);
    }
    columns::BatchBuilder events(pipeline->streams[0].schema());
    for (const int64_t at : payments) {
      events.column(0).AppendText("a");
      events.column(1).AppendInt(1);
      events.column(2).AppendInt(1);
      events.column(3).AppendInt(at * streams_fixture::kSecond);
      events.column(4).AppendInt(at * streams_fixture::kSecond);
    }
    if (!payments.empty()) batches[0] = events.Finish();
    if (!shops.empty()) batches[1] = versions.Finish();
    to.Apply({epoch}, batches);
    std::vector<std::string> made;
    for (size_t row = 0; row < batches[4].rows(); ++row)
      made.push_back(contract::RowToJson(batches[4], row));
    return made;
  };
  base::MemoryBudget budget{1ULL << 40};
  DerivedStreams streams(*pipeline, budget);
  DerivedStreams restored(*pipeline, budget);
  // Seven versions; the eighth is of epoch 2, and with it hidden ones are looked for.
  (void)apply(streams, 1, {1, 2, 3, 4, 5, 6, 100}, {});
  DerivedStreams::Cursor cursor;
  std::vector<std::vector<uint8_t>> parts(1);
  while (streams.Encode(cursor, {1}, 1 << 20, parts.back())) parts.emplace_back();
  // The counts are of a later epoch than the rest.
  parts.resize(parts.size() - 2);
  (void)apply(streams, 2, {101}, {50});
  (void)apply(streams, 3, {}, {1000});
  DerivedStreams::Cursor again;
  std::vector<uint8_t> counts;
  for (std::vector<uint8_t> part; streams.Encode(again, {3}, 1 << 20, part); part.clear())
    counts = part;
  for (const auto& part : parts) {
    columns::ByteReader in(part);
    ASSERT_TRUE(restored.Restore(in, {1}));
  }
  columns::ByteReader in(counts);
  ASSERT_TRUE(restored.Restore(in, {3}));
  EXPECT_TRUE(apply(restored, 2, {101}, {50}).empty());
  EXPECT_TRUE(apply(restored, 3, {}, {1000}).empty());
  const auto made = apply(streams, 4, {120}, {});
  ASSERT_EQ(made.size(), 1U);
  EXPECT_NE(made[0].find("since 6"), std::string::npos) << made[0];
  EXPECT_EQ(apply(restored, 4, {120}, {}), made);
  // And what is hidden is looked for again afterwards.
  for (uint64_t epoch = 5; epoch < 40; ++epoch)
    (void)apply(restored, epoch, {static_cast<int64_t>(200 + epoch)}, {});
  EXPECT_LE(restored.status()[1].kept.rows, 20U);
}

// A million keys, one of them with a share of the rows; a tenth of the payments have none.
class HotKeysOfStreams {
 public:
  // Ten seconds, and the step that ends the second period.
  void Feed(double payments_of_7, double shops_of_9) {
    for (int step = 0; step < 201; ++step, clock_.now += std::chrono::milliseconds(50)) {
      ++epoch_;
      columns::BatchBuilder payments(pipeline_->streams[0].schema());
      columns::BatchBuilder shops(pipeline_->streams[1].schema());
      for (int64_t row = 0; row < 500; ++row) {
        const int64_t at = static_cast<int64_t>(epoch_) * streams_fixture::kSecond + row * 1000;
        const auto shop = Is(payments_of_7) ? 7 : Other();
        payments.column(0).AppendText("a card");
        if (shop != 7 && random_() % 10 == 0) {
          payments.column(1).AppendNull();
        } else {
          payments.column(1).AppendInt(shop);
        }
        payments.column(2).AppendInt(1);
        payments.column(3).AppendInt(at);
        payments.column(4).AppendInt(at);
        shops.column(0).AppendInt(Is(shops_of_9) ? 9 : Other());
        shops.column(1).AppendText("NL");
        shops.column(2).AppendNull();
        shops.column(3).AppendNull();
        shops.column(4).AppendInt(at);
        shops.column(5).AppendInt(at);
      }
      std::vector<columns::ColumnBatch> batches(pipeline_->streams.size());
      batches[0] = payments.Finish();
      batches[1] = shops.Finish();
      streams_.Apply({epoch_}, batches);
      streams_.SettleCharges();
    }
  }
  // By their keys as JSON, those of several fields one after the other.
  static std::map<std::string, double> Shares(const std::vector<HotKey>& hot_keys,
                                              const std::vector<columns::Type>& types) {
    std::map<std::string, double> shares;
    for (const HotKey& hot : hot_keys) {
      std::string text;
      const auto values = columns::DecodeKey(types, hot.key);
      HR_CHECK(values.has_value(), "a hot key is one");
      for (const Value& value : *values) text += value.ToJson();
      shares[text] = hot.share;
    }
    return shares;
  }
  std::vector<DerivedStreamStatus> status() const { return streams_.status(); }

 private:
  bool Is(double share) { return static_cast<double>(random_() % 100'000) < share * 100'000; }
  int64_t Other() { return 1000 + static_cast<int64_t>(random_() % 1'000'000); }

  const PipelineRef pipeline_ = streams_fixture::PaymentsPipeline(R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: wall
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 1m}}
  placed: {from: payments asof left join shops using (shop)}
  settled: {from: payments left join shops using (shop) within 0s to 1s}
  once: {from: payments, dedupe: {by: [card, shop], within: 20s}}
views:
  card: {from: placed, by: card, over: [60m], features: {n: count(*)}}
)");
  base::MemoryBudget budget_{1ULL << 40};
  ManualClock clock_;
  std::mt19937_64 random_{3};
  uint64_t epoch_ = 0;
  DerivedStreams streams_{*pipeline_, budget_, &clock_};
};

TEST(DerivedStreams, NameHotKeysOfJoinsAndDedupesWithinTenSeconds) {
  using columns::Type;
  HotKeysOfStreams streams;
  streams.Feed(0.03, 0.03);
  for (const auto& stream : streams.status()) {
    EXPECT_TRUE(stream.hot_keys.empty()) << stream.name;
    EXPECT_TRUE(stream.other_hot_keys.empty()) << stream.name;
    EXPECT_TRUE(stream.dedupe_hot_keys.empty()) << stream.name;
  }
  streams.Feed(0.065, 0.11);
  const auto status = streams.status();
  const auto is = [](const std::map<std::string, double>& shares, const std::string& key,
                     double share) {
    return shares.size() == 1 && shares.begin()->first == key &&
           std::abs(shares.begin()->second - share) < 0.005;
  };
  const auto shares = &HotKeysOfStreams::Shares;
  ASSERT_GE(status.size(), 3U);
  EXPECT_TRUE(is(shares(status[0].hot_keys, {Type::kInt64}), "7", 0.065));
  EXPECT_TRUE(status[0].other_hot_keys.empty());
  EXPECT_TRUE(is(shares(status[1].hot_keys, {Type::kInt64}), "7", 0.065));
  EXPECT_TRUE(is(shares(status[1].other_hot_keys, {Type::kInt64}), "9", 0.11));
  EXPECT_TRUE(status[2].hot_keys.empty());
  EXPECT_TRUE(
      is(shares(status[2].dedupe_hot_keys, {Type::kString, Type::kInt64}), "\"a card\"7", 0.065));
  EXPECT_GT(status[2].counts.dedupe.repeats, 1000U);
  streams.Feed(0.03, 0.03);
  for (const auto& stream : streams.status()) EXPECT_TRUE(stream.hot_keys.empty()) << stream.name;
}

}  // namespace
}  // namespace headrace::pipeline

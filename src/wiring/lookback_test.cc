// Explanations of answers beside an engine that commits, lets its log go and dies.

#include "wiring/lookback.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tables/others_fixture.h"
#include "wiring/lives_fixture.h"
#include "wiring/lookback_json.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using base::ErrorCode;
using columns::Value;
using ::testing::HasSubstr;

constexpr env::MonotonicTime kNoDeadline = std::chrono::hours(1'000'000);

// Views whose state keeps rows, tiles, one tile; of a stream that is made, with and without a
// table.
std::string Looked(const std::string& tables) {
  std::string text = Text(
      "{from: payments, by: card, where: amount > 10, over: [10m, 1h], history: 10m, features: "
      "{n: count(*), spend: sum(amount), big: count(*) where amount > 100, top: max(amount)}}\n"
      "  coarse: {from: payments, by: card, over: [1h], precision: 5m, features: {spend: "
      "sum(amount)}}\n"
      "  total: {from: payments, by: card, features: {n: count(*), first: first(amount)}}\n"
      "  newest: {from: payments, by: card, last: {5: {mean: avg(amount)}}}\n"
      "  large: {from: large, by: card, over: [1h], features: {spend: sum(amount)}}\n"
      "  lost: {from: once, by: card, features: {n: count(*)}}",
      Table::kNo, "log: {keep: 1s}\n");
  text.insert(text.find("views:\n"),
              "  large: {from: payments, where: amount > 50}\n"
              "  once: {from: payments, dedupe: {by: card, within: 3s}}\n");
  return text + "tables:\n" + tables;
}
constexpr const char* kTables = "  payments: {commit: 1s}\n  large: {commit: 2s}\n";

base::Result<Explanation> Explain(Lives& lives, ExplainRequest request, int64_t card,
                                  const access::CallerRef& caller = nullptr) {
  base::Result<Explanation> explained = base::Fail(ErrorCode::kInternal, "died");
  request.key = {{"card", Value::Int64(card)}};
  lives.machine_->Run(
      [&] { explained = lives.core_->lookback().Explain(request, caller, kNoDeadline); });
  return explained;
}

// What the online state answers now.
std::string Served(Lives& lives, const std::string& feature, int64_t card) {
  std::string text;
  lives.machine_->Run([&] {
    const auto answer = lives.core_->answers().Answer({.service = {},
                                                       .features = {feature},
                                                       .inputs = {{"card", {Value::Int64(card)}}},
                                                       .as_of = {},
                                                       .min_epoch = {}});
    ASSERT_TRUE(answer) << answer.error().ToString();
    text = answer->values[0].ToJson();
  });
  return text;
}

const std::vector<std::pair<std::string, std::string>> kFeatures = {
    {"card", "n_10m"},   {"card", "spend_1h"},   {"card", "big_1h"},
    {"card", "top_10m"}, {"coarse", "spend_1h"}, {"total", "n"},
    {"total", "first"},  {"newest", "mean"},     {"large", "spend_1h"}};

TEST(Lookback, ExplainsWhatIsServedFromStateAndTable) {
  Lives lives(Looked(kTables));
  std::set<std::pair<std::string, RowSource>> sources;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 10; ++i) lives.Send(80);
    if (round == 3) lives.LetGo();
    if (round == 4) lives.Die();
    for (const auto& [view, feature] : kFeatures) {
      for (int64_t card = 0; card < 6; ++card) {
        const std::string served = Served(lives, view + "." + feature, card);
        for (const RowSource source : {RowSource::kEither, RowSource::kTable}) {
          const auto explained = Explain(
              lives, {.view = view, .feature = feature, .source = source, .served = served}, card);
          ASSERT_TRUE(explained) << view << "." << feature << " " << explained.error().ToString();
          EXPECT_EQ(explained->SameBits(), std::optional(true))
              << view << "." << feature << " of card " << card << ": "
              << ExplanationJson(*explained) << ", served " << served;
          sources.emplace(view, explained->source);
        }
      }
    }
  }
  EXPECT_TRUE(sources.contains({"card", RowSource::kState}));
  EXPECT_TRUE(sources.contains({"newest", RowSource::kState}));
  EXPECT_TRUE(sources.contains({"large", RowSource::kState}));
  EXPECT_TRUE(sources.contains({"coarse", RowSource::kTable}));
  EXPECT_TRUE(sources.contains({"total", RowSource::kTable}));
}

// What card 2 is served, explained out of the table, which has it.
ExplainRequest ServedAndInTheTable(Lives& lives) {
  for (int i = 0; i < 10; ++i) lives.Send(80);
  lives.machine_->RunFor(std::chrono::seconds(10));
  return {.view = "card",
          .feature = "spend_1h",
          .source = RowSource::kTable,
          .served = Served(lives, "card.spend_1h", 2)};
}

TEST(Lookback, RowsThatAnotherWriterAppendedAreNotCounted) {
  Lives lives(Looked(kTables));
  const ExplainRequest request = ServedAndInTheTable(lives);
  const auto explain = [&] {
    const auto explained = Explain(lives, request, 2);
    EXPECT_TRUE(explained) << explained.error().ToString();
    EXPECT_TRUE(explained && explained->SameBits() == std::optional(true));
  };
  const std::string table = std::string(kData) + "/tables/payments";
  lives.machine_->Run(
      [&] { tables::fixture::CopyAFile(*lives.machine_, table, "theirs.parquet"); });
  explain();
}

TEST(Lookback, RowsThatAnotherWriterMovedAreReadButNoneTwice) {
  Lives lives(Looked(kTables));
  const ExplainRequest request = ServedAndInTheTable(lives);
  const std::string table = std::string(kData) + "/tables/payments";
  lives.machine_->Run([&] {
    tables::fixture::CopyAFile(*lives.machine_, table, "theirs.parquet",
                               tables::fixture::TheyAlso::kRemoveIt);
  });
  const auto moved = Explain(lives, request, 2);
  ASSERT_TRUE(moved) << moved.error().ToString();
  EXPECT_EQ(moved->SameBits(), std::optional(true));
  lives.machine_->Run([&] {
    tables::fixture::CopyAFile(*lives.machine_, table, "a.parquet");
    tables::fixture::CopyAFile(*lives.machine_, table, "b.parquet");
  });
  const auto refused = Explain(lives, request, 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict) << refused.error().ToString();
}

TEST(Lookback, AnEarlierEpochIsExplainedAsItWasServed) {
  Lives lives(Looked(kTables));
  struct Told {
    base::EpochId epoch;
    std::string feature;
    int64_t card;
    std::string value;
  };
  std::vector<Told> told;
  for (int round = 0; round < 45; ++round) {
    lives.Send(100);
    for (const auto& [view, feature] : kFeatures)
      told.push_back({lives.core_->visible(), view + "." + feature, round % 5,
                      Served(lives, view + "." + feature, round % 5)});
    if (round == 35) lives.LetGo();
  }
  std::set<RowSource> sources;
  uint64_t clock_gone = 0;
  for (const Told& each : told) {
    const size_t dot = each.feature.find('.');
    const auto explained = Explain(lives,
                                   {.view = each.feature.substr(0, dot),
                                    .feature = each.feature.substr(dot + 1),
                                    .epoch = each.epoch,
                                    .served = each.value},
                                   each.card);
    if (!explained && explained.error().code() == ErrorCode::kFailedPrecondition) {
      EXPECT_THAT(explained.error().message(), HasSubstr("give as_of, too"));
      ++clock_gone;
      continue;
    }
    ASSERT_TRUE(explained) << explained.error().ToString();
    sources.insert(explained->source);
    EXPECT_EQ(explained->SameBits(), std::optional(true))
        << each.feature << " at epoch " << each.epoch.value << ": " << each.value << ", "
        << ExplanationJson(*explained);
  }
  EXPECT_EQ(sources.size(), 2U);
  EXPECT_GT(clock_gone, 0U);
  EXPECT_LT(clock_gone, told.size());
}

TEST(Lookback, AnInputThatIsGivenTwiceIsRefused) {
  Lives lives(Looked(kTables));
  lives.Send(10);
  lives.machine_->Run([&] {
    const auto past = lives.core_->lookback().Answer(
        {.service = {},
         .features = {"card.*"},
         .inputs = {{"card", {Value::Int64(1)}}, {"card", {Value::Int64(3)}}},
         .epoch = base::EpochId{1},
         .as_of = {},
         .source = RowSource::kEither},
        nullptr, kNoDeadline);
    ASSERT_FALSE(past);
    EXPECT_EQ(past.error().ToString(), "InvalidInput: `card` is given twice (field=card)");
  });
}

// Every view at once, by the same means: the answers of earlier epochs.
TEST(Lookback, AnswersEarlierEpochsAsTheyWereAnswered) {
  Lives lives(Looked(kTables));
  const std::vector<std::string> features = {"card.*", "coarse.*", "total.*", "newest.*",
                                             "large.*"};
  const std::vector<serving::InputColumn> inputs = {
      {"card", {Value::Int64(1), Value::Int64(3), Value::Int64(77)}}};
  std::vector<serving::FeatureAnswer> answers;
  for (int round = 0; round < 15; ++round) {
    lives.Send(80);
    lives.machine_->Run([&] {
      auto answer = lives.core_->answers().Answer(
          {.service = {}, .features = features, .inputs = inputs, .as_of = {}, .min_epoch = {}});
      ASSERT_TRUE(answer) << answer.error().ToString();
      answers.push_back(std::move(*answer));
    });
    if (round == 8) lives.Die();
  }
  std::map<RowSource, int> sources;
  for (const serving::FeatureAnswer& answer : answers) {
    for (const RowSource source : {RowSource::kEither, RowSource::kTable}) {
      for (const auto& names : {features, std::vector<std::string>{"card.*"}}) {
        lives.machine_->Run([&] {
          const auto past = lives.core_->lookback().Answer({.service = {},
                                                            .features = names,
                                                            .inputs = inputs,
                                                            .epoch = answer.epoch,
                                                            .as_of = answer.as_of,
                                                            .source = source},
                                                           nullptr, kNoDeadline);
          ASSERT_TRUE(past) << past.error().ToString();
          EXPECT_NE(PastAnswerJson(*past, {}).find(R"("lag_ms":null,"lag_status":"NOT_LOOKED_UP")"),
                    std::string::npos);
          ++sources[past->source];
          const size_t columns = past->answer.columns->size();
          for (size_t i = 0; i < past->answer.values.size(); ++i) {
            const size_t there = answer.At(i / columns, i % columns);
            EXPECT_TRUE(past->answer.values[i].SameBits(answer.values[there]) &&
                        past->answer.statuses[i] == answer.statuses[there] &&
                        past->answer.EventTime(i / columns, i % columns) ==
                            answer.EventTime(i / columns, i % columns))
                << (*past->answer.columns)[i % columns].Reference() << " at epoch "
                << answer.epoch.value << ": " << past->answer.values[i].ToJson() << ", was "
                << answer.values[there].ToJson();
          }
        });
      }
    }
  }
  EXPECT_GT(sources[RowSource::kState], 0);
  EXPECT_GT(sources[RowSource::kTable], 0);
}

// A service with a max_lag: what had not been heard of for too long then is not PRESENT now.
TEST(Lookback, AnEarlierEpochIsAsFarBehindAsItWas) {
  Lives lives(Looked(kTables) +
              "services:\n  fresh: {features: [card.*, large.*], max_lag: 10s}\n");
  const auto ask = [](base::Timestamp as_of) {
    return serving::FeatureQuery{.service = "fresh",
                                 .features = {},
                                 .inputs = {{"card", {Value::Int64(1), Value::Int64(3)}}},
                                 .as_of = as_of,
                                 .min_epoch = {}};
  };
  std::vector<serving::FeatureAnswer> answers;
  size_t outside = 0;
  for (int round = 0; round < 12; ++round) {
    lives.Send(80);
    for (const int64_t later_s : {0, 5, 10, 11, 300}) {
      lives.machine_->Run([&] {
        const base::Timestamp clock = lives.core_->log_status().clock;
        auto answer = lives.core_->answers().Answer(ask(clock + std::chrono::seconds(later_s)));
        ASSERT_TRUE(answer) << answer.error().ToString();
        EXPECT_EQ(answer->lag, std::chrono::seconds(later_s));
        answers.push_back(std::move(*answer));
      });
    }
    if (round == 6) lives.Die();
  }
  for (const serving::FeatureAnswer& answer : answers) {
    lives.machine_->Run([&] {
      serving::FeatureQuery query = ask(answer.as_of);
      const auto past = lives.core_->lookback().Answer({.service = query.service,
                                                        .features = {},
                                                        .inputs = query.inputs,
                                                        .epoch = answer.epoch,
                                                        .as_of = answer.as_of},
                                                       nullptr, kNoDeadline);
      ASSERT_TRUE(past) << past.error().ToString();
      EXPECT_EQ(past->answer.lag, answer.lag);
      EXPECT_EQ(past->answer.statuses, answer.statuses) << "epoch " << answer.epoch.value;
      outside += answer.lag > std::chrono::seconds(10) ? 1 : 0;
    });
  }
  EXPECT_EQ(outside, answers.size() * 2 / 5);
}

// What the state gives of a key's newest rows is what table and log give.
TEST(Lookback, TheNewestRowsAreTheSameFromStateAndTable) {
  Lives lives(Looked(kTables));
  std::map<RowSource, int> sources;
  std::vector<base::EpochId> epochs;
  for (int round = 0; round < 8; ++round) {
    lives.Send(60);
    epochs.push_back(lives.core_->visible());
    for (const char* view : {"card", "coarse", "newest", "large"}) {
      for (const size_t last : {1, 4, 40}) {
        EventsRequest request{.view = view,
                              .key = {{"card", Value::Int64(round % 5)}},
                              .last = last,
                              .epoch = epochs[lives.random_() % epochs.size()]};
        lives.machine_->Run([&] {
          const auto either = lives.core_->lookback().Events(request, nullptr, kNoDeadline);
          request.source = RowSource::kTable;
          const auto table = lives.core_->lookback().Events(request, nullptr, kNoDeadline);
          ASSERT_TRUE(either) << either.error().ToString();
          ASSERT_TRUE(table) << table.error().ToString();
          ++sources[either->source];
          EXPECT_LE(table->times.size(), last);
          EXPECT_EQ(either->times, table->times);
          // A derived row has the position of the event in the state, and its own in its table.
          const bool own = either->positions_of == table->positions_of;
          EXPECT_EQ(own, view != std::string_view("large") || either->source == RowSource::kTable);
          for (size_t row = 0; row < table->times.size(); ++row) {
            EXPECT_EQ(either->positions[row].epoch(), table->positions[row].epoch());
            if (own) EXPECT_EQ(either->positions[row], table->positions[row]);
            EXPECT_EQ(either->known_at[row], table->known_at[row]) << view << " row " << row;
          }
          EXPECT_TRUE(std::ranges::is_sorted(table->times, std::ranges::greater{}));
          for (size_t row = 0; row < table->times.size(); ++row)
            for (size_t i = 0; i < table->values.columns().size(); ++i)
              EXPECT_TRUE(
                  table->values.column(i).At(row).SameBits(either->values.column(i).At(row)));
        });
      }
    }
  }
  EXPECT_GT(sources[RowSource::kState], 0);
  lives.machine_->Run([&] {
    const auto events = lives.core_->lookback().Events(
        {.stream = "payments", .key = {{"card", Value::Int64(2)}}, .last = 7}, nullptr,
        kNoDeadline);
    ASSERT_TRUE(events) << events.error().ToString();
    ASSERT_EQ(events->times.size(), 7U);
    for (size_t row = 0; row < 7; ++row) EXPECT_EQ(events->values.column(0).At(row).as_int(), 2);
  });
}

// As a literal the longest is longer than an expression may be.
TEST(Lookback, FindsTheEventsOfALongKey) {
  std::string text = Text(kHour, Table::kNo);
  text.insert(text.find("views:\n"),
              "  noted: {from: payments, derive: {note: repeat('''', card * 2048)}}\n");
  Lives lives(text + "tables: {payments: {commit: 1s}, noted: {commit: 1s}}\n");
  lives.Send(30);
  for (const int64_t card : {1, 2, 4}) {
    const std::string note(static_cast<size_t>(card) * 2048, '\'');
    const std::vector<std::pair<std::string, Value>> keys = {{"card", Value::Int64(card)},
                                                             {"note", Value::String(note)}};
    lives.machine_->Run([&] {
      EventsRequest request{.stream = "noted", .key = {keys[0]}, .last = 100};
      const auto of_card = lives.core_->lookback().Events(request, nullptr, kNoDeadline);
      ASSERT_TRUE(of_card) << of_card.error().ToString();
      EXPECT_FALSE(of_card->times.empty());
      for (const auto& key : {std::vector{keys[1]}, keys}) {
        request.key = key;
        const auto of_note = lives.core_->lookback().Events(request, nullptr, kNoDeadline);
        ASSERT_TRUE(of_note) << of_note.error().ToString();
        EXPECT_EQ(of_note->positions, of_card->positions);
      }
    });
  }
}

TEST(Lookback, ShoutsWhenAStoredBitIsFlipped) {
  Lives lives(Looked(kTables));
  // In a sum of several the lowest bit of one may be rounded away.
  lives.Send(1);
  int64_t card = 0;
  while (Served(lives, "card.n_1h", card) != "1") {
    card = (card + 1) % 5;
    if (card == 0) lives.Send(1);
  }
  columns::KeyBytes key;
  columns::AppendKeyValue(key, Value::Int64(card));
  lives.machine_->Run([&] { ASSERT_TRUE(lives.core_->CorruptForDemonstration("card", key)); });
  const auto explained =
      Explain(lives, {.view = "card", .feature = "spend_1h", .source = RowSource::kTable}, card);
  ASSERT_TRUE(explained) << explained.error().ToString();
  EXPECT_EQ(explained->SameBits(), std::optional(false));
  // The state's own rows have the bit, too: they can't show it.
  const auto of_state = Explain(lives, {.view = "card", .feature = "spend_1h"}, card);
  ASSERT_TRUE(of_state) << of_state.error().ToString();
  EXPECT_EQ(of_state->SameBits(), std::optional(true));
}

TEST(Lookback, SaysWhyItCanNot) {
  Lives lives(Looked(""));
  for (int i = 0; i < 30; ++i) lives.Send(100);
  const auto code = [&](ExplainRequest request) {
    const auto explained = Explain(lives, std::move(request), 1);
    return explained ? ErrorCode::kInternal : explained.error().code();
  };
  EXPECT_EQ(code({.view = "cards", .feature = "n_1h"}), ErrorCode::kNotFound);
  EXPECT_EQ(code({.view = "card", .feature = "n_2h"}), ErrorCode::kNotFound);
  EXPECT_EQ(code({.view = "card", .feature = "n_1h", .epoch = base::EpochId{1'000'000}}),
            ErrorCode::kUnavailable);
  EXPECT_EQ(code({.view = "card", .feature = "n_1h", .rows = Lookback::kRowsListedMax + 1}),
            ErrorCode::kInvalidInput);
  EXPECT_EQ(code({.view = "lost", .feature = "n", .source = RowSource::kTable}),
            ErrorCode::kUnsupported);
  lives.LetGo();
  const auto gone = Explain(lives, {.view = "total", .feature = "n"}, 1);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(gone.error().message(), HasSubstr("no table"));
  ExplainRequest no_key{.view = "card", .feature = "n_1h"};
  lives.machine_->Run([&] {
    const auto explained = lives.core_->lookback().Explain(no_key, nullptr, kNoDeadline);
    ASSERT_FALSE(explained);
    EXPECT_THAT(explained.error().message(), HasSubstr("the key lacks `card`"));
  });
}

TEST(Lookback, RefusesColumnsThatAreNotEquallyLong) {
  Lives lives(Text(kHour, Table::kNo) +
              "  moment: {from: payments, by: [card, paid_at], over: [1h], features: {n: "
              "count(*)}}\n");
  lives.Send(10);
  const std::vector<Value> none;
  const std::vector<Value> cards = {Value::Int64(1)};
  const std::vector<Value> times = {Value::Timestamp(0)};
  const auto ask = [&](const std::vector<Value>& of_card, const std::vector<Value>& of_paid_at) {
    base::Result<PastAnswer> past = base::Fail(ErrorCode::kInternal, "died");
    lives.machine_->Run([&] {
      past =
          lives.core_->lookback().Answer({.service = {},
                                          .features = {"moment.n_1h"},
                                          .inputs = {{"card", of_card}, {"paid_at", of_paid_at}}},
                                         nullptr, kNoDeadline);
    });
    return past ? "" : past.error().message();
  };
  EXPECT_EQ(ask(none, times), "`paid_at` has 1 values, the columns before it 0");
  EXPECT_EQ(ask(cards, none), "`paid_at` has 0 values, the columns before it 1");
  EXPECT_EQ(ask(none, none), "");
  EXPECT_EQ(ask(cards, times), "");
}

TEST(Lookback, GivesUpAtItsDeadline) {
  Lives lives(Looked(kTables));
  lives.Send(100);
  lives.machine_->Run([&] {
    const auto explained = lives.core_->lookback().Explain({.view = "total",
                                                            .key = {{"card", Value::Int64(1)}},
                                                            .feature = "n",
                                                            .source = RowSource::kTable},
                                                           nullptr, lives.machine_->clock().Now());
    ASSERT_FALSE(explained);
    EXPECT_EQ(explained.error().code(), ErrorCode::kDeadlineExceeded);
  });
}

TEST(Lookback, ReadsItsRequests) {
  const auto asked = ParseExplainRequest(
      R"({"view":"card","key":{"card":4},"feature":"n_1h","epoch":7,"as_of":"2001-01-01T00:00:00Z","limit":3,"source":"table","served":1.50,"deadline_ms":99999999})");
  ASSERT_TRUE(asked) << asked.error().ToString();
  EXPECT_EQ(asked->request.epoch, base::EpochId{7});
  EXPECT_EQ(asked->request.rows, 3U);
  EXPECT_EQ(asked->request.served, "1.5");
  EXPECT_EQ(asked->deadline, Lookback::kDeadlineMax);
  for (const char* wrong :
       {"", "[]", R"({"view":"card","feature":"n"})", R"({"view":1,"key":{},"feature":"n"})",
        R"({"view":"c","key":{"card":[1]},"feature":"n"})",
        R"({"view":"c","key":{"card":1},"feature":"n","epoch":-1})",
        R"({"view":"c","key":{"card":1},"feature":"n","as_of":"yesterday"})",
        R"({"view":"c","key":{"card":1},"feature":"n","source":"disk"})",
        R"({"view":"c","key":{"card":1},"feature":"n","served":[[1]]})",
        R"({"view":"c","key":{"card":1},"feature":"n","served":{}})",
        R"({"view":"c","key":{"card":1},"feature":"n","more":1})"})
    EXPECT_FALSE(ParseExplainRequest(wrong)) << wrong;
}

TEST(Lookback, ReadsRequestsForFeatures) {
  protocols::HttpRequest request;
  request.body = R"({"feature_service":"s","entities":{"card":[1]},"deadline_ms":250})";
  auto asked = ParsePastRequest(request);
  ASSERT_TRUE(asked) << asked.error().ToString();
  EXPECT_EQ(asked->deadline, std::chrono::milliseconds(250));
  request.query = {{"deadline_ms", "99999999"}};
  EXPECT_EQ(ParsePastRequest(request)->deadline, Lookback::kDeadlineMax);
  request.body = R"({"feature_service":"s","entities":{"card":[1]}})";
  request.query = {};
  EXPECT_EQ(ParsePastRequest(request)->deadline, Lookback::kDeadline);
  request.query = {{"epoch", "3"}, {"min_epoch", "4"}};
  EXPECT_FALSE(ParsePastRequest(request));
  request.query = {{"mode", "feast"}};
  EXPECT_FALSE(ParsePastRequest(request));
}

}  // namespace
}  // namespace headrace::wiring

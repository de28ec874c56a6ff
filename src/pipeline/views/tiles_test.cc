// Tiles: that rows are really folded, and that whether, when and how often they are changes no bit
// of an answer. What the answers are is held to the naive oracle by the tests of the other files,
// which have views with a precision and of a whole life.

#include <gtest/gtest.h>

#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

std::shared_ptr<PipelineDefinition> CoarsePipeline() {
  auto pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  std::vector<ViewDefinition>& views = pipeline->views;
  views.clear();
  views.push_back(MakeView(schema, "exact", {kKey}, {600}, Sums()));
  views.push_back(Coarse(MakeView(schema, "coarse", {kKey}, {100, 600}, Sums()), 20'000));
  views.push_back(Coarse(MakeView(schema, "all", {kKey}, {100, 600}, EveryTiled(false)), 100'000));
  views.push_back(MakeView(schema, "total", {kKey}, {}, EveryTiled(true)));
  return pipeline;
}

std::vector<Feature> FeaturesOfCoarse(size_t view) {
  if (view < 2) return Sums();
  return EveryTiled(view == 3);
}

// Rows in order, some late or ahead; the same for any number of epochs that they come in.
std::vector<Event> Rows(uint64_t seed, size_t count, size_t keys) {
  std::mt19937_64 random(seed);
  std::vector<Event> rows;
  int64_t now = 1'000'000 * kSecond;
  for (size_t i = 0; i < count; ++i) {
    now += static_cast<int64_t>(random() % 400'000);
    Event event = RandomEvent(random, keys);
    event.at = now;
    if (random() % 20 == 0) event.at = now - static_cast<int64_t>(random() % 650) * kSecond;
    if (random() % 20 == 0) event.at = now + static_cast<int64_t>(random() % 20) * kSecond;
    rows.push_back(std::move(event));
  }
  return rows;
}

// A view set that is given rows in epochs of random sizes, whose clock is the rows' own.
struct Fed {
  explicit Fed(PipelineRef pipeline = CoarsePipeline())
      : views(std::move(pipeline), budget, clock) {
    views.BindStream(0, kStream);
  }
  void Apply(std::vector<Event> events, int64_t now) {
    const log::EpochRef made =
        ToEpoch(views.definition().streams[0].schema(), ++epoch, now, events);
    for (const Event& event : events) rows.push_back(event);
    views.Apply({&made, 1});
    epochs.push_back(made);
  }
  ViewAnswer Ask(size_t view, const std::string& key, int64_t as_of) {
    const auto pin = views.PinNewest();
    return *views.Get(*pin, view, KeyOf(views.definition().views[view], key, {}), {as_of});
  }
  ManualClock clock;
  base::MemoryBudget budget{1ULL << 40};
  ViewSet views;
  uint64_t epoch = 0;
  std::vector<Event> rows;
  std::vector<log::EpochRef> epochs;
};

void Feed(Fed& fed, const std::vector<Event>& rows, std::mt19937_64& random, size_t rows_max) {
  int64_t now = 0;
  for (size_t begin = 0; begin < rows.size();) {
    const size_t end = std::min(rows.size(), begin + 1 + random() % rows_max);
    for (size_t i = begin; i < end; ++i) now = std::max(now, rows[i].at - 20 * kSecond);
    fed.Apply(
        {rows.begin() + static_cast<ptrdiff_t>(begin), rows.begin() + static_cast<ptrdiff_t>(end)},
        now);
    begin = end;
  }
}

TEST(Tiles, AnswersDoNotDependOnWhenRowsAreFolded) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const size_t keys = 1 + seed % 3 * 4;
    const std::vector<Event> rows = Rows(seed, 3'000, keys);
    std::mt19937_64 random(seed);
    Fed one_by_one;
    Fed in_lots;
    Feed(one_by_one, rows, random, 2);
    Feed(in_lots, rows, random, 700);
    const int64_t now = one_by_one.views.PinNewest()->clock().us;
    for (int i = 0; i < 60; ++i) {
      const std::string key = "key-" + std::to_string(random() % keys);
      const int64_t as_of = now + static_cast<int64_t>(random() % 60'000'000) - 20 * kSecond;
      for (size_t v = 0; v < 4; ++v) {
        const ViewDefinition& view = one_by_one.views.definition().views[v];
        const ViewAnswer answer = one_by_one.Ask(v, key, as_of);
        const ViewAnswer other = in_lots.Ask(v, key, as_of);
        // Positions differ, but no two rows of a key have one time and different fates here.
        ASSERT_EQ(Difference(view, answer, other), "") << "seed " << seed << " view " << view.name;
        const ViewAnswer naive =
            NaiveAnswer(view, FeaturesOfCoarse(v), in_lots.rows, key, {}, as_of);
        ASSERT_EQ(Difference(view, other, naive), "") << "seed " << seed << " view " << view.name;
      }
    }
  }
}

TEST(Tiles, TakeThePlaceOfRows) {
  Fed fed;
  std::mt19937_64 random(3);
  Feed(fed, Rows(3, 20'000, 1), random, 200);
  const auto status = fed.views.status();
  ASSERT_GT(status[0].rows, 2'500U);  // of ten minutes
  EXPECT_LT(status[1].rows, 1'000U);  // twice those of the history and a tile
  EXPECT_LT(status[1].bytes * 2, status[0].bytes);
  EXPECT_LT(status[2].rows, 2'000U);
  EXPECT_LT(status[3].rows, 1'000U);
  EXPECT_LT(status[3].bytes, status[0].bytes);
  EXPECT_FALSE(status[0].tiles.has_value());
  for (size_t view = 1; view < 4; ++view) {
    ASSERT_TRUE(status[view].tiles.has_value());
    const TileFigures& tiles = *status[view].tiles;
    EXPECT_GT(tiles.folds, 10U) << view;
    EXPECT_GT(tiles.rows, 17'000U) << view;
    EXPECT_LE(tiles.rows + tiles.late_rows, 20'000U) << view;
    EXPECT_GT(tiles.late_rows, 10U) << view;
    EXPECT_GT(tiles.bytes, 0U) << view;
    EXPECT_LT(tiles.bytes, status[view].bytes) << view;
  }
}

// A card with a payment now and then has no use for tiles.
TEST(Tiles, NeverTakeMoreThanRows) {
  Fed fed;
  int64_t now = 1'000'000 * kSecond;
  for (int i = 0; i < 600; ++i) {
    now += 25 * kSecond;
    fed.Apply({Event{.key = "key-0", .at = now, .x = i, .f = 1.5, .b = true}}, now);
  }
  const auto status = fed.views.status();
  EXPECT_EQ(status[1].rows, status[0].rows);
  EXPECT_LE(status[1].bytes, status[0].bytes);
}

// Sets of different rows have the same long texts once more each: they take more than the rows.
// Those of one set take less, since the texts of rows are not in their chunks either.
TEST(Tiles, AreDraftedAgainWhenThereAreHalfAsManyRowsMore) {
  constexpr size_t kRows = 6'000;
  const auto distinct = [](std::string name, std::string where) {
    return Feature{.name = std::move(name),
                   .kind = AggregateKind::kCountDistinct,
                   .argument = "s",
                   .where = std::move(where)};
  };
  const columns::SchemaRef schema = EventsPipeline()->streams[0].schema();
  const std::vector<Feature> one = {distinct("all", "")};
  const std::vector<Feature> several = {distinct("all", ""), distinct("b", "b"),
                                        distinct("some", "x > 10"), distinct("few", "x > 480")};
  const auto fed_with = [&](ViewDefinition view) {
    auto of_view = EventsPipeline();
    of_view->views.clear();
    of_view->views.push_back(std::move(view));
    auto fed = std::make_unique<Fed>(of_view);
    int64_t now = 1'000'000 * kSecond;
    for (size_t epoch = 0; epoch < kRows / 100; ++epoch) {
      std::vector<Event> events;
      for (size_t i = 0; i < 100; ++i) {
        now += kSecond / 10;
        const std::string number = std::to_string(1'000'000 + epoch * 100 + i);
        events.push_back(
            {.key = "key-0", .at = now, .x = 500, .b = true, .s = number + std::string(29, 'u')});
      }
      fed->Apply(std::move(events), now);
    }
    EXPECT_EQ(fed->Ask(0, "key-0", now).values[0].ToJson(), std::to_string(kRows));
    return fed;
  };
  const auto memory = [](const Fed& fed) {
    return fed.budget.used_bytes(base::MemoryAccount::kState);
  };
  const auto exact = fed_with(MakeView(schema, "exact", {kKey}, {3600}, one));
  const auto of_one = fed_with(Coarse(MakeView(schema, "one", {kKey}, {3600}, one), 20'000));
  EXPECT_LT(of_one->views.status()[0].rows, kRows / 2);
  EXPECT_LT(memory(*of_one), memory(*exact));
  const auto of_several =
      fed_with(Coarse(MakeView(schema, "several", {kKey}, {3600}, several), 20'000));
  const ViewStatus status = of_several->views.status()[0];
  EXPECT_EQ(status.rows, kRows);
  EXPECT_EQ(status.tiles->folds, 0U);
  EXPECT_GT(status.tiles->drafted_rows, kRows / 2);
  EXPECT_LT(status.tiles->drafted_rows, 5 * kRows);
}

// Nobody asks for a key again, and no row comes: its total takes its rows' place all the same.
TEST(Tiles, OfAWholeLifeAlsoOfKeysThatFellSilent) {
  Fed fed;
  std::mt19937_64 random(4);
  Feed(fed, Rows(4, 1'000, 20), random, 100);
  ASSERT_GT(fed.views.status()[3].rows, 100U);
  int64_t now = fed.views.PinNewest()->clock().us + 3600 * kSecond;
  for (int i = 0; i < 10; ++i) fed.Apply({Event{.key = "key-0", .at = now}}, now);
  EXPECT_LT(fed.views.status()[3].rows, 8U * 20U);
}

// Everything that a tile may hold, through bytes and back: also sums that no record holds.
TEST(Tiles, AreCapturedAndRestored) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    std::mt19937_64 random(seed);
    Fed fed;
    Feed(fed, Rows(seed, 4'000, 3), random, 300);
    const Captured captured = CaptureAll(fed.views, 2'000, [] {});
    Fed restored;
    Restore(restored.views, captured, {});
    EXPECT_EQ(restored.views.status()[1].rows, fed.views.status()[1].rows);
    const int64_t now = fed.views.PinNewest()->clock().us;
    for (int i = 0; i < 40; ++i) {
      const std::string key = "key-" + std::to_string(random() % 3);
      for (size_t v = 0; v < 4; ++v) {
        const ViewDefinition& view = fed.views.definition().views[v];
        ASSERT_EQ(Difference(view, fed.Ask(v, key, now), restored.Ask(v, key, now)), "")
            << "seed " << seed << " view " << view.name;
      }
    }
    EXPECT_EQ(CaptureAll(restored.views, 2'000, [] {}).pieces.front(), captured.pieces.front());
  }
}

// Rows of 200 keys: eight each, which fill a chunk, then one that finds all of them before the
// boundary and is before it itself.
std::vector<std::vector<Event>> EpochsThatFold() {
  constexpr int64_t kBegin = 1'000'000 * kSecond;
  std::vector<std::vector<Event>> epochs;
  for (int64_t second = 0; second < 9; ++second) {
    if (second == 8) epochs.push_back({Event{.key = "other", .at = kBegin + 120 * kSecond}});
    epochs.emplace_back();
    for (int key = 0; key < 200; ++key)
      epochs.back().push_back(Event{.key = "key-" + std::to_string(key),
                                    .at = kBegin + second * kSecond,
                                    .x = key,
                                    .f = 1.5,
                                    .b = true});
  }
  return epochs;
}

// With sums alone, so that tiles take less than eight rows.
std::shared_ptr<PipelineDefinition> PipelineThatFolds() {
  auto pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  pipeline->views.clear();
  pipeline->views.push_back(MakeView(schema, "exact", {kKey}, {600}, Sums()));
  pipeline->views.push_back(Coarse(MakeView(schema, "coarse", {kKey}, {600}, Sums()), 20'000));
  pipeline->views.push_back(MakeView(schema, "total", {kKey}, {}, Sums()));
  return pipeline;
}

void ExpectRestored(Fed& fed) {
  const Captured captured = CaptureAll(fed.views, 2'000, [] {});
  Fed restored(PipelineThatFolds());
  Restore(restored.views, captured, {});
  const int64_t now = fed.views.PinNewest()->clock().us;
  for (size_t v = 1; v < 3; ++v) {
    EXPECT_EQ(fed.views.status()[v].tiles->folds, 200U);
    EXPECT_EQ(fed.views.status()[v].tiles->late_rows, 200U);
    EXPECT_EQ(fed.views.status()[v].rows, 1U);
    const ViewDefinition& view = fed.views.definition().views[v];
    for (int i = 0; i < 200; ++i) {
      const std::string key = "key-" + std::to_string(i);
      ASSERT_EQ(Difference(view, fed.Ask(v, key, now), restored.Ask(v, key, now)), "")
          << key << " view " << view.name;
    }
  }
}

TEST(Tiles, AreCapturedAlsoWhereTheyAreAllThatAKeyHas) {
  Fed fed(PipelineThatFolds());
  int64_t now = 0;
  for (const std::vector<Event>& events : EpochsThatFold()) {
    now = std::max(now, events.front().at);
    fed.Apply(events, now);
  }
  ExpectRestored(fed);
}

// Views that are built from history get old rows under the log's present clock.
TEST(Tiles, AreCapturedAlsoOfAViewThatWasBuilt) {
  auto before = PipelineThatFolds();
  before->views.resize(1);
  Fed fed(before);
  const std::vector<std::vector<Event>> epochs = EpochsThatFold();
  for (const std::vector<Event>& events : epochs) fed.Apply(events, epochs[8].front().at);
  fed.views.BeginChange(PipelineThatFolds(), {});
  for (const log::EpochRef& epoch : fed.epochs) {
    HistoryRows history{.rows = *epoch->RowsOf(kStream), .positions = {}};
    for (size_t row = 0; row < history.rows.rows(); ++row)
      history.positions.push_back(columns::Position::Of(epoch->id, row));
    fed.views.Apply({}, &history);
  }
  fed.views.PutAside();
  const HistoryRows nothing;
  while (fed.views.CatchUp() != ViewSet::CatchingUp::kDone) fed.views.Apply({}, &nothing);
  fed.views.CutOver();
  ExpectRestored(fed);
}

TEST(Tiles, GiveTheirMemoryBack) {
  base::MemoryBudget budget{1ULL << 40};
  ManualClock clock;
  {
    ViewSet views(CoarsePipeline(), budget, clock);
    views.BindStream(0, kStream);
    std::vector<Event> rows = Rows(5, 5'000, 3);
    for (uint64_t e = 0; e < 50; ++e) {
      std::vector<Event> events(rows.begin() + static_cast<ptrdiff_t>(e * 100),
                                rows.begin() + static_cast<ptrdiff_t>(e * 100 + 100));
      const log::EpochRef made =
          ToEpoch(views.definition().streams[0].schema(), e + 1, rows[e * 100].at, events);
      views.Apply({&made, 1});
    }
    EXPECT_GT(budget.used_bytes(base::MemoryAccount::kState), 10'000U);
  }
  EXPECT_EQ(budget.used_bytes(base::MemoryAccount::kState), 0U);
}

}  // namespace
}  // namespace headrace::pipeline

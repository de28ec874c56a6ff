#include "pipeline/views/batch_driver.h"

#include <gtest/gtest.h>

#include "pipeline/views/events_fixture.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

struct KnownEvent {
  Event event;
  int64_t known_at;
};

std::vector<KnownEvent> RandomHistory(std::mt19937_64& random, size_t count) {
  std::vector<KnownEvent> rows;
  for (size_t i = 0; i < count; ++i) {
    Event event = RandomEvent(random, 4);
    event.at = static_cast<int64_t>(random() % 900) * kSecond;
    event.position = columns::Position::Of({1 + i / 50}, i % 50).packed;
    const int64_t known_at = event.at + static_cast<int64_t>(random() % 30) * kSecond;
    rows.push_back({std::move(event), known_at});
  }
  return rows;
}

void Feed(BatchDriver& driver, const columns::SchemaRef& schema,
          const std::vector<KnownEvent>& rows) {
  for (size_t begin = 0; begin < rows.size(); begin += 130) {
    std::vector<Event> events;
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;
    for (size_t i = begin; i < std::min(begin + 130, rows.size()); ++i) {
      events.push_back(rows[i].event);
      positions.push_back({rows[i].event.position});
      known_at.push_back(rows[i].known_at);
    }
    driver.Add(ToBatch(schema, events), positions, known_at);
  }
  driver.Prepare();
}

Cut RandomCut(std::mt19937_64& random, const std::vector<KnownEvent>& rows, size_t without_field) {
  Cut cut;
  if (random() % 2 == 0) cut.epoch_max = base::EpochId{random() % 25};
  if (random() % 2 == 0)
    cut.known_at_max = base::Timestamp{static_cast<int64_t>(random() % 900) * kSecond};
  const Event& some = rows[random() % rows.size()].event;
  if (random() % 2 == 0)
    cut.without = ArgumentValue(some, without_field == kX ? "x" : without_field == kS ? "s" : "b");
  return cut;
}

bool Passes(const KnownEvent& row, const Cut& cut, size_t without_field) {
  if (cut.epoch_max && columns::Position{row.event.position}.epoch() > *cut.epoch_max) return false;
  if (cut.known_at_max && row.known_at > cut.known_at_max->us) return false;
  if (!cut.without || cut.without->is_null()) return true;
  const Value own = ArgumentValue(row.event, without_field == kX   ? "x"
                                             : without_field == kS ? "s"
                                                                   : "b");
  return own.is_null() || !own.SameBits(*cut.without);
}

TEST(BatchDriver, AnswersEveryCutAsTheNaiveOracleDoes) {
  const auto pipeline = EventsPipeline();
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 random(seed);
    const size_t without_field = std::array{kX, kS, kB}[seed % 3];
    const std::vector<KnownEvent> rows = RandomHistory(random, seed % 4 == 0 ? 20 : 1200);
    for (size_t v = 0; v < pipeline->views.size(); ++v) {
      const ViewDefinition& view = pipeline->views[v];
      BatchDriver driver(view, pipeline->streams[0], without_field);
      Feed(driver, pipeline->streams[0].schema(), rows);
      for (int i = 0; i < 60; ++i) {
        const Cut cut = RandomCut(random, rows, without_field);
        const std::string key = "key-" + std::to_string(random() % 5);
        std::optional<int64_t> region;
        if (random() % 4 != 0) region = static_cast<int64_t>(random() % 3);
        const int64_t as_of = static_cast<int64_t>(random() % 1000) * kSecond;
        std::vector<Event> inside;
        for (const KnownEvent& row : rows)
          if (Passes(row, cut, without_field)) inside.push_back(row.event);
        const ViewAnswer naive = NaiveAnswer(view, FeaturesOf(v), inside, key, region, as_of);
        const ViewAnswer answer =
            driver.Answer({.key = KeyOf(view, key, region), .as_of = {as_of}, .cut = cut});
        ASSERT_EQ(Difference(view, answer, naive), "")
            << "seed " << seed << " view " << view.name << " question " << i;
      }
    }
  }
}

TEST(BatchDriver, KnowsNothingWithoutRows) {
  const auto pipeline = EventsPipeline();
  BatchDriver driver(pipeline->views[0], pipeline->streams[0], std::nullopt);
  driver.Prepare();
  EXPECT_EQ(driver.rows(), 0U);
  const ViewAnswer answer =
      driver.Answer({.key = KeyOf(pipeline->views[0], "key-0", {}), .as_of = {0}, .cut = {}});
  EXPECT_EQ(answer.event_time, std::nullopt);
  for (const FeatureStatus status : answer.statuses) EXPECT_EQ(status, FeatureStatus::kNotFound);
}

// Rows written before a nullable field was added: the field is null in them.
TEST(BatchDriver, TakesRowsOfAnEarlierSchema) {
  const auto pipeline = EventsPipeline();
  const columns::SchemaRef now = pipeline->streams[0].schema();
  std::vector<columns::Field> fields = now->fields();
  fields.pop_back();
  const auto earlier = std::make_shared<const columns::Schema>(fields);
  std::mt19937_64 random(1);
  std::vector<Event> events = {RandomEvent(random, 1)};
  events[0].i = 5;
  const columns::ColumnBatch batch = ToBatch(now, events);
  const std::vector<columns::Column> columns(batch.columns().begin(), batch.columns().end() - 1);
  BatchDriver driver(pipeline->views[0], pipeline->streams[0], std::nullopt);
  driver.Add(columns::ColumnBatch(earlier, 1, columns), std::array{columns::Position{1}},
             std::array{int64_t{0}});
  driver.Prepare();
  events[0].i.reset();
  const ViewAnswer answer =
      driver.Answer({.key = KeyOf(pipeline->views[0], "key-0", {}), .as_of = {0}, .cut = {}});
  const ViewAnswer naive = NaiveAnswer(pipeline->views[0], FeaturesOf(0), events, "key-0", {}, 0);
  EXPECT_EQ(Difference(pipeline->views[0], answer, naive), "");
}

}  // namespace
}  // namespace headrace::pipeline

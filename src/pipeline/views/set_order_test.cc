// Order, splits, evictions and starting points change no bit: a key's rows of the last 300 s are
// fixed; a thousand times they arrive in another order, cut into other epochs and steps, after
// another past that is forgotten or not.

#include <gtest/gtest.h>

#include "pipeline/views/batch_driver.h"
#include "pipeline/views/events_fixture.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

constexpr int64_t kAsOf = 1'000'000 * kSecond;
constexpr size_t kRows = 150;

class StillClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return {}; }
  base::Timestamp Wall() const override { return {0}; }
};

// Rows with distinct times, so that even last() is a function of the set.
std::vector<Event> FixedRows(std::mt19937_64& random) {
  std::vector<Event> rows;
  for (size_t i = 0; i < kRows; ++i) {
    Event event = RandomEvent(random, 1);
    event.at = kAsOf - static_cast<int64_t>(i * i * 300 / (kRows * kRows)) * kSecond -
               static_cast<int64_t>(i);
    rows.push_back(std::move(event));
  }
  return rows;
}

// One trial's arrivals: past rows in about their order, then the fixed ones in any.
class Arrivals {
 public:
  Arrivals(std::vector<Event> fixed, std::mt19937_64& random) : random_(random) {
    std::shuffle(fixed.begin(), fixed.end(), random);
    for (uint64_t past = random() % 300; past > 0; --past) {
      Event event = RandomEvent(random, 1);
      event.at = kAsOf - static_cast<int64_t>(300 + past * (1 + random() % 20)) * kSecond;
      rows_.push_back(std::move(event));
    }
    past_ = rows_.size();
    rows_.insert(rows_.end(), fixed.begin(), fixed.end());
  }

  // Applies all rows in random epochs and steps. The clock may already stand `history` past kAsOf,
  // or far behind.
  void ApplyTo(ViewSet& views, const columns::SchemaRef& schema) {
    uint64_t epoch = 0;
    int64_t clock = kAsOf - 10'000 * kSecond;
    for (size_t begin = 0; begin < rows_.size();) {
      std::vector<log::EpochRef> step;
      for (uint64_t n = 1 + random_() % 3; n > 0 && begin < rows_.size(); --n) {
        const size_t end = std::min(rows_.size(), begin + 1 + random_() % 80);
        std::vector<Event> some(rows_.begin() + static_cast<ptrdiff_t>(begin),
                                rows_.begin() + static_cast<ptrdiff_t>(end));
        if (begin >= past_ && random_() % 4 == 0)
          clock = kAsOf + static_cast<int64_t>(random_() % 21) * kSecond;
        if (clock < latest_) clock = latest_;
        latest_ = clock;
        step.push_back(ToEpoch(schema, ++epoch, clock, some));
        std::copy(some.begin(), some.end(), rows_.begin() + static_cast<ptrdiff_t>(begin));
        begin = end;
      }
      views.Apply(step);
    }
  }
  const std::vector<Event>& rows() const { return rows_; }

 private:
  std::mt19937_64& random_;
  std::vector<Event> rows_;
  size_t past_ = 0;
  int64_t latest_ = 0;
};

ViewAnswer AskBatch(const PipelineDefinition& pipeline, std::vector<Event> rows,
                    std::mt19937_64& random) {
  const ViewDefinition& view = pipeline.views[0];
  std::shuffle(rows.begin(), rows.end(), random);
  std::vector<columns::Position> positions;
  for (const Event& event : rows) positions.push_back({event.position});
  BatchDriver driver(view, pipeline.streams[0], std::nullopt);
  driver.Add(ToBatch(pipeline.streams[0].schema(), rows), positions,
             std::vector<int64_t>(rows.size(), 0));
  driver.Prepare();
  return driver.Answer({.key = KeyOf(view, "key-0", {}), .as_of = {kAsOf}, .cut = {}});
}

TEST(SetAggregates, ThousandOrdersSplitsEvictionsAndStartsChangeNoBit) {
  const uint64_t seed = 20260703;
  std::mt19937_64 random(seed);
  const auto pipeline = EventsPipeline();
  const ViewDefinition& view = pipeline->views[0];
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  const std::vector<Event> fixed = FixedRows(random);
  const ViewAnswer expected = NaiveAnswer(view, FeaturesOf(0), fixed, "key-0", {}, kAsOf);
  StillClock clock;
  for (int trial = 0; trial < 1'000; ++trial) {
    Arrivals arrivals(fixed, random);
    base::MemoryBudget budget(1ULL << 30);
    ViewSet views(pipeline, budget, clock);
    views.BindStream(0, kStream);
    arrivals.ApplyTo(views, schema);
    const auto answer = views.Get(*views.PinNewest(), 0, KeyOf(view, "key-0", {}), {kAsOf});
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    ASSERT_EQ(Difference(view, *answer, expected), "") << "seed " << seed << " trial " << trial;
    if (trial % 10 != 0) continue;
    ASSERT_EQ(Difference(view, AskBatch(*pipeline, arrivals.rows(), random), expected), "")
        << "trial " << trial;
  }
}

}  // namespace
}  // namespace headrace::pipeline

// Readers beside an applier, to be run under the thread sanitizer too. Every epoch has, for each
// key, rows with x = 1 and x = -1 and the epoch's number in f, so that an answer shows whether it
// is of one version.

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "pipeline/views/events_fixture.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

constexpr uint64_t kEpochs = 400;
constexpr int kReaders = 3;

// What each epoch brings: `pairs` pairs of rows of each key.
struct Load {
  int keys;
  int pairs;
};
constexpr Load kManyKeys{.keys = 20, .pairs = 1};
constexpr Load kLongKeys{.keys = 2, .pairs = 30};  // trees of several levels

class SteadyClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
  base::Timestamp Wall() const override { return {0}; }
};

// Views: 0 sums over windows, 1 lifetime.
PipelineRef Pipeline() {
  auto pipeline = EventsPipeline();
  const columns::SchemaRef schema = pipeline->streams[0].schema();
  pipeline->views.clear();
  pipeline->views.push_back(MakeView(schema, "sums", {kKey}, {10, 100},
                                     {{"rows", AggregateKind::kCount, "", ""},
                                      {"balance", AggregateKind::kSum, "x", ""},
                                      {"newest", AggregateKind::kMax, "f", ""},
                                      {"median", AggregateKind::kQuantile, "x", ""}}));
  pipeline->views.push_back(
      MakeView(schema, "last", {kKey}, {},
               {{"f", AggregateKind::kLast, "f", ""}, {"s", AggregateKind::kLast, "s", ""}}));
  return pipeline;
}

log::EpochRef EpochOf(const columns::SchemaRef& schema, uint64_t id, const Load& load) {
  std::vector<Event> events;
  for (int key = 0; key < load.keys; ++key) {
    for (int row = 0; row < 2 * load.pairs; ++row) {
      Event event;
      event.key = "key-" + std::to_string(key);
      // Each third epoch is late for half of the keys.
      event.at = (static_cast<int64_t>(id) - (id % 3 == 0 && key % 2 == 0 ? 5 : 0)) * kSecond;
      event.x = row % 2 == 0 ? 1 : -1;
      event.f = static_cast<double>(id);
      event.s = "a text that has no room in a cell, of epoch " + std::to_string(id);
      events.push_back(event);
    }
  }
  return ToEpoch(schema, id, static_cast<int64_t>(id) * kSecond, events);
}

// What is wrong with the answers under one pin; empty when nothing. Counts answers that were taken
// away.
std::string CheckPin(ViewSet& views, const Pin& pin, int key, const Load& load,
                     std::atomic<uint64_t>& revoked) {
  const auto bytes = KeyOf(views.definition().views[0], "key-" + std::to_string(key), {});
  const auto sums = views.Get(pin, 0, bytes, pin.clock());
  const auto last = views.Get(pin, 1, bytes, pin.clock());
  if (!sums || !last) {
    ++revoked;
    return pin.revoked() ? "" : (sums ? last.error() : sums.error()).ToString();
  }
  const auto epoch = pin.epoch().value;
  const int64_t rows = sums->values[1].as_int();
  if (sums->values[2].as_int() != 0 || sums->values[3].as_int() != 0) return "a pair was torn";
  if (rows < (static_cast<int64_t>(std::min<uint64_t>(epoch, 94)) - 1) * 2 * load.pairs)
    return "rows are missing: " + std::to_string(rows);
  if (sums->values[5].as_double() != static_cast<double>(epoch))
    return "the newest epoch is missing";
  // The newest row by event time is of this epoch, except for keys whose rows were late.
  const double newest = last->values[0].as_double();
  if (newest > static_cast<double>(epoch) || newest < static_cast<double>(epoch) - 1)
    return "last is of another version";
  const std::string text = "a text that has no room in a cell, of epoch " +
                           std::to_string(static_cast<uint64_t>(newest));
  return last->values[1].as_text() == text ? "" : "a text was torn";
}

void ReadWhileTheApplierRuns(const Load& load) {
  SteadyClock clock;
  base::MemoryBudget budget(1ULL << 30);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> answers{0};
  std::atomic<uint64_t> revoked{0};
  {
    ViewSet views(Pipeline(), budget, clock);
    views.BindStream(0, kStream);
    std::vector<std::string> failures(kReaders);
    std::vector<std::thread> readers;
    for (int r = 0; r < kReaders; ++r) {
      readers.emplace_back([&, r] {
        std::mt19937_64 random(static_cast<uint64_t>(r));
        base::EpochId newest{0};
        while (!stop.load() && failures[r].empty()) {
          const auto pin = views.PinNewest();
          if (!pin) continue;
          if (!pin->revoked() && pin->epoch() < newest) failures[r] = "a pin went back";
          if (!pin->revoked()) newest = pin->epoch();
          const std::string failure =
              CheckPin(views, *pin, static_cast<int>(random() % load.keys), load, revoked);
          if (!failure.empty()) failures[r] = failure;
          // Now and then a reader falls asleep on its pin.
          if (r == 0 && random() % 50 == 0) std::this_thread::sleep_for(2 * ViewSet::kPinLifetime);
          ++answers;
        }
      });
    }
    const columns::SchemaRef schema = views.definition().streams[0].schema();
    for (uint64_t id = 1; id <= kEpochs; ++id) {
      while (views.HeldByReaders()) std::this_thread::yield();
      const log::EpochRef epoch = EpochOf(schema, id, load);
      views.Apply({&epoch, 1});
      if (id % 40 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    for (const std::string& failure : failures) EXPECT_EQ(failure, "");
    EXPECT_EQ(views.visible().value, kEpochs);
  }
  EXPECT_GT(answers.load(), 100U);
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(ViewSetConcurrency, ReadersSeeWholeVersionsWhileTheApplierRuns) {
  ReadWhileTheApplierRuns(kManyKeys);
}

TEST(ViewSetConcurrency, ReadersSeeWholeVersionsOfLongKeys) { ReadWhileTheApplierRuns(kLongKeys); }

// The applier does not ask about readers: what they hold is taken away, never torn.
TEST(ViewSetConcurrency, AnApplierThatDoesNotAskRevokes) {
  SteadyClock clock;
  base::MemoryBudget budget(1ULL << 30);
  ViewSet views(Pipeline(), budget, clock);
  views.BindStream(0, kStream);
  const columns::SchemaRef schema = views.definition().streams[0].schema();
  const log::EpochRef first = EpochOf(schema, 1, kManyKeys);
  views.Apply({&first, 1});
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> revoked{0};
  std::string failure;
  std::thread reader([&] {
    std::mt19937_64 random(1);
    while (!stop.load() && failure.empty()) {
      const auto pin = views.PinNewest();
      for (int i = 0; i < 5 && failure.empty(); ++i)
        failure =
            CheckPin(views, *pin, static_cast<int>(random() % kManyKeys.keys), kManyKeys, revoked);
    }
  });
  for (uint64_t id = 2; id <= kEpochs; ++id) {
    const log::EpochRef epoch = EpochOf(schema, id, kManyKeys);
    views.Apply({&epoch, 1});
  }
  stop = true;
  reader.join();
  EXPECT_EQ(failure, "");
}

}  // namespace
}  // namespace headrace::pipeline

#include "pipeline/views/view_capture.h"

#include <gtest/gtest.h>

#include <thread>

#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/view_layout.h"

namespace headrace::pipeline {
namespace {

using namespace fixture;  // NOLINT: the test is written in the fixture's words

// A view set made of the capture and the epochs after its earliest page.
class Restored {
 public:
  Restored(const Replay& replay, const Captured& captured)
      : views_(replay.pipeline_, budget_, clock_) {
    views_.BindStream(0, kStream);
    Restore(views_, captured, replay.epochs_);
  }

  ManualClock clock_;
  base::MemoryBudget budget_{1ULL << 40};
  ViewSet views_;
};

TEST(ViewCapture, RestoredStateAnswersAsIfEveryEpochHadBeenApplied) {
  for (uint64_t seed = 1; seed <= 14; ++seed) {
    Replay replay(seed, 1 + seed % 7 * 90);
    const size_t rows = seed % 5 == 0 ? 300 : 40;
    for (int step = 0; step < 30; ++step) replay.Step(rows);
    // Most pages are of different epochs; tiny pieces cut keys in the middle.
    const size_t piece_bytes = seed % 3 == 0 ? 200 : 5000;
    size_t calls = 0;
    const Captured captured = CaptureAll(replay.views_, piece_bytes, [&] {
      ++calls;
      if (calls % (seed % 4 + 1) == 0 && calls < 60) replay.Step(rows);
    });
    for (int step = 0; step < static_cast<int>(seed % 6); ++step) replay.Step(rows);
    Restored restored(replay, captured);
    ASSERT_EQ(restored.views_.visible(), replay.views_.visible());
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 15; ++i)
        ASSERT_EQ(replay.Check(replay.RandomQuestion(), restored.views_), "")
            << "seed " << seed << " captured epochs " << captured.after.value << " to "
            << captured.through.value;
      const size_t before = replay.epochs_.size();
      replay.Step(rows);
      restored.views_.Apply(std::span(replay.epochs_).subspan(before));
    }
  }
}

TEST(ViewCapture, NothingIsReplayedWhenNothingCameAfterIt) {
  Replay replay(7, 50);
  for (int step = 0; step < 20; ++step) replay.Step(100);
  const Captured captured = CaptureAll(replay.views_, ViewCapture::kPieceBytes, [] {});
  EXPECT_EQ(captured.after, captured.through);
  Restored restored(replay, captured);
  EXPECT_EQ(restored.views_.visible(), replay.views_.visible());
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(replay.Check(replay.RandomQuestion(), restored.views_), "");
}

TEST(ViewCapture, StateBytesAreTheSame) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Replay replay(seed, 40);
    for (int step = 0; step < 40; ++step) replay.Step(200);
    const Captured first = CaptureAll(replay.views_, 1000, [] {});
    Restored restored(replay, first);
    const Captured second = CaptureAll(restored.views_, 1000, [] {});
    // Keys are written in the order of a hash table whose size may differ; rows are not.
    EXPECT_EQ(first.pieces.front(), second.pieces.front()) << "seed " << seed;
  }
}

TEST(ViewCapture, StateOfOtherViewsIsMissing) {
  Replay replay(3, 10);
  replay.Step(50);
  const Captured captured = CaptureAll(replay.views_, ViewCapture::kPieceBytes, [] {});
  auto changed = EventsPipeline();
  changed->views[1].history += std::chrono::seconds(1);
  ManualClock clock;
  base::MemoryBudget budget{1ULL << 30};
  ViewSet views(changed, budget, clock);
  const auto restore = ViewRestore::Begin(views, captured.layout);
  ASSERT_TRUE(restore.has_value());
  EXPECT_EQ(restore->missing(), std::vector<std::string>{"positive"});
}

// As much is kept, but more of it may have been added up already.
TEST(ViewCapture, TilesOfAViewWithLessHistoryAreNotThoseOfOneWithMore) {
  const auto pipeline = EventsPipeline();
  auto more = EventsPipeline();
  ViewDefinition& coarse = more->views[9];
  for (Window& window : coarse.windows) window.length -= std::chrono::seconds(5);
  coarse.history += std::chrono::seconds(5);
  ASSERT_EQ(coarse.horizon(), pipeline->views[9].horizon());
  EXPECT_NE(KeptText(*more, coarse), KeptText(*pipeline, pipeline->views[9]));
}

// Any bytes: refused or taken, never more than that.
TEST(ViewCapture, BrokenPiecesAreRefused) {
  Replay replay(11, 30);
  for (int step = 0; step < 20; ++step) replay.Step(100);
  const Captured captured = CaptureAll(replay.views_, 3000, [] {});
  std::mt19937_64 random(5);
  size_t refused = 0;
  for (int i = 0; i < 300; ++i) {
    ManualClock clock;
    base::MemoryBudget budget{1ULL << 30};
    ViewSet views(replay.pipeline_, budget, clock);
    auto restore = ViewRestore::Begin(views, captured.layout);
    std::vector<uint8_t> piece = captured.pieces[random() % captured.pieces.size()];
    if (i % 2 == 0) {
      piece.resize(random() % piece.size());
    } else {
      piece[random() % 40] ^= static_cast<uint8_t>(1 + random() % 255);
    }
    refused += restore->Add(piece).has_value() ? 0 : 1;
  }
  EXPECT_GT(refused, 150U);
}

TEST(ViewCapture, LetsMemoryGoWhenItEnds) {
  Replay replay(13, 300);
  for (int step = 0; step < 10; ++step) replay.Step(400);
  {
    ViewCapture abandoned(replay.views_, 100);
    std::vector<uint8_t> piece;
    ASSERT_TRUE(abandoned.Next(piece));
  }
  replay.Step(400);
  // Every slot is free again.
  std::vector<Pin> pins;
  for (size_t i = 0; i < ViewSet::kPinsMax; ++i) pins.push_back(*replay.views_.PinNewest());
  EXPECT_FALSE(replay.views_.PinNewest().has_value());
}

// For the thread sanitizer, and for the order of loads and stores: captures beside an applier that
// does not wait for them.
TEST(ViewCapture, BesideARunningApplier) {
  Replay replay(17, 200);
  for (int step = 0; step < 20; ++step) replay.Step(300);
  std::atomic<bool> stop{false};
  Captured captured;
  std::thread capturing([&] {
    while (!stop) captured = CaptureAll(replay.views_, 2000, [] {});
  });
  for (int step = 0; step < 300; ++step) {
    replay.Step(100);
    (void)replay.views_.HeldByReaders();
  }
  stop = true;
  capturing.join();
  Restored restored(replay, captured);
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(replay.Check(replay.RandomQuestion(), restored.views_), "");
}

}  // namespace
}  // namespace headrace::pipeline

#include "serving/epoch_waiters.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "env/simulated/environment.h"

namespace headrace::serving {
namespace {

using Outcome = EpochWaiters::Outcome;
using std::chrono::milliseconds;

// Runs what is posted at once, and keeps what is for later.
class TimedExecutor final : public env::Executor {
 public:
  void Post(env::Task task) override { task(); }
  void PostAt(env::MonotonicTime time, env::Task task) override {
    timers.emplace(time, std::move(task));
  }
  void RunUntil(env::MonotonicTime time) {
    while (!timers.empty() && timers.begin()->first <= time) {
      env::Task task = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      task();
    }
  }
  std::multimap<env::MonotonicTime, env::Task> timers;
};

class EpochWaitersTest : public testing::Test {
 protected:
  void Wait(uint64_t epoch, milliseconds deadline) {
    ASSERT_TRUE(waiters_->Wait({epoch}, deadline, 0, [this, epoch](Outcome outcome) {
      told_.emplace_back(epoch, outcome);
    }));
  }
  void Pass(milliseconds time) {
    machine_.RunFor(time);
    executor_.RunUntil(machine_.clock().Now());
  }
  using Told = std::vector<std::pair<uint64_t, Outcome>>;

  env::simulated::SimulatedEnvironment machine_{1};
  TimedExecutor executor_;
  std::shared_ptr<EpochWaiters> waiters_ = std::make_shared<EpochWaiters>(
      executor_, machine_.clock(), nullptr, EpochWaiters::Limits{.waiters_max = 100});
  Told told_;
};

TEST_F(EpochWaitersTest, EachIsToldAtItsOwnDeadline) {
  Wait(7, milliseconds(300));
  Wait(8, milliseconds(100));
  Wait(9, milliseconds(200));
  Pass(milliseconds(99));
  EXPECT_EQ(told_, Told());
  Pass(milliseconds(1));
  EXPECT_EQ(told_, (Told{{8, Outcome::kTooLate}}));
  waiters_->MarkVisible({7});
  Pass(milliseconds(500));
  EXPECT_EQ(told_, (Told{{8, Outcome::kTooLate}, {7, Outcome::kVisible}, {9, Outcome::kTooLate}}));
  EXPECT_TRUE(executor_.timers.empty());
}

// Deadlines of requests that were answered long before are not kept.
TEST_F(EpochWaitersTest, AnAnsweredRequestLeavesNothingBehind) {
  for (uint64_t epoch = 1; epoch <= 10'000; ++epoch) {
    Wait(epoch, milliseconds(60'000));
    waiters_->MarkVisible({epoch});
    Pass(milliseconds(1));
  }
  EXPECT_EQ(told_.size(), 10'000U);
  EXPECT_LE(executor_.timers.size(), 2U);
  waiters_->Stop();
}

// Nor does one that waits long for each of those that did not.
TEST_F(EpochWaitersTest, ShortDeadlinesBesideALongOneLeaveNothingBehind) {
  Wait(1'000'000, milliseconds(60'000));
  for (uint64_t epoch = 1; epoch <= 1'000; ++epoch) {
    Wait(epoch, milliseconds(10));
    Pass(milliseconds(11));
  }
  EXPECT_EQ(told_.size(), 1'000U);
  EXPECT_LE(executor_.timers.size(), 2U);
  Pass(milliseconds(60'000));
  EXPECT_EQ(told_.back(), (Told::value_type{1'000'000, Outcome::kTooLate}));
}

}  // namespace
}  // namespace headrace::serving

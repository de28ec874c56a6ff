#include "watch/memory_watch.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "env/environment.h"
#include "env/pages.h"

namespace headrace::watch {
namespace {

using base::MemoryAccount;

constexpr uint64_t kLimit = 64U << 20;

// Nothing is timed: what never comes true ends at the test runner's limit.
template <typename Condition>
void Await(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(MemoryWatchTest, WhatNobodyChargedLeavesLessToCharge) {
  const auto environment = env::MakeRealEnvironment();
  base::MemoryBudget budget(kLimit);
  const auto watch =
      MemoryWatch::Make(*environment, budget, {.forget_after = std::chrono::milliseconds(20)});
  ASSERT_TRUE(budget.TryCharge(MemoryAccount::kIngest, kLimit / 2));
  {
    const std::vector<char> beside(48U << 20, 'x');
    Await([&] { return budget.uncharged_bytes() > kLimit / 2; });
    const auto refused = budget.TryCharge(MemoryAccount::kIngest, kLimit / 2);
    ASSERT_FALSE(refused) << beside.back();
    EXPECT_EQ(refused.error().code(), base::ErrorCode::kResourceExhausted);
    EXPECT_TRUE(budget.TryCharge(MemoryAccount::kReplies, kLimit / 2)) << "answers go on";
  }
  Await([&] { return budget.uncharged_bytes() < kLimit / 8; });
  EXPECT_TRUE(budget.TryCharge(MemoryAccount::kIngest, kLimit / 2));
}

TEST(MemoryWatchTest, WhatIsChargedDoesNotCountTwice) {
  const auto environment = env::MakeRealEnvironment();
  base::MemoryBudget budget(256U << 20);
  const auto watch =
      MemoryWatch::Make(*environment, budget, {.forget_after = std::chrono::milliseconds(20)});
  const auto charge = budget.TryCharge(MemoryAccount::kState, 96U << 20);
  ASSERT_TRUE(charge);
  const std::vector<char> state(96U << 20, 'x');
  const std::vector<char> beside(64U << 20, 'x');
  Await([&] { return budget.uncharged_bytes() > 0; });
  EXPECT_LT(budget.uncharged_bytes(), 80U << 20) << state.back() << beside.back();
}

// A start's pages (env/pages.h) are charged when the state takes them.
TEST(MemoryWatchTest, WhatWasTakenAheadIsKnownOf) {
  const auto environment = env::MakeRealEnvironment();
  base::MemoryBudget budget(256U << 20);
  const auto watch =
      MemoryWatch::Make(*environment, budget, {.forget_after = std::chrono::milliseconds(20)});
  constexpr uint64_t kAhead = 96U << 20;
  const env::PagesAhead ahead(kAhead);
  Await([&] { return env::PagesAhead::BytesAtHand() == kAhead; });
  const std::vector<char> beside(64U << 20, 'x');
  Await([&] { return budget.uncharged_bytes() > 0; });
  EXPECT_LT(budget.uncharged_bytes(), 80U << 20) << beside.back();
}

}  // namespace
}  // namespace headrace::watch

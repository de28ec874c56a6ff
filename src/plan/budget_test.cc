#include "plan/budget.h"

#include <gtest/gtest.h>

namespace headrace::plan {
namespace {

using std::chrono::milliseconds;

pipeline::PromiseDefinition Promise() {
  pipeline::PromiseDefinition promise;
  promise.budget = milliseconds(200);
  promise.outside = {{"network", milliseconds(15)}, {"model", milliseconds(35)}};
  return promise;
}

TEST(BudgetTest, DividesWhatIsLeftInThirds) {
  const LatencyBudget budget = DivideBudget(Promise());
  EXPECT_EQ(budget.outside, milliseconds(50));
  EXPECT_EQ(budget.ours, milliseconds(150));
  for (const base::Duration given : budget.given) EXPECT_EQ(given, milliseconds(50));
  EXPECT_DOUBLE_EQ(budget.quantile, 0.99);
}

TEST(BudgetTest, NothingIsLeftWhenTheOutsideTakesAll) {
  pipeline::PromiseDefinition promise = Promise();
  promise.outside["model"] = std::chrono::seconds(1);
  EXPECT_EQ(DivideBudget(promise).ours, base::Duration(0));
}

TEST(BudgetTest, JudgesEachStageAndTheWhole) {
  StageTimes times{.ingest = milliseconds(60),
                   .transform = milliseconds(1),
                   .serve = milliseconds(2),
                   .visible = milliseconds(61)};
  const LatencyBudget budget = DivideBudget(Promise());
  PromiseVerdict verdict = Judge(budget, times);
  EXPECT_EQ(verdict.stages[0].state, StageVerdict::State::kSlipped);
  EXPECT_EQ(verdict.stages[1].state, StageVerdict::State::kKept);
  EXPECT_EQ(verdict.stages[2].state, StageVerdict::State::kKept);
  EXPECT_EQ(verdict.together.state, StageVerdict::State::kKept)
      << "what one stage leaves over is the others'";
  EXPECT_EQ(verdict.together.measured, milliseconds(63));
  times.visible = milliseconds(149);
  verdict = Judge(budget, times);
  EXPECT_EQ(verdict.together.state, StageVerdict::State::kSlipped);
}

TEST(BudgetTest, SaysWhenNothingWasMeasured) {
  const PromiseVerdict verdict = Judge(DivideBudget(Promise()), {});
  EXPECT_EQ(verdict.stages[0].given, milliseconds(50));
  EXPECT_EQ(verdict.stages[0].state, StageVerdict::State::kUnmeasured);
  EXPECT_EQ(verdict.together.state, StageVerdict::State::kUnmeasured);
  EXPECT_EQ(NameOf(verdict.together.state), "unmeasured");
}

}  // namespace
}  // namespace headrace::plan

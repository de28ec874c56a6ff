#include "env/background_gate.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "env/simulated/environment.h"

namespace headrace::env {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class BackgroundGateTest : public testing::Test {
 protected:
  MonotonicTime Now() { return machine_.clock().Now(); }
  WorkClassFigures Figures(WorkClass work) { return machine_.background().Figures(work, Now()); }
  // The simulated clock moves a little with each step.
  static void ExpectAbout(MonotonicTime expected, MonotonicTime measured) {
    EXPECT_GE(measured, expected);
    EXPECT_LT(measured, expected + milliseconds(10));
  }
  // Asks as an actor does until it may go on; how long that took.
  MonotonicTime Pass(BackgroundPass& pass) {
    const MonotonicTime begin = Now();
    while (!pass.MayGoOn()) machine_.RunFor(BackgroundGate::kAskAgain);
    return Now() - begin;
  }

  simulated::SimulatedEnvironment machine_{1};
};

TEST_F(BackgroundGateTest, IsOpenUntilSomebodyShutsIt) {
  BackgroundPass pass(machine_, WorkClass::kSnapshots, "recovery 3s", seconds(1));
  EXPECT_TRUE(pass.MayGoOn());
  machine_.background().Pause(WorkClass::kTraining, "serve is pressed", Now());
  EXPECT_TRUE(pass.MayGoOn()) << "another class's pause";
  machine_.background().Pause(WorkClass::kSnapshots, "serve is pressed", Now());
  EXPECT_FALSE(pass.MayGoOn());
  EXPECT_EQ(Figures(WorkClass::kSnapshots).waiting, 1U);
  machine_.background().Resume(WorkClass::kSnapshots, Now());
  EXPECT_TRUE(pass.MayGoOn());
  EXPECT_EQ(Figures(WorkClass::kSnapshots).waiting, 0U);
}

TEST_F(BackgroundGateTest, CountsPausesAndWaiting) {
  BackgroundGate& gate = machine_.background();
  BackgroundPass pass(machine_, WorkClass::kTables, "table t: freshness 5s", seconds(5));
  gate.Pause(WorkClass::kTables, "ingest is pressed", Now());
  EXPECT_FALSE(pass.MayGoOn());
  machine_.RunFor(milliseconds(300));
  gate.Pause(WorkClass::kTables, "serve is pressed", Now());  // the same pause, another reason
  gate.Resume(WorkClass::kTables, Now());
  EXPECT_TRUE(pass.MayGoOn());
  const WorkClassFigures figures = Figures(WorkClass::kTables);
  EXPECT_FALSE(figures.paused);
  EXPECT_EQ(figures.pauses, 1U);
  ExpectAbout(milliseconds(300), figures.paused_total);
  ExpectAbout(milliseconds(300), figures.waited_total);
  EXPECT_EQ(figures.why, "serve is pressed");
  EXPECT_EQ(figures.overridden, 0U);
}

TEST_F(BackgroundGateTest, AWorkersOwnBoundEndsItsWaitingAndIsReported) {
  machine_.background().Pause(WorkClass::kTables, "serve is pressed", Now());
  BackgroundPass pass(machine_, WorkClass::kTables, "table t: freshness 1s", seconds(1));
  ExpectAbout(seconds(1), Pass(pass));
  EXPECT_EQ(Pass(pass), seconds(0)) << "the bound is for the whole piece of work";
  const WorkClassFigures figures = Figures(WorkClass::kTables);
  EXPECT_TRUE(figures.paused);
  EXPECT_EQ(figures.overridden, 1U);
  EXPECT_EQ(figures.overridden_by, "table t: freshness 1s");
  ExpectAbout(seconds(1), figures.waited_total);
}

TEST_F(BackgroundGateTest, SeveralPausesOfOnePieceAddUp) {
  BackgroundGate& gate = machine_.background();
  BackgroundPass pass(machine_, WorkClass::kTables, "table t: freshness 1s", seconds(1));
  for (int i = 0; i < 2; ++i) {
    gate.Pause(WorkClass::kTables, "serve is pressed", Now());
    EXPECT_FALSE(pass.MayGoOn());
    machine_.RunFor(milliseconds(400));
    gate.Resume(WorkClass::kTables, Now());
    EXPECT_TRUE(pass.MayGoOn());
  }
  gate.Pause(WorkClass::kTables, "serve is pressed", Now());
  ExpectAbout(milliseconds(199), Pass(pass));
}

TEST_F(BackgroundGateTest, AnAbandonedPieceWaitsNoMore) {
  machine_.background().Pause(WorkClass::kTraining, "serve is pressed", Now());
  {
    BackgroundPass pass(machine_, WorkClass::kTraining, "", seconds(1));
    EXPECT_FALSE(pass.MayGoOn());
  }
  EXPECT_EQ(Figures(WorkClass::kTraining).waiting, 0U);
}

}  // namespace
}  // namespace headrace::env

// A governor in simulated time: real histograms, the environment's gate, the notice on disk.
#include "watch/governor.h"

#include <gtest/gtest.h>

#include "env/pause_file.h"
#include "env/simulated/environment.h"

namespace headrace::watch {
namespace {

using env::WorkClass;
using std::chrono::milliseconds;
using std::chrono::seconds;

class GovernorTest : public testing::Test {
 protected:
  GovernorTest() {
    EXPECT_TRUE(machine_.files().CreateFolders("data"));
    plan::LatencyBudget budget;
    budget.given.fill(milliseconds(50));
    governor_ = Governor::Make(machine_, budget, {.serve = &serve_}, {.data_folder = "data"});
  }
  // `span` in which each answer takes `took`, 100 answers a second.
  void Serve(base::Duration took, env::MonotonicTime span) {
    for (env::MonotonicTime done{0}; done < span; done += milliseconds(10)) {
      serve_.Record(static_cast<uint64_t>(took.count()));
      machine_.RunFor(milliseconds(10));
    }
  }
  bool Open(WorkClass work) { return machine_.background().IsOpen(work); }
  std::optional<env::PauseNotice> Notice() {
    return env::ReadPauseNotice(machine_.files(), "data", machine_.clock().Now());
  }

  env::simulated::SimulatedEnvironment machine_{7};
  base::Histogram serve_;
  std::unique_ptr<Governor> governor_;
};

TEST_F(GovernorTest, FastAnswersLetEverythingRun) {
  Serve(milliseconds(20), seconds(5));
  for (size_t i = 0; i < env::kWorkClasses; ++i) EXPECT_TRUE(Open(static_cast<WorkClass>(i)));
  EXPECT_FALSE(Notice());
}

TEST_F(GovernorTest, SlowAnswersPauseTrainingFirstAndTellItsProcess) {
  Serve(milliseconds(20), seconds(2));
  Serve(milliseconds(40), milliseconds(300));
  EXPECT_FALSE(Open(WorkClass::kTraining));
  EXPECT_TRUE(Open(WorkClass::kSnapshots));
  ASSERT_TRUE(Notice());
  EXPECT_NE(Notice()->why.find("serve takes"), std::string::npos) << Notice()->why;
  Serve(milliseconds(40), seconds(20));
  EXPECT_TRUE(Notice()) << "renewed while it lasts";
}

TEST_F(GovernorTest, CalmResumesAll) {
  Serve(milliseconds(40), seconds(5));
  EXPECT_FALSE(Open(WorkClass::kTables));
  Serve(milliseconds(5), seconds(13));
  for (size_t i = 0; i < env::kWorkClasses; ++i) EXPECT_TRUE(Open(static_cast<WorkClass>(i)));
  EXPECT_FALSE(Notice());
}

TEST_F(GovernorTest, OldSlownessIsForgotten) {
  for (int i = 0; i < 100'000; ++i) serve_.Record(500'000);
  machine_.RunFor(seconds(20));  // nobody asks any more
  Serve(milliseconds(5), seconds(1));
  EXPECT_TRUE(Open(WorkClass::kTraining));
}

TEST_F(GovernorTest, SaysWhoWasPausedAndWhy) {
  Serve(milliseconds(60), seconds(3));
  const GovernorFigures figures = governor_->figures();
  EXPECT_EQ(figures.worst.what, "serve");
  EXPECT_GE(figures.worst.share, 1.15);
  EXPECT_EQ(figures.level, env::kWorkClasses);
  ASSERT_EQ(figures.classes.size(), env::kWorkClasses);
  const GovernorFigures::Class& training = figures.classes.front();
  EXPECT_EQ(training.work, WorkClass::kTraining);
  EXPECT_TRUE(training.gate.paused);
  EXPECT_EQ(training.gate.pauses, 1U);
  EXPECT_GT(training.gate.paused_total, seconds(2));
  EXPECT_NE(training.gate.why.find("ms of 50.0 ms"), std::string::npos) << training.gate.why;
}

TEST_F(GovernorTest, TheEndOfTheGovernorResumesAll) {
  Serve(milliseconds(60), seconds(3));
  governor_.reset();
  machine_.RunUntilIdle();
  for (size_t i = 0; i < env::kWorkClasses; ++i) EXPECT_TRUE(Open(static_cast<WorkClass>(i)));
  EXPECT_FALSE(Notice());
}

}  // namespace
}  // namespace headrace::watch

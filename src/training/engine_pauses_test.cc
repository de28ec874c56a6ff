#include "training/engine_pauses.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "env/pause_file.h"
#include "env/simulated/environment.h"

namespace headrace::training {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class EnginePausesTest : public testing::Test {
 protected:
  EnginePausesTest() { EXPECT_TRUE(machine_.files().CreateFolders("data")); }
  void Tell(const std::string& why) {
    EXPECT_TRUE(env::WritePauseNotice(
        machine_.files(), "data",
        env::PauseNotice{why, machine_.clock().Now() + env::kPauseNoticeValid}));
  }
  bool Open() { return machine_.background().IsOpen(env::WorkClass::kTraining); }

  env::simulated::SimulatedEnvironment machine_{3};
  std::vector<std::string> said_;
  std::optional<EnginePauses> pauses_;
};

TEST_F(EnginePausesTest, WaitsFromTheFirstPieceOnWhenTheEngineIsPressed) {
  Tell("serve takes 90 % of its budget");
  pauses_.emplace(machine_, "data", [this](const std::string& why) { said_.push_back(why); });
  EXPECT_FALSE(Open());
  auto pass = TrainingPass(machine_);
  EXPECT_FALSE(pass.MayGoOn());
  EXPECT_EQ(said_, std::vector<std::string>{"serve takes 90 % of its budget"});
  EXPECT_TRUE(env::WritePauseNotice(machine_.files(), "data", std::nullopt));
  machine_.RunFor(milliseconds(250));
  EXPECT_TRUE(pass.MayGoOn());
  EXPECT_EQ(said_.size(), 2U);
}

TEST_F(EnginePausesTest, AnEngineThatDiedHoldsNobodyUp) {
  Tell("serve takes 90 % of its budget");
  pauses_.emplace(machine_, "data", EnginePauses::Said());
  EXPECT_FALSE(Open());
  machine_.RunFor(env::kPauseNoticeValid + milliseconds(250));
  EXPECT_TRUE(Open());
}

TEST_F(EnginePausesTest, WithoutAnEngineNobodyWaits) {
  pauses_.emplace(machine_, "elsewhere", EnginePauses::Said());
  machine_.RunFor(seconds(1));
  EXPECT_TRUE(Open());
}

}  // namespace
}  // namespace headrace::training

#include "wiring/applier.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "env/simulated/environment.h"

namespace headrace::wiring {
namespace {

using std::chrono::seconds;

log::EpochRef EpochOf(uint64_t id) {
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = {id};
  return epoch;
}

TEST(Applier, TellsHowLongTheOldestEpochAndTheStepHaveTaken) {
  env::simulated::SimulatedEnvironment machine(7);
  base::MemoryBudget budget(1U << 20);
  pipeline::ViewSet views(std::make_shared<const pipeline::PipelineDefinition>(), budget,
                          machine.clock());
  std::optional<Applier> applier;
  Applier::Ages first;
  Applier::Ages second;
  applier.emplace(machine, views, [&](base::EpochId epoch) {
    if (epoch == base::EpochId{1}) {
      machine.RunFor(seconds(3));
      applier->Take(EpochOf(2));
      machine.RunFor(seconds(4));
      first = applier->ages();
    } else {
      second = applier->ages();
    }
  });
  machine.Run([&] { applier->Take(EpochOf(1)); });
  machine.RunFor(seconds(8));
  EXPECT_GE(first.oldest, seconds(7)) << "of the first";
  EXPECT_GE(first.step, seconds(7));
  EXPECT_GE(second.oldest, seconds(4)) << "of the second, which waited for the step";
  EXPECT_LT(second.oldest, seconds(5));
  EXPECT_LT(second.step, seconds(1));
  EXPECT_EQ(applier->ages().oldest, base::Duration(0));
  EXPECT_EQ(applier->ages().step, base::Duration(0));
  applier.reset();
}

}  // namespace
}  // namespace headrace::wiring

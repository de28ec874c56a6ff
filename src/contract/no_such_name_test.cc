#include "contract/no_such_name.h"

#include <gtest/gtest.h>

#include "base/next_step.h"

namespace headrace::contract {
namespace {

using Context = std::vector<std::pair<std::string, std::string>>;

TEST(NoSuchName, SaysWhichThereAreAndTheNearest) {
  const base::Error error = NoSuchName("view", "orign", {"origin", "route"}, "pipeline flights");
  EXPECT_EQ(error.code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(error.message(), "no view `orign` in pipeline flights");
  EXPECT_EQ(error.context(),
            (Context{{"views", "origin, route"}, {base::kNextStep, "did you mean: origin?"}}));
}

TEST(NoSuchName, NothingIsNear) {
  EXPECT_EQ(NoSuchName("stream", "nope", {"flights"}).context(),
            (Context{{"streams", "flights"}, {base::kNextStep, "name one of the streams above"}}));
  EXPECT_EQ(NoSuchName("table", "nope", {}).context(),
            (Context{{"tables", "none"}, {base::kNextStep, "there are no tables yet"}}));
}

TEST(NoSuchName, ManyNamesAreCut) {
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) names.push_back("n" + std::to_string(i));
  const std::string listed = Listed(names);
  EXPECT_NE(listed.find("n19 and 5 more"), std::string::npos) << listed;
}

}  // namespace
}  // namespace headrace::contract

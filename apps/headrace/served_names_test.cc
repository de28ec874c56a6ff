#include "served_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headrace::app {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

ServedNames Flights() {
  return *ServedNames::Of(R"({"pipeline":"flights",
    "views":[{"name":"origin","join_keys":[{"name":"origin","type":"string"}],
              "features":[{"name":"flights_1h","type":"int64"}]},
             {"name":"route","join_keys":[{"name":"origin","type":"string"},
                                          {"name":"destination","type":"string"}],
              "features":[{"name":"flights_7d","type":"int64"}]}],
    "on_request":[{"name":"trend","inputs":["origin.flights_1h","hour"]},
                  {"name":"twice","inputs":["trend"]}],
    "services":[{"name":"departure","features":["route:flights_7d","twice"]}]})");
}

TEST(ServedNames, InputsAreTheKeysOfViewsAndTheInputsOfTheRequest) {
  const ServedNames names = Flights();
  EXPECT_THAT(names.InputsOfView("origin"), ElementsAre(Pair("origin", "string")));
  EXPECT_THAT(names.InputsOfOnRequest("twice"),
              ElementsAre(Pair("hour", ""), Pair("origin", "string")));
  EXPECT_THAT(
      names.InputsOfService("departure"),
      ElementsAre(Pair("destination", "string"), Pair("hour", ""), Pair("origin", "string")));
}

TEST(ServedNames, WhatIsNotThereIsToldWithWhatIs) {
  const ServedNames names = Flights();
  EXPECT_TRUE(names.CheckFeature("origin", "flights_1h"));
  const auto view = names.CheckView("rute");
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().ToString(),
            "NotFound: no view `rute` in pipeline flights (views=origin, route, "
            "next=did you mean: route?)");
  const auto feature = names.CheckFeature("origin", "nope");
  ASSERT_FALSE(feature);
  EXPECT_EQ(feature.error().message(), "no feature `nope` in view origin");
  EXPECT_FALSE(names.CheckService("arrival"));
}

TEST(ServedNames, AnAnswerThatIsNoObjectIsAnError) {
  EXPECT_FALSE(ServedNames::Of("[]"));
  EXPECT_FALSE(ServedNames::Of("<html>"));
}

}  // namespace
}  // namespace headrace::app

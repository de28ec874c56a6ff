#include "http_calls.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace headrace::app {
namespace {

TEST(TextOf, ShowsTextsThatLookLikeNothing) {
  EXPECT_EQ(TextOf("ORD"), "ORD");
  EXPECT_EQ(TextOf(nullptr), "null");
  EXPECT_EQ(TextOf("null"), "\"null\"");
  EXPECT_EQ(TextOf(""), "\"\"");
  EXPECT_EQ(TextOf(" a"), "\" a\"");
  EXPECT_EQ(TextOf(12.5), "12.5");
}

}  // namespace
}  // namespace headrace::app

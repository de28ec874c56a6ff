#include "base/base64.h"

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(Base64, OnlyCanonicalText) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64("Zm8="), "fo");
  EXPECT_EQ(DecodeBase64("Zm9v"), "foo");
  for (const char* bad : {"Z", "Zg", "Zg=", "Zh==", "Z===", "====", "Zm9=v", "Zm 9", "Zm9-"})
    EXPECT_EQ(DecodeBase64(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace headrace::base

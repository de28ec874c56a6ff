#include "base/size_unit.h"

#include <gtest/gtest.h>

namespace headrace::base {
namespace {

TEST(SizeUnit, IsOneForSizesThatAreCompared) {
  const SizeUnit large(9.7 * 0x1p30);
  EXPECT_EQ(large.Text(9.7 * 0x1p30), "9.7 GiB");
  EXPECT_EQ(large.Text(0x1p30), "1.0 GiB");
  EXPECT_EQ(large.Text(0.1 * 0x1p30), "0.1 GiB");
  EXPECT_EQ(large.Text(64 * 0x1p20), "64.0 MiB");
  EXPECT_EQ(large.Text(20'000), "19.5 KiB");
  EXPECT_EQ(large.Text(0), "0.0 GiB");
  const SizeUnit small(614.4 * 0x1p20);
  EXPECT_EQ(small.Text(614.4 * 0x1p20), "614.4 MiB");
  EXPECT_EQ(small.Text(64 * 0x1p20), "64.0 MiB");
  EXPECT_EQ(SizeUnit(0x1p41).Text(0x1p41), "2.0 TiB");
}

}  // namespace
}  // namespace headrace::base

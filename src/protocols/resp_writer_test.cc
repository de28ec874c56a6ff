#include "protocols/resp_writer.h"

#include <gtest/gtest.h>

namespace headrace::protocols {
namespace {

TEST(RespWriter, BulkSaysItsLengthWhateverItHasOfDigits) {
  for (const size_t size : {0, 1, 9, 10, 11, 99, 100, 101, 1000, 70'000}) {
    const std::string bytes(size, 'x');
    std::string out = "before";
    RespWriter(RespVersion::k2, out).Bulk(bytes);
    EXPECT_EQ(out, "before$" + std::to_string(size) + "\r\n" + bytes + "\r\n");
  }
}

}  // namespace
}  // namespace headrace::protocols

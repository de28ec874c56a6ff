#include "env/process_memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace headrace::env {
namespace {

TEST(ProcessMemoryTest, SeesWhatIsAllocated) {
  const ProcessMemory before = ReadProcessMemory();
  ASSERT_GT(before.resident_bytes, 0U);
  EXPECT_GE(before.peak_bytes, before.resident_bytes);
  {
    std::vector<char> block(96U << 20, 'x');
    EXPECT_GE(ReadProcessMemory().resident_bytes, before.resident_bytes + (64U << 20))
        << block.back();
  }
  EXPECT_GE(ReadProcessMemory().peak_bytes, before.resident_bytes + (64U << 20))
      << "the peak stays";
}

}  // namespace
}  // namespace headrace::env

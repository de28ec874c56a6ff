#include "env/pages.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "env/process_memory.h"

namespace headrace::env {
namespace {

constexpr size_t kCount = 64;

uint64_t Resident() { return ReadProcessMemory().resident_bytes; }

TEST(PagesAheadTest, AreTouchedBeforeTheyAreAskedForAndGoBack) {
  const uint64_t before = Resident();
  {
    const PagesAhead ahead(kCount * kHugePageBytes);
    while (Resident() < before + kCount * kHugePageBytes * 9 / 10)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const uint64_t touched = Resident();
    std::vector<void*> pages;
    for (size_t i = 0; i < kCount / 2; ++i) {
      pages.push_back(TakePages(kHugePageBytes));
      *static_cast<char*>(pages.back()) = 1;
    }
    EXPECT_LT(Resident(), touched + kCount * kHugePageBytes / 8);
    for (void* const page : pages) GivePagesBack(page, kHugePageBytes);
  }
  EXPECT_LT(Resident(), before + kCount * kHugePageBytes / 8);
}

TEST(PagesAheadTest, ThereAreMoreThanThose) {
  const PagesAhead ahead(2 * kHugePageBytes);
  std::vector<char*> pages;
  for (size_t i = 0; i < 8; ++i) {
    pages.push_back(static_cast<char*>(TakePages(kHugePageBytes)));
    EXPECT_EQ(pages.back()[kHugePageBytes - 1], 0);
    pages.back()[0] = static_cast<char>('a' + i);
  }
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(pages[i][0], static_cast<char>('a' + i));
    GivePagesBack(pages[i], kHugePageBytes);
  }
}

}  // namespace
}  // namespace headrace::env

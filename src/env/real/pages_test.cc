#include "env/pages.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "env/process_memory.h"

namespace headrace::env {
namespace {

constexpr size_t kCount = 64;

uint64_t Resident() { return ReadProcessMemory().resident_bytes; }

// What never comes ends at the test runner's limit.
void WaitForPagesAtHand(size_t count) {
  while (PagesAhead::BytesAtHand() < count * kHugePageBytes)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the last one is being touched
}

TEST(PagesAheadTest, AreTouchedBeforeTheyAreAskedForAndGoBack) {
  const uint64_t before = Resident();
  {
    const PagesAhead ahead(kCount * kHugePageBytes);
    WaitForPagesAtHand(kCount);
    const uint64_t touched = Resident();
    EXPECT_GT(touched, before + kCount * kHugePageBytes * 9 / 10);
    std::vector<void*> pages;
    for (size_t i = 0; i < kCount / 2; ++i) {
      pages.push_back(TakePages(kHugePageBytes));
      std::memset(pages.back(), 1, kHugePageBytes);
    }
    EXPECT_EQ(PagesAhead::BytesAtHand(), kCount / 2 * kHugePageBytes);
    EXPECT_LT(Resident(), touched + kCount * kHugePageBytes / 8);
    for (void* const page : pages) GivePagesBack(page, kHugePageBytes);
  }
  EXPECT_EQ(PagesAhead::BytesAtHand(), 0U);
  EXPECT_LT(Resident(), before + kCount * kHugePageBytes / 8);
}

// Whoever is faster, the thread or who asks: both together take what was said.
TEST(PagesAheadTest, WhatIsTakenOtherwiseIsTakenOff) {
  const PagesAhead ahead(kCount * kHugePageBytes);
  void* const large = TakePages(kCount / 2 * kHugePageBytes);
  std::vector<void*> pages;
  for (size_t i = 0; i < kCount / 2; ++i) pages.push_back(TakePages(kHugePageBytes));
  // The thread had taken up to all of them when `large` was asked for, and takes no further ones.
  EXPECT_LE(PagesAhead::BytesAtHand(), kCount / 2 * kHugePageBytes);
  for (void* const page : pages) GivePagesBack(page, kHugePageBytes);
  GivePagesBack(large, kCount / 2 * kHugePageBytes);
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

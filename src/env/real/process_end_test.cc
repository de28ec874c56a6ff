#include "env/process_end.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace headrace::env {
namespace {

// A build that looks for leaks returns, and ends as any other process.
TEST(ProcessEnd, PrintsWhatWasSaidAndDestroysNothing) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "this build destroys all";
#endif
  const auto end = [] {
    std::atexit([] { std::fputs("destroyed\n", stderr); });
    std::setvbuf(stderr, nullptr, _IOFBF, 1 << 10);
    std::fputs("stopped\n", stderr);
    EndWithoutDestructors(3);
  };
  EXPECT_EXIT(end(), testing::ExitedWithCode(3), "^stopped\n$");
}

}  // namespace
}  // namespace headrace::env

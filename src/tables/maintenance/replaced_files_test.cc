#include "tables/maintenance/replaced_files.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

namespace headrace::tables {
namespace {

PlannedFile Planned(uint64_t after, uint64_t last, uint64_t number = 0) {
  return {{base::StreamId{1}, base::EpochId{after}, base::EpochId{last}}, number};
}
RewrittenFile Rewritten(uint64_t epoch, uint64_t number) {
  return {base::StreamId{1}, base::EpochId{epoch}, number};
}

TEST(ReplacedFiles, NeighboursAreOneRange) {
  ReplacedFiles files;
  files.Add(Planned(5, 7));
  files.Add(Planned(0, 3));
  files.Add(Planned(3, 5));
  EXPECT_EQ(files.ToText(), "0-7");
  files.Add(Planned(9, 12));
  files.Add(Planned(9, 12, 1));
  files.Add(Rewritten(77, 1));
  files.Add(Rewritten(77, 0));
  files.Add(Rewritten(80, 3));
  EXPECT_EQ(files.ToText(), "0-7 9-12 9-12.1 r77.0-1 r80.3-3");
}

// The second file of a plan is no part of the first one's range, nor is a plan that lies between.
TEST(ReplacedFiles, WhatIsNotThereIsNotContained) {
  ReplacedFiles files;
  files.Add(Planned(0, 5));
  files.Add(Planned(9, 12));
  EXPECT_TRUE(files.Contains(Planned(0, 5)));
  EXPECT_FALSE(files.Contains(Planned(0, 5, 1)));
  EXPECT_FALSE(files.Contains(Planned(5, 9)));
  EXPECT_FALSE(files.Contains(Planned(4, 6)));
  EXPECT_FALSE(files.Contains(Rewritten(0, 0)));
  EXPECT_FALSE(files.IsWholeFrom(base::EpochId{0}));
  files.Add(Planned(5, 9));
  EXPECT_TRUE(files.IsWholeFrom(base::EpochId{0}));
}

TEST(ReplacedFiles, IsASetOfFiles) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::set<std::pair<uint64_t, uint64_t>> planned;
    std::set<std::pair<uint64_t, uint64_t>> rewritten;
    ReplacedFiles files;
    ReplacedFiles merged;
    for (uint64_t i = 0; i < random() % 60; ++i) {
      ReplacedFiles& into = random() % 2 == 0 ? files : merged;
      const uint64_t at = random() % 20;
      const uint64_t number = random() % 3;
      if (random() % 2 == 0) {
        into.Add(Planned(at, at + 1, number));
        planned.insert({at, number});
      } else {
        into.Add(Rewritten(at, number));
        rewritten.insert({at, number});
      }
    }
    files.Merge(merged);
    const auto again = ReplacedFiles::Parse(files.ToText());
    ASSERT_TRUE(again) << again.error().ToString();
    for (uint64_t at = 0; at < 21; ++at)
      for (uint64_t number = 0; number < 4; ++number) {
        const bool is_planned = planned.contains({at, number});
        const bool is_rewritten = rewritten.contains({at, number});
        ASSERT_EQ(files.Contains(Planned(at, at + 1, number)), is_planned);
        ASSERT_EQ(again->Contains(Planned(at, at + 1, number)), is_planned);
        ASSERT_EQ(again->Contains(Rewritten(at, number)), is_rewritten);
      }
  }
}

TEST(ReplacedFiles, ABrokenTagIsRefused) {
  for (const char* text : {"x", "1", "1-", "5-3", "3-3", "r7", "r7.", "r7.3", "r7.3-1", "1-2 ",
                           "1-2x", "1-2.", "1--2", "99999999999999999999-1"})
    EXPECT_EQ(ReplacedFiles::Parse(text).has_value(), std::string_view(text) == "1-2 ") << text;
}

}  // namespace
}  // namespace headrace::tables

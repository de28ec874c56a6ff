#include "tables/publish/pending_rows.h"

#include <gtest/gtest.h>

namespace headrace::tables {
namespace {

using base::EpochId;

// A commit takes all but the newest epoch, of which nobody knows yet when it became visible.
TEST(PendingRows, ASteadyStreamLeavesWhatTheTableLacks) {
  PendingRows pending;
  for (uint64_t epoch = 1; epoch <= 100'000; ++epoch) {
    pending.Add({epoch}, 3, {static_cast<int64_t>(epoch)});
    if (epoch % 20 != 0) continue;
    pending.DropThrough({epoch - 1});
    ASSERT_EQ(pending.rows(), 3U);
    ASSERT_EQ(pending.first(), EpochId{epoch});
    ASSERT_EQ(pending.oldest(), base::Timestamp{static_cast<int64_t>(epoch)});
  }
}

TEST(PendingRows, OfALongLagLittleIsKeptAndAllIsCounted) {
  PendingRows pending;
  for (uint64_t epoch = 1; epoch <= 1'000'000; ++epoch) pending.Add({epoch}, 2, {});
  EXPECT_EQ(pending.rows(), 2'000'000U);
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  pending.Encode(out);
  EXPECT_LT(bytes.size(), PendingRows::kRangesMax * 40);
  pending.DropThrough({999'990});  // recent epochs stand alone
  EXPECT_EQ(pending.rows(), 20U);
  EXPECT_EQ(pending.first(), EpochId{999'991});

  columns::ByteReader in(bytes);
  PendingRows again;
  ASSERT_TRUE(again.Decode(in));
  EXPECT_EQ(again.rows(), 2'000'000U);
  EXPECT_EQ(*again.EndOf(1), EpochId{4096});
}

}  // namespace
}  // namespace headrace::tables

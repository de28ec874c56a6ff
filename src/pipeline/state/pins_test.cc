#include "pipeline/state/pins.h"

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

using env::MonotonicTime;

TEST(PinTable, HoldsTheStepThatWasVisible) {
  PinTable pins;
  std::atomic<Step> visible{7};
  const auto taken = pins.Take(visible, MonotonicTime{0});
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->step, 7U);
  EXPECT_EQ(pins.StepOfSlot(taken->slot), 7U);
  EXPECT_FALSE(pins.AnyBefore(7));
  EXPECT_TRUE(pins.AnyBefore(8));
  EXPECT_EQ(pins.Oldest(9), 7U);
  pins.Release(taken->slot);
  EXPECT_FALSE(pins.AnyBefore(8));
  EXPECT_EQ(pins.Oldest(9), 9U);
}

TEST(PinTable, RevokesOnlyOldStepsThatWereTakenLongAgo) {
  PinTable pins;
  std::atomic<Step> visible{1};
  const auto early = pins.Take(visible, MonotonicTime{100});
  const auto recent = pins.Take(visible, MonotonicTime{200});
  visible = 2;
  const auto newest = pins.Take(visible, MonotonicTime{50});
  EXPECT_EQ(pins.RevokeBefore(2, MonotonicTime{150}), 1U);
  EXPECT_TRUE(pins.revoked(early->slot));
  EXPECT_FALSE(pins.revoked(recent->slot));
  EXPECT_FALSE(pins.revoked(newest->slot));
  EXPECT_TRUE(pins.AnyBefore(2));
  // A revoked reader may still be reading: its memory stays.
  EXPECT_EQ(pins.Oldest(2), 1U);
  pins.Release(recent->slot);
  EXPECT_FALSE(pins.AnyBefore(2));
  EXPECT_EQ(pins.Oldest(2), 1U);
  pins.Release(early->slot);
  EXPECT_EQ(pins.Oldest(2), 2U);
}

TEST(PinTable, ASlotIsAsNewAfterARevokedReaderLeft) {
  PinTable pins;
  std::atomic<Step> visible{1};
  for (int i = 0; i < 1'000; ++i) {
    const auto taken = pins.Take(visible, MonotonicTime{0});
    EXPECT_FALSE(pins.revoked(taken->slot));
    pins.RevokeBefore(2, MonotonicTime{0});
    EXPECT_TRUE(pins.revoked(taken->slot));
    pins.Release(taken->slot);
  }
}

}  // namespace
}  // namespace headrace::pipeline

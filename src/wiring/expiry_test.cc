#include "wiring/expiry.h"

#include <gtest/gtest.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

uint64_t Sealed(Lives& lives) { return lives.core_->log_status().durable.value; }

void Fill(Lives& lives, int64_t share) {
  base::MemoryBudget& budget = lives.core_->budget();
  budget.Force(base::MemoryAccount::kState, static_cast<int64_t>(budget.limit_bytes()) * share);
}

TEST(Expiry, TimeGoesOnWhileMemoryIsFull) {
  Lives lives(OnTheWall());
  lives.Send(1);
  lives.machine_->RunFor(std::chrono::seconds(5));
  const uint64_t before = Sealed(lives);
  Fill(lives, 1);
  lives.machine_->RunFor(std::chrono::minutes(10));
  const uint64_t full = Sealed(lives);
  EXPECT_GE(full, before + 10);
  EXPECT_LE(full, before + 20) << "it went on though nothing was freed by it";
  EXPECT_EQ(lives.core_->visible().value, full);
  Fill(lives, -1);
  lives.machine_->RunFor(std::chrono::hours(1));
  EXPECT_LE(Sealed(lives), full + 1);
}

TEST(Expiry, WhereTimeIsThatOfTheEventsNothingIsSealed) {
  Lives lives(Text(kHour, Table::kNo));
  lives.Send(1);
  lives.machine_->RunFor(std::chrono::seconds(5));
  const uint64_t before = Sealed(lives);
  Fill(lives, 1);
  lives.machine_->RunFor(std::chrono::seconds(30));
  EXPECT_EQ(Sealed(lives), before);
  Fill(lives, -1);
}

}  // namespace
}  // namespace headrace::wiring

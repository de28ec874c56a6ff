#include "wiring/answer_clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "env/simulated/environment.h"

namespace headrace::wiring {
namespace {

using env::simulated::CrashKind;
using env::simulated::SimulatedEnvironment;

constexpr base::Duration kHour = std::chrono::hours(1);

base::Timestamp FloorOn(env::Environment& machine, const std::string& path) {
  return log::ClockMark::ReadFloor(machine, path).At(machine.clock().Now());
}

std::unique_ptr<AnswerClock> StartOn(SimulatedEnvironment& machine) {
  std::unique_ptr<AnswerClock> clock;
  machine.Run([&] {
    ASSERT_TRUE(machine.files().CreateFolders("data"));
    clock = *AnswerClock::Start(machine, "data", FloorOn(machine, ClockMarkPath("data")));
  });
  return clock;
}

TEST(AnswerClockTest, DoesNotGoBackOverACrashWhileTheWallIsBehind) {
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    auto machine = std::make_unique<SimulatedEnvironment>(1);
    auto clock = StartOn(*machine);
    machine->StepWall(-kHour);
    for (int minute = 0; minute < 5; ++minute) {
      machine->RunFor(std::chrono::milliseconds(60'700));
      const base::Timestamp said = clock->Now();
      machine->Crash(kind);
      clock.reset();
      machine = machine->Reboot(static_cast<uint64_t>(minute) + 2);
      clock = StartOn(*machine);
      EXPECT_GE(clock->Now(), said) << "restart " << minute;
      EXPECT_LE(clock->Now(), said + log::ClockMark::kLease) << "restart " << minute;
    }
    machine->Crash();
    clock.reset();
  }
}

TEST(AnswerClockTest, AMarkThatCannotBeReadIsNone) {
  SimulatedEnvironment machine(1);
  machine.Run([&] {
    EXPECT_EQ(FloorOn(machine, "CLOCK"), base::Timestamp::Min());
    auto mark = log::ClockMark::Open(machine, "CLOCK");
    const base::Timestamp clock = machine.clock().Wall();
    ASSERT_TRUE(mark && mark->Write(clock, machine.clock().Now()));
    EXPECT_GE(FloorOn(machine, "CLOCK"), clock);
    auto file = machine.files().OpenForWriting("CLOCK", env::Files::Open::kExisting);
    ASSERT_TRUE(file && (*file)->WriteAt(24, std::vector<uint8_t>{0x7f}));
    EXPECT_EQ(FloorOn(machine, "CLOCK"), base::Timestamp::Min());
  });
}

// The monotonic clock of the machine tells how long the engine was down, to the microsecond.
TEST(AnswerClockTest, WithinOneBootTheClockGoesOn) {
  const auto environment = env::MakeRealEnvironment();
  const std::string folder = std::filesystem::temp_directory_path() / "answer_clock_XXXXXX";
  std::string made = folder;
  ASSERT_NE(mkdtemp(made.data()), nullptr);
  const std::string path = ClockMarkPath(made);
  const base::Timestamp clock = environment->clock().Wall() + kHour;
  const env::MonotonicTime at = environment->clock().Now();
  auto mark = log::ClockMark::Open(*environment, path);
  ASSERT_TRUE(mark && mark->Write(clock, at));
  const env::MonotonicTime before = environment->clock().Now();
  const base::Timestamp floor = FloorOn(*environment, path);
  const env::MonotonicTime after = environment->clock().Now();
  EXPECT_GE(floor, clock + std::chrono::duration_cast<base::Duration>(before - at));
  EXPECT_LE(floor,
            clock + std::chrono::duration_cast<base::Duration>(after - at) + base::Duration(1));
  std::filesystem::remove_all(made);
}

// A floor is read before the log is replayed; what begins after that is not behind by as long.
TEST(AnswerClockTest, AFloorMovesWithTheMonotonicClock) {
  const log::ClockFloor floor{base::Timestamp{5'000'000}, std::chrono::seconds(3)};
  EXPECT_GE(floor.At(std::chrono::seconds(7)), base::Timestamp{9'000'000});
  EXPECT_EQ(log::ClockFloor{}.At(std::chrono::seconds(7)), base::Timestamp::Min());
}

}  // namespace
}  // namespace headrace::wiring

#include "env/simulated/environment.h"

#include "env/crash_points.h"

namespace headrace::env::simulated {
namespace {

constexpr base::Timestamp kFirstWall{1'750'000'000'000'000};  // 2025-06-15T15:06:40Z
constexpr std::chrono::seconds kRestart{1};                   // of the process
constexpr std::chrono::seconds kStartOfMachine{5};            // after a power cut

}  // namespace

class SimulatedEnvironment::SimulatedClock final : public Clock {
 public:
  SimulatedClock(const Loop& loop, base::Timestamp wall)
      : loop_(loop), wall_at_zero_(wall - Microseconds(loop.now())) {}
  MonotonicTime Now() const override { return loop_.now(); }
  base::Timestamp Wall() const override { return wall_at_zero_ + Microseconds(loop_.now()); }
  void StepWall(base::Duration by) { wall_at_zero_ = wall_at_zero_ + by; }

 private:
  static base::Duration Microseconds(MonotonicTime time) {
    return std::chrono::duration_cast<base::Duration>(time);
  }
  const Loop& loop_;
  base::Timestamp wall_at_zero_;
};

SimulatedEnvironment::SimulatedEnvironment(uint64_t seed, Faults faults)
    : SimulatedEnvironment(seed, std::move(faults), std::make_shared<Disk>(), kFirstWall, {}) {}

SimulatedEnvironment::SimulatedEnvironment(uint64_t seed, Faults faults, std::shared_ptr<Disk> disk,
                                           base::Timestamp wall, Boot boot)
    : boot_(boot),
      loop_(seed, boot.now),
      disk_(std::move(disk)),
      life_(std::make_shared<Life>(Life{loop_, disk_, std::move(faults), disk_->generation()})),
      clock_(std::make_unique<SimulatedClock>(loop_, wall)),
      files_(MakeSimulatedFiles(life_)) {
  disk_->AddRoot("/");
  disk_->AddRoot(".");
  life_->wall = [this] { return clock_->Wall(); };
  life_->visit = [this](const char* name) { CrashPoint(name); };
  life_->die = [this] {
    ++life_->injected["crash at an operation"];
    Crash(life_->faults.crash_kind);
  };
}

SimulatedEnvironment::~SimulatedEnvironment() = default;

Clock& SimulatedEnvironment::clock() { return *clock_; }

void SimulatedEnvironment::Random(std::span<uint8_t> out) {
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(loop_.random()());
}

std::unique_ptr<Executor> SimulatedEnvironment::NewExecutor(const std::string& name,
                                                            Priority /*priority*/) {
  return loop_.NewExecutor(name);
}

void SimulatedEnvironment::CrashPoint(const char* name) {
  HR_CHECK(IsCrashPoint(name), "a crash point that is not in env/crash_points.h");
  if (loop_.dead()) return;
  const uint64_t visit = ++visits_[name];
  if (name != life_->faults.crash_point || visit != life_->faults.crash_hit) return;
  ++life_->injected["crash point"];
  Crash(life_->faults.crash_kind);
  throw SimulatedCrash{};
}

void SimulatedEnvironment::Await(const std::function<void(std::function<void()>)>& begin) {
  bool finished = false;
  begin([&finished] { finished = true; });
  while (!finished) {
    if (loop_.Step() || finished) continue;
    HR_CHECK(loop_.dead(), "what is awaited never comes");
    throw SimulatedCrash{};
  }
}

bool SimulatedEnvironment::Run(const std::function<void()>& main) {
  if (loop_.dead()) return false;
  try {
    main();
  } catch (const SimulatedCrash&) {
    HR_CHECK(loop_.dead(), "a crash that killed nobody");
  }
  return !loop_.dead();
}

bool SimulatedEnvironment::RunUntilIdle() {
  while (loop_.busy()) loop_.Step();
  return !loop_.dead();
}

bool SimulatedEnvironment::RunFor(MonotonicTime span) {
  const auto timer = loop_.NewExecutor("run-for");
  bool over = false;
  timer->PostAt(loop_.now() + span, [&over] { over = true; });
  return RunUntil([&over] { return over; });
}

bool SimulatedEnvironment::RunUntil(const std::function<bool()>& done) {
  while (!done())
    if (!loop_.Step()) return !loop_.dead() && done();
  return true;
}

void SimulatedEnvironment::Crash(CrashKind kind) {
  if (loop_.dead()) return;
  ++life_->injected[kind == CrashKind::kPowerCut ? "power cut" : "killed"];
  if (kind == CrashKind::kPowerCut) {
    boot_.power_cut = true;
    disk_->Crash(loop_.random());
  } else {
    disk_->EndLife();
  }
  loop_.Die();
}

std::unique_ptr<SimulatedEnvironment> SimulatedEnvironment::Reboot(uint64_t seed, Faults faults) {
  Boot next{.number = boot_.number, .now = loop_.now() + kRestart};
  base::Duration down = kRestart;
  if (boot_.power_cut) {
    next = {.number = boot_.number + 1};
    down = kStartOfMachine;
  }
  return std::unique_ptr<SimulatedEnvironment>(
      new SimulatedEnvironment(seed, std::move(faults), disk_, clock_->Wall() + down, next));
}

std::unique_ptr<SimulatedEnvironment> SimulatedEnvironment::Copy(uint64_t seed,
                                                                 Faults faults) const {
  return std::unique_ptr<SimulatedEnvironment>(new SimulatedEnvironment(
      seed, std::move(faults), disk_->Copy(), clock_->Wall(), {.number = boot_.number + 1}));
}

void SimulatedEnvironment::StepWall(base::Duration by) { clock_->StepWall(by); }

}  // namespace headrace::env::simulated

#include "training/engine_pauses.h"

#include <utility>

#include "env/end_executor.h"
#include "env/pause_file.h"

namespace headrace::training {
namespace {

constexpr env::MonotonicTime kLookEvery = std::chrono::milliseconds(100);

}  // namespace

EnginePauses::EnginePauses(env::Environment& environment, std::string data_folder, Said said)
    : environment_(environment),
      data_folder_(std::move(data_folder)),
      said_(std::move(said)),
      executor_(environment.NewExecutor("engine-pauses", env::Priority::kRealTime)) {
  Look();
  LookAgain();
}

EnginePauses::~EnginePauses() {
  env::EndExecutor(executor_);
  environment_.background().Resume(env::WorkClass::kTraining, environment_.clock().Now());
}

void EnginePauses::Look() {
  const env::MonotonicTime now = environment_.clock().Now();
  const auto notice = env::ReadPauseNotice(environment_.files(), data_folder_, now);
  if (notice) {
    environment_.background().Pause(env::WorkClass::kTraining, notice->why, now);
  } else {
    environment_.background().Resume(env::WorkClass::kTraining, now);
  }
  if (std::exchange(paused_, notice.has_value()) == notice.has_value() || !said_) return;
  said_(notice ? notice->why : std::string());
}

void EnginePauses::LookAgain() {
  executor_->PostAt(environment_.clock().Now() + kLookEvery, [this] {
    Look();
    LookAgain();
  });
}

}  // namespace headrace::training

#pragma once
// Makes this process's training and verification wait while the engine that owns the data folder is
// pressed: follows its pause notice (env/pause_file.h) and moves the environment's gate, at which
// the work asks between its pieces.

#include <functional>
#include <memory>
#include <string>

#include "env/environment.h"

namespace headrace::training {

// From its making to its end; looks ten times a second, on an executor of its own, and once before
// Follow returns.
class EnginePauses {
 public:
  // Called with the engine's reason when work begins to wait, and with an empty one when it goes
  // on; on the executor.
  using Said = std::function<void(const std::string& why)>;

  // `environment` outlives it. No engine, no notice, no folder: nobody waits.
  EnginePauses(env::Environment& environment, std::string data_folder, Said said);
  // Opens the gate.
  ~EnginePauses();
  EnginePauses(const EnginePauses&) = delete;
  EnginePauses& operator=(const EnginePauses&) = delete;

 private:
  void Look();
  void LookAgain();

  env::Environment& environment_;
  const std::string data_folder_;
  const Said said_;
  bool paused_ = false;
  std::unique_ptr<env::Executor> executor_;
};

// A pass for one stretch of training work; it waits at most kTrainingWaitMax in all.
constexpr env::MonotonicTime kTrainingWaitMax = std::chrono::minutes(10);
inline env::BackgroundPass TrainingPass(env::Environment& environment) {
  return {environment, env::WorkClass::kTraining, "training: 10 min of waiting", kTrainingWaitMax};
}

}  // namespace headrace::training

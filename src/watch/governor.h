#pragma once
// Watches the real-time stages and makes background work yield to them: the design's order of
// sacrifice. What is paused, when and why is in GET /status.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "env/environment.h"
#include "plan/budget.h"
#include "watch/governor_rules.h"

namespace headrace::watch {

struct GovernorOptions {
  GovernorLimits limits;
  env::MonotonicTime look_every = std::chrono::milliseconds(50);  // for the CPU's pressure
  size_t looks_per_step = 5;
  size_t window_steps = 4;    // the stages' recent latencies: one second
  uint64_t samples_min = 10;  // fewer in the window say nothing
  std::string data_folder;    // where `train` and `verify` look; empty: nobody is told
};

// One moment of a governor, for the status document.
struct GovernorFigures {
  Pressure worst;
  size_t level = 0;
  struct Class {
    env::WorkClass work;
    env::WorkClassFigures gate;
    uint64_t let_through = 0;
  };
  env::MonotonicTime now{0};
  std::vector<Class> classes;
};

// Runs from Make to the destructor, which resumes everything. figures() from any thread. Its own
// executor looks 20 times a second: how late it is woken is how long a real-time thread waits for a
// CPU. Every fifth look it compares the promise's percentile of the last second, of each stage,
// with the stage's budget.
class Governor {
 public:
  // `environment` and the histograms outlive it.
  static std::unique_ptr<Governor> Make(env::Environment& environment,
                                        const plan::LatencyBudget& budget,
                                        const plan::StageMeasurements& stages,
                                        GovernorOptions options);
  virtual ~Governor() = default;
  virtual GovernorFigures figures() const = 0;
};

}  // namespace headrace::watch

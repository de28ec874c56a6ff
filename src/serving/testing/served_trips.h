#pragma once
// A small pipeline with a state to ask, for this room's tests: clock and executor are driven by
// hand.

#include <memory>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "env/clock.h"
#include "env/executor.h"
#include "log/epoch.h"
#include "pipeline/definition.h"
#include "pipeline/views/view_set.h"
#include "serving/answer.h"

namespace headrace::serving::testing {

class HandClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return now; }
  base::Timestamp Wall() const override { return wall; }
  env::MonotonicTime now{0};
  base::Timestamp wall{978'307'200'000'000};  // 2001-01-01T00:00:00Z
};

// Keeps tasks until they are run; a timed one runs when the clock has reached its time.
class HandExecutor final : public env::Executor {
 public:
  explicit HandExecutor(HandClock& clock) : clock_(clock) {}
  void Post(env::Task task) override {
    tasks_.emplace_back(env::MonotonicTime(0), std::move(task));
  }
  void PostAt(env::MonotonicTime time, env::Task task) override {
    tasks_.emplace_back(time, std::move(task));
  }
  void RunDue();

 private:
  HandClock& clock_;
  std::vector<std::pair<env::MonotonicTime, env::Task>> tasks_;
};

// A trip for Apply: minutes after 2001-01-01T00:00:00Z.
struct Trip {
  int minute;
  std::string origin;
  std::string destination;
  int64_t driver;
  int64_t delay;
};

enum class ClockOf : uint8_t { kEvents, kWall };

// Views origin (1h, 24h), route (24h), driver (1h, ttl 2h) seen (a list, 24h) and often
// (another, for which every row is read) of one stream;
// on_request fixed (of nothing), trend and late_by; services trip and fresh (max_lag 10m).
class ServedTrips {
 public:
  explicit ServedTrips(ClockOf clock = ClockOf::kEvents, AnswerLimits limits = {});
  // One epoch; its clock is the newest minute so far.
  void Apply(const std::vector<Trip>& trips);
  // The same, and the cut-over to a definition of the same views.
  void CutOver(const pipeline::PipelineRef& next, const std::vector<Trip>& trips);

  HandClock clock;
  HandExecutor executor{clock};
  base::MemoryBudget budget{1U << 30};
  pipeline::PipelineRef definition;
  std::unique_ptr<pipeline::ViewSet> views;
  std::vector<FeatureAnswer> answered;                           // what on_answer saw
  std::function<base::Timestamp(env::MonotonicTime)> log_clock;  // replaceable
  std::unique_ptr<AnswerService> service;

 private:
  log::Epoch NextEpoch(const std::vector<Trip>& trips);
  void Apply(log::Epoch epoch);

  base::EpochId epoch_;
  base::Timestamp newest_ = base::Timestamp::Min();
};

// That of ServedTrips, with another service `fresh` ("{features: [origin.trips_1h]}").
pipeline::PipelineRef TripsWithFresh(const std::string& service);

base::Timestamp Minute(int minute);

// A query of a service for one row of each column.
FeatureQuery Ask(std::string service, std::vector<std::pair<std::string, columns::Value>> inputs);

}  // namespace headrace::serving::testing

#include "watch/recent_times.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "env/end_executor.h"

namespace headrace::watch {
namespace {

using Counts = base::Histogram::Counts;
using CountsRef = std::shared_ptr<const Counts>;

CountsRef CopyOf(const base::Histogram& histogram) {
  auto counts = std::make_shared<Counts>();
  histogram.CopyCounts(*counts);
  return counts;
}

class RunningRecentTimes final : public RecentTimes {
 public:
  RunningRecentTimes(env::Environment& environment, std::vector<const base::Histogram*> watched,
                     RecentTimesOptions options)
      : clock_(environment.clock()),
        watched_(std::move(watched)),
        options_(options),
        executor_(environment.NewExecutor("recent-times", env::Priority::kBackground)) {
    Copy();
  }
  ~RunningRecentTimes() override { env::EndExecutor(executor_); }

  RecentFigures figures() const override {
    RecentFigures figures;
    const std::lock_guard lock(mutex_);
    const Moment& oldest = moments_.front();
    figures.span = std::chrono::duration_cast<base::Duration>(clock_.Now() - oldest.at);
    for (size_t i = 0; i < watched_.size(); ++i)
      figures.samples.emplace(watched_[i], RecentSamples(oldest.counts[i], *watched_[i]));
    return figures;
  }

 private:
  struct Moment {
    env::MonotonicTime at;
    std::vector<CountsRef> counts;  // as watched_
  };

  void Copy() {
    Moment moment{clock_.Now(), {}};
    for (const base::Histogram* histogram : watched_) moment.counts.push_back(CopyOf(*histogram));
    {
      const std::lock_guard lock(mutex_);
      moments_.push_back(std::move(moment));
      if (moments_.size() > options_.copies) moments_.pop_front();
    }
    executor_->PostAt(clock_.Now() + options_.copy_every, [this] { Copy(); });
  }

  env::Clock& clock_;
  const std::vector<const base::Histogram*> watched_;
  const RecentTimesOptions options_;
  mutable std::mutex mutex_;  // guards moments_
  std::deque<Moment> moments_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace

RecentSamples::RecentSamples(CountsRef earlier, const base::Histogram& now)
    : earlier_(std::move(earlier)), later_(CopyOf(now)), max_(now.max()) {}

uint64_t RecentSamples::count() const { return base::Histogram::CountBetween(*earlier_, *later_); }

uint64_t RecentSamples::Quantile(double q) const {
  return std::min(base::Histogram::QuantileBetween(*earlier_, *later_, q), max_);
}

RecentSamples RecentFigures::Of(const base::Histogram& histogram) const {
  const auto found = samples.find(&histogram);
  return found == samples.end() ? RecentSamples() : found->second;
}

std::unique_ptr<RecentTimes> RecentTimes::Make(env::Environment& environment,
                                               std::vector<const base::Histogram*> watched,
                                               RecentTimesOptions options) {
  return std::make_unique<RunningRecentTimes>(environment, std::move(watched), options);
}

}  // namespace headrace::watch

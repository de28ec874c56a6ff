#include "watch/governor.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "env/end_executor.h"
#include "env/pause_file.h"

namespace headrace::watch {
namespace {

constexpr env::MonotonicTime kRenewEvery = std::chrono::seconds(1);

double Milliseconds(base::Duration d) { return static_cast<double>(d.count()) / 1000.0; }

// What a histogram recorded lately.
class RecentLatency {
 public:
  RecentLatency(std::string name, const base::Histogram& us, base::Duration given, double quantile)
      : name_(std::move(name)), us_(us), given_(given), quantile_(quantile) {}

  Pressure Look(const GovernorOptions& options) {
    base::Histogram::Counts& now = moments_.emplace_back();
    us_.CopyCounts(now);
    if (moments_.size() > options.window_steps + 1) moments_.pop_front();
    Pressure pressure{.what = name_, .share = 0, .taken = {}};
    const auto& earlier = moments_.front();
    const auto& later = moments_.back();
    if (given_ <= base::Duration(0) ||
        base::Histogram::CountBetween(earlier, later) < options.samples_min)
      return pressure;
    const base::Duration taken(
        static_cast<int64_t>(base::Histogram::QuantileBetween(earlier, later, quantile_)));
    pressure.share = Milliseconds(taken) / Milliseconds(given_);
    pressure.taken = fmt::format("p{:g} {:.1f} ms of {:.1f} ms", quantile_ * 100,
                                 Milliseconds(taken), Milliseconds(given_));
    return pressure;
  }

 private:
  const std::string name_;
  const base::Histogram& us_;
  const base::Duration given_;
  const double quantile_;
  std::deque<base::Histogram::Counts> moments_;
};

// How long this thread waited for a CPU when it was due, held against what the tightest stage has.
class RecentLateness {
 public:
  RecentLateness(base::Duration given, size_t looks) : given_(given), late_(looks) {}

  void Note(env::MonotonicTime late) { late_[next_++ % late_.size()] = late; }
  // By the second longest, since one look may be late for any reason.
  Pressure Look() const {
    std::vector<env::MonotonicTime> sorted = late_;
    std::ranges::sort(sorted);
    const auto late = std::chrono::duration_cast<base::Duration>(sorted[sorted.size() - 2]);
    if (given_ <= base::Duration(0)) return {.what = "cpu", .share = 0, .taken = {}};
    return {.what = "cpu",
            .share = Milliseconds(late) / Milliseconds(given_),
            .taken = fmt::format("a due thread waited {:.1f} ms; the tightest stage has {:.1f} ms",
                                 Milliseconds(late), Milliseconds(given_))};
  }

 private:
  const base::Duration given_;
  std::vector<env::MonotonicTime> late_;
  size_t next_ = 0;
};

class WatchingGovernor final : public Governor {
 public:
  WatchingGovernor(env::Environment& environment, const plan::LatencyBudget& budget,
                   const plan::StageMeasurements& stages, GovernorOptions options)
      : environment_(environment),
        options_(std::move(options)),
        lateness_(*std::ranges::min_element(budget.given),
                  options_.looks_per_step * options_.window_steps),
        rules_(options_.limits) {
    const auto add = [&](plan::Stage stage, const base::Histogram* us) {
      if (us != nullptr)
        stages_.emplace_back(std::string(plan::NameOf(stage)), *us,
                             budget.given[static_cast<size_t>(stage)], budget.quantile);
    };
    add(plan::Stage::kIngest, stages.ingest);
    add(plan::Stage::kTransform, stages.transform);
    add(plan::Stage::kServe, stages.serve);
    if (!options_.data_folder.empty())
      notices_ = environment_.NewExecutor("pause-file", env::Priority::kBackground);
    executor_ = environment_.NewExecutor("governor", env::Priority::kRealTime);
    executor_->Post([this] { NextLook(); });
  }

  ~WatchingGovernor() override {
    env::EndExecutor(executor_);
    for (size_t i = 0; i < env::kWorkClasses; ++i)
      environment_.background().Resume(static_cast<env::WorkClass>(i), environment_.clock().Now());
    Tell(std::nullopt);
    notices_.reset();
  }

  GovernorFigures figures() const override {
    GovernorFigures figures;
    figures.now = environment_.clock().Now();
    const std::lock_guard lock(mutex_);
    figures.worst = rules_.worst();
    figures.level = rules_.level();
    for (size_t i = 0; i < env::kWorkClasses; ++i) {
      const auto work = static_cast<env::WorkClass>(i);
      figures.classes.push_back(
          {work, environment_.background().Figures(work, figures.now), rules_.let_through(work)});
    }
    return figures;
  }

 private:
  void NextLook() {
    due_ = environment_.clock().Now() + options_.look_every;
    executor_->PostAt(due_, [this] { Look(); });
  }

  void Look() {
    const env::MonotonicTime now = environment_.clock().Now();
    lateness_.Note(now - due_);
    if (++looks_ % options_.looks_per_step == 0) Step(now);
    NextLook();
  }

  void Step(env::MonotonicTime now) {
    std::vector<Pressure> pressures;
    for (RecentLatency& stage : stages_) pressures.push_back(stage.Look(options_));
    pressures.push_back(lateness_.Look());
    const std::lock_guard lock(mutex_);
    rules_.Step(now, pressures);
    const std::string why = fmt::format("{} takes {:.0f} % of its budget: {}", rules_.worst().what,
                                        rules_.worst().share * 100, rules_.worst().taken);
    for (size_t i = 0; i < env::kWorkClasses; ++i) Move(static_cast<env::WorkClass>(i), why, now);
    Renew(now);
  }

  void Move(env::WorkClass work, const std::string& why, env::MonotonicTime now) {
    env::BackgroundGate& gate = environment_.background();
    if (rules_.paused(work) == !gate.IsOpen(work)) return;
    if (rules_.paused(work)) {
      gate.Pause(work, why, now);
    } else {
      gate.Resume(work, now);
    }
    base::LogInfo(rules_.paused(work) ? "watch.paused" : "watch.resumed",
                  {{"work", std::string(env::NameOf(work))}, {"why", why}});
    if (work == env::WorkClass::kTraining) told_at_ = {};
  }

  // Keeps the other processes' notice true.
  void Renew(env::MonotonicTime now) {
    const bool paused = rules_.paused(env::WorkClass::kTraining);
    if (told_at_ && (!paused || now - *told_at_ < kRenewEvery)) return;
    told_at_ = now;
    if (!paused) return Tell(std::nullopt);
    Tell(env::PauseNotice{environment_.background().Figures(env::WorkClass::kTraining, now).why,
                          now + env::kPauseNoticeValid});
  }

  void Tell(std::optional<env::PauseNotice> notice) {
    if (!notices_) return;
    notices_->Post([&files = environment_.files(), folder = options_.data_folder,
                    failed = notice_failed_, notice = std::move(notice)] {
      const auto told = env::WritePauseNotice(files, folder, notice);
      if (!told && !std::exchange(*failed, true))
        base::LogWarning("watch.pause_notice_failed", {{"error", told.error().ToString()}});
    });
  }

  env::Environment& environment_;
  const GovernorOptions options_;
  std::deque<RecentLatency> stages_;
  RecentLateness lateness_;
  env::MonotonicTime due_{0};
  uint64_t looks_ = 0;
  std::optional<env::MonotonicTime> told_at_;
  const std::shared_ptr<bool> notice_failed_ =
      std::make_shared<bool>(false);  // touched on notices_ only; it was said once
  mutable std::mutex mutex_;          // guards rules_
  GovernorRules rules_;
  std::unique_ptr<env::Executor> notices_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace

std::unique_ptr<Governor> Governor::Make(env::Environment& environment,
                                         const plan::LatencyBudget& budget,
                                         const plan::StageMeasurements& stages,
                                         GovernorOptions options) {
  return std::make_unique<WatchingGovernor>(environment, budget, stages, std::move(options));
}

}  // namespace headrace::watch

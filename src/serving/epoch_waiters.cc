#include "serving/epoch_waiters.h"

namespace headrace::serving {

bool EpochWaiters::Wait(base::EpochId epoch, std::chrono::milliseconds deadline, Woken woken) {
  Key key;
  {
    std::lock_guard lock(mutex_);
    if (waiters_.size() >= waiters_max_) return false;
    key = {epoch, next_++};
    waiters_.emplace(key, std::move(woken));
    waiting_.store(waiters_.size());
  }
  // MarkVisible stores first and counts then; this counts first and looks then: one of the two sees
  // the other.
  if (stopped_.load()) {
    Wake(key, Outcome::kStopped);
  } else if (visible_.load() >= epoch.value) {
    Wake(key, Outcome::kVisible);
  } else if (deadline != std::chrono::milliseconds::max()) {
    executor_.PostAt(clock_.Now() + deadline, [weak = weak_from_this(), key] {
      if (const auto self = weak.lock()) self->Wake(key, Outcome::kTooLate);
    });
  }
  return true;
}

void EpochWaiters::MarkVisible(base::EpochId epoch) {
  visible_.store(epoch.value);
  if (waiting_.load() == 0) return;
  while (true) {
    Key key;
    {
      std::lock_guard lock(mutex_);
      if (waiters_.empty() || waiters_.begin()->first.first > epoch) return;
      key = waiters_.begin()->first;
    }
    Wake(key, Outcome::kVisible);
  }
}

void EpochWaiters::Wake(const Key& key, Outcome outcome) {
  Woken woken;
  {
    std::lock_guard lock(mutex_);
    auto node = waiters_.extract(key);
    waiting_.store(waiters_.size());
    if (node.empty()) return;
    woken = std::move(node.mapped());
  }
  executor_.Post([self = shared_from_this(), woken = std::move(woken), outcome]() mutable {
    self->Run(woken, outcome);
  });
}

void EpochWaiters::Run(Woken& woken, Outcome outcome) {
  std::lock_guard lock(running_);
  woken(stopped_.load() ? Outcome::kStopped : outcome);
}

void EpochWaiters::Stop() {
  stopped_.store(true);
  std::lock_guard running(running_);
  std::map<Key, Woken> left;
  {
    std::lock_guard lock(mutex_);
    left.swap(waiters_);
    waiting_.store(0);
  }
  for (auto& [key, woken] : left) woken(Outcome::kStopped);
}

}  // namespace headrace::serving

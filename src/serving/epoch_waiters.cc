#include "serving/epoch_waiters.h"

#include <vector>

namespace headrace::serving {

base::Result<void> EpochWaiters::Wait(base::EpochId epoch, std::chrono::milliseconds deadline,
                                      std::optional<uint64_t> held_bytes, Woken woken) {
  constexpr uint64_t kWaiterBytes = 1024;  // of itself, and what small things it holds
  base::MemoryCharge charge;
  if (held_bytes) {
    HR_TRY(charge, Charge(kWaiterBytes + *held_bytes));
  }
  Key key;
  {
    std::lock_guard lock(mutex_);
    if (held_bytes && waiters_.size() >= limits_.waiters_max)
      return base::Fail(base::ErrorCode::kResourceExhausted,
                        "too many requests wait for an epoch: ask again without min_epoch");
    key = {epoch, next_++};
    std::optional<env::MonotonicTime> until;
    if (deadline != std::chrono::milliseconds::max()) until = clock_.Now() + deadline;
    waiters_.emplace(key, Waiter{std::move(charge), std::move(woken), until});
    waiting_.store(waiters_.size());
    if (until) deadlines_.emplace(*until, key);
    if (until) SetTimer(*until);
  }
  // MarkVisible stores first and counts then; this counts first and looks then: one of the two sees
  // the other.
  if (stopped_.load()) {
    Wake(key, Outcome::kStopped);
  } else if (visible_.load() >= epoch.value) {
    Wake(key, Outcome::kVisible);
  }
  return {};
}

// One that is posted for no later than `at` looks then.
void EpochWaiters::SetTimer(env::MonotonicTime at) {
  if (!timers_.empty() && *timers_.begin() <= at) return;
  timers_.insert(at);
  executor_.PostAt(at, [weak = weak_from_this(), at] {
    if (const auto self = weak.lock()) self->OnTimer(at);
  });
}

void EpochWaiters::OnTimer(env::MonotonicTime at) {
  std::vector<Key> due;
  {
    const std::lock_guard lock(mutex_);
    timers_.erase(at);
    const env::MonotonicTime now = clock_.Now();
    auto next = deadlines_.begin();
    for (; next != deadlines_.end() && next->first <= now; ++next) due.push_back(next->second);
    if (next != deadlines_.end()) SetTimer(next->first);
  }
  for (const Key& key : due) Wake(key, Outcome::kTooLate);
}

base::Result<base::MemoryCharge> EpochWaiters::Charge(uint64_t bytes) {
  if (budget_ == nullptr) return base::MemoryCharge();
  if (budget_->in_use_bytes() + bytes + limits_.left_bytes > budget_->limit_bytes())
    return base::Fail(base::ErrorCode::kResourceExhausted,
                      "no memory is left for a request that waits: ask again");
  return budget_->TryCharge(base::MemoryAccount::kReplies, bytes);
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
  Waiter waiter;
  {
    std::lock_guard lock(mutex_);
    auto node = waiters_.extract(key);
    waiting_.store(waiters_.size());
    if (node.empty()) return;
    waiter = std::move(node.mapped());
    if (waiter.until) deadlines_.erase({*waiter.until, key});
  }
  executor_.Post([self = shared_from_this(), waiter = std::move(waiter), outcome]() mutable {
    self->Run(std::move(waiter), outcome);
  });
}

void EpochWaiters::Run(Waiter waiter, Outcome outcome) {
  std::lock_guard lock(running_);
  waiter.woken(stopped_.load() ? Outcome::kStopped : outcome);
}

void EpochWaiters::Stop() {
  stopped_.store(true);
  std::lock_guard running(running_);
  std::map<Key, Waiter> left;
  {
    std::lock_guard lock(mutex_);
    left.swap(waiters_);
    deadlines_.clear();
    waiting_.store(0);
  }
  for (auto& [key, waiter] : left) waiter.woken(Outcome::kStopped);
}

}  // namespace headrace::serving

#include "serving/epoch_waiters.h"

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
    waiters_.emplace(key, Waiter{std::move(charge), std::move(woken)});
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
  return {};
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
    waiting_.store(0);
  }
  for (auto& [key, waiter] : left) waiter.woken(Outcome::kStopped);
}

}  // namespace headrace::serving

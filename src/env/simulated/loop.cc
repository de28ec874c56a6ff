#include "env/simulated/loop.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/result.h"

namespace headrace::env::simulated {

class SimulatedExecutor final : public Executor {
 public:
  SimulatedExecutor(Loop& loop, std::shared_ptr<Loop::Mailbox> mailbox)
      : loop_(loop), mailbox_(std::move(mailbox)) {}
  ~SimulatedExecutor() override { loop_.Close(mailbox_); }
  void Post(Task task) override { loop_.Post(*mailbox_, std::move(task)); }
  void PostAt(MonotonicTime time, Task task) override {
    loop_.PostAt(time, mailbox_, std::move(task), false);
  }
  const std::shared_ptr<Loop::Mailbox>& mailbox() const { return mailbox_; }

 private:
  Loop& loop_;
  const std::shared_ptr<Loop::Mailbox> mailbox_;
};

MonotonicTime Loop::Draw(MonotonicTime from, MonotonicTime to) {
  const auto width = static_cast<uint64_t>((to - from).count()) + 1;
  return from + MonotonicTime(random_() % width);
}

void Loop::Trace(uint64_t value) { trace_ = base::Mix64(trace_ ^ value) + 1; }

std::unique_ptr<Executor> Loop::NewExecutor(std::string name) {
  mailboxes_.push_back(std::make_shared<Mailbox>(Mailbox{std::move(name), {}}));
  return std::make_unique<SimulatedExecutor>(*this, mailboxes_.back());
}

void Loop::Post(Mailbox& mailbox, Task task) {
  if (!dead_) mailbox.ready.push_back(std::move(task));
}

void Loop::PostAt(MonotonicTime time, const MailboxRef& mailbox, Task task, bool is_reply) {
  if (dead_) return;
  if (is_reply) ++mailbox->replies_on_their_way;
  events_.emplace(time, Event{mailbox, std::move(task), is_reply});
}

void Loop::ReplyAt(MonotonicTime time, Executor& executor, Task task) {
  PostAt(time, static_cast<SimulatedExecutor&>(executor).mailbox(), std::move(task), true);
}

void Loop::CollectDue() {
  while (!events_.empty() && events_.begin()->first <= now_) {
    Event event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    const MailboxRef mailbox = event.mailbox.lock();
    if (mailbox == nullptr) continue;
    if (event.is_reply) --mailbox->replies_on_their_way;
    mailbox->ready.push_back(std::move(event.task));
  }
}

Loop::MailboxRef Loop::PickReady() {
  std::vector<MailboxRef> ready;
  for (const MailboxRef& mailbox : mailboxes_)
    if (!mailbox->running && !mailbox->ready.empty()) ready.push_back(mailbox);
  if (ready.empty()) return nullptr;
  const size_t choice = random_() % ready.size();
  Trace(choice + ready.size() * 16 + static_cast<uint64_t>(now_.count()) * 1024);
  return ready[choice];
}

void Loop::RunOne(Mailbox& mailbox) {
  Task task = std::move(mailbox.ready.front());
  mailbox.ready.pop_front();
  mailbox.running = true;
  try {
    task();
  } catch (const SimulatedCrash&) {
    HR_CHECK(dead_, "a crash that killed nobody");
  }
  task = nullptr;
  mailbox.running = false;
}

bool Loop::Step() {
  if (dead_) return false;
  CollectDue();
  MailboxRef mailbox = PickReady();
  while (mailbox == nullptr && !events_.empty()) {
    now_ = std::max(now_, events_.begin()->first);
    CollectDue();
    mailbox = PickReady();
  }
  if (mailbox == nullptr) return false;
  RunOne(*mailbox);
  now_ += Draw(std::chrono::microseconds(1), std::chrono::microseconds(40));
  return !dead_;
}

bool Loop::busy() const {
  if (dead_) return false;
  return std::any_of(mailboxes_.begin(), mailboxes_.end(), [](const MailboxRef& mailbox) {
    return !mailbox->ready.empty() || mailbox->replies_on_their_way > 0;
  });
}

void Loop::Die() {
  dead_ = true;
  // What tasks hold is freed after the containers are empty: their destructors may post.
  auto events = std::exchange(events_, {});
  for (const MailboxRef& mailbox : std::vector(mailboxes_))
    auto dropped = std::exchange(mailbox->ready, {});
}

void Loop::Close(const MailboxRef& mailbox) {
  HR_CHECK(!mailbox->running || dead_, "an executor destroyed by its own task");
  while (!dead_ && (!mailbox->ready.empty() || mailbox->replies_on_their_way > 0))
    HR_CHECK(Step() || dead_, "a reply that never comes");
  std::erase(mailboxes_, mailbox);
}

}  // namespace headrace::env::simulated

#include "wiring/end_to_end.h"

namespace headrace::wiring {

void EndToEnd::NoteDurable(base::EpochId epoch, env::MonotonicTime accepted,
                           env::MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  const Batch batch{epoch, accepted};
  if (epoch <= visible_) {
    Count(batch, now);
  } else {
    waiting_.push_back(batch);
  }
}

void EndToEnd::NoteVisible(base::EpochId epoch, env::MonotonicTime now) {
  const std::lock_guard lock(mutex_);
  visible_ = epoch;
  while (!waiting_.empty() && waiting_.front().epoch <= epoch) {
    Count(waiting_.front(), now);
    waiting_.pop_front();
  }
}

}  // namespace headrace::wiring

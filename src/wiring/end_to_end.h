#pragma once
// Measures accept -> visible for every batch, the time that a promise is about; beside it the
// stages it is made of.

#include <deque>
#include <mutex>

#include "base/histogram.h"
#include "base/ids.h"
#include "env/clock.h"

namespace headrace::wiring {

// Thread-safe. A batch is noted when it is acknowledged and counted when its epoch becomes visible.
class EndToEnd {
 public:
  // The batch accepted at `accepted`, in `epoch`, is durable.
  void NoteDurable(base::EpochId epoch, env::MonotonicTime accepted, env::MonotonicTime now);
  void NoteVisible(base::EpochId epoch, env::MonotonicTime now);
  // Microseconds from accepted to visible, once a batch.
  const base::Histogram& visible_us() const { return visible_us_; }

 private:
  struct Batch {
    base::EpochId epoch;
    env::MonotonicTime accepted;
  };
  void Count(const Batch& batch, env::MonotonicTime now) {
    visible_us_.Record(static_cast<uint64_t>((now - batch.accepted).count()) / 1000);
  }

  base::Histogram visible_us_;
  std::mutex mutex_;
  base::EpochId visible_;
  std::deque<Batch> waiting_;  // bounded by what the applier lets be behind
};

}  // namespace headrace::wiring

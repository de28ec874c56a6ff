#pragma once
// What one measurement is, and what it finds: some producers, each with one batch under way, send
// the next as soon as the last is acknowledged (a closed loop), for a fixed time; longer only where
// there was hardly one in that time.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace headrace::bench {

using SteadyClock = std::chrono::steady_clock;

inline constexpr size_t kBatchesOfEach = 4;  // of every producer, at least

struct Load {
  int producers = 1;
  size_t event_bytes = 100;
  size_t batch_events = 1;
  std::chrono::duration<double> warm_up{0.3};  // sent, not counted
  std::chrono::duration<double> measured{1.5};
};

// The acknowledged batches of a measurement. Not thread-safe; Merge joins those of several threads.
class Outcome {
 public:
  explicit Outcome(const Load& load)
      : counts_from_(SteadyClock::now() +
                     std::chrono::duration_cast<SteadyClock::duration>(load.warm_up)),
        ends_at_(counts_from_ + std::chrono::duration_cast<SteadyClock::duration>(load.measured)) {}

  // Whether enough is known: the time is over, and there are `batches_wanted` (or it takes for
  // ever).
  bool Ended(SteadyClock::time_point now, size_t batches_wanted) const;
  // Counts when the acknowledgement came after the warm-up.
  void Acknowledged(SteadyClock::time_point sent, SteadyClock::time_point now);
  // A refusal, a short acknowledgement, a lost connection: the first is kept, and the run is void.
  void Failed(std::string reason);
  bool failed() const { return !error_.empty(); }
  void Merge(const Outcome& other);
  // One JSON line; false when the run is void.
  bool Print(const Load& load, std::FILE* out) const;

 private:
  SteadyClock::time_point counts_from_;
  SteadyClock::time_point ends_at_;
  SteadyClock::time_point last_at_;  // when the last that counts was acknowledged
  std::vector<double> latencies_ms_;
  std::string error_;
};

}  // namespace headrace::bench

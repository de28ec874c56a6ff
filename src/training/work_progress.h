#pragma once
// How far training or verification is: written by whoever does the work, read by whoever waits for
// it.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace headrace::training {

// One step of the work, at one moment.
struct WorkFigures {
  uint64_t number = 0;  // of the step, from 1; 0: nothing has begun
  std::string doing;    // "reading payments", for people
  std::string one;      // what is counted: "row"
  uint64_t done = 0;
  std::optional<uint64_t> total;  // when it is known
};

// Thread-safe.
class WorkProgress {
 public:
  void Begin(std::string doing, std::string one, std::optional<uint64_t> total) {
    const std::lock_guard lock(mutex_);
    now_ = {now_.number + 1, std::move(doing), std::move(one), 0, total};
  }
  // So many more of the step.
  void Note(uint64_t done) {
    const std::lock_guard lock(mutex_);
    now_.done += done;
  }
  WorkFigures figures() const {
    const std::lock_guard lock(mutex_);
    return now_;
  }

 private:
  mutable std::mutex mutex_;
  WorkFigures now_;
};

}  // namespace headrace::training

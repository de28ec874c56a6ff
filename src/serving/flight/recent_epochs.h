#pragma once
// The newest epochs, kept in memory while somebody follows them, so that who keeps up reads no
// file. Whoever falls behind reads the log.

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/ids.h"
#include "log/epoch.h"

namespace headrace::serving {

// Thread-safe.
class RecentEpochs {
 public:
  // Named limits: at either, the oldest are let go.
  static constexpr size_t kEpochsMax = 4096;
  static constexpr uint64_t kBytesMax = 8ULL << 20;  // of rows

  // Every epoch, in order. Costs a look at a number when nobody follows.
  void Note(const log::EpochRef& epoch);
  // Those of [first, last], if all are here; else none. They have their id, clock and rows.
  std::vector<log::EpochRef> Find(base::EpochId first, base::EpochId last) const;

  // Epochs are kept while one of these lives.
  class Follower {
   public:
    explicit Follower(RecentEpochs& epochs) : epochs_(epochs) { epochs_.followers_.fetch_add(1); }
    ~Follower();
    Follower(const Follower&) = delete;

   private:
    RecentEpochs& epochs_;
  };

 private:
  std::atomic<size_t> followers_{0};
  mutable std::mutex mutex_;  // guards the next two
  std::deque<log::EpochRef> epochs_;
  uint64_t bytes_ = 0;
};

}  // namespace headrace::serving

#pragma once
// What histograms recorded lately, so that a status tells of now: neither does a bad minute stay in
// its percentiles for ever, nor does a good history hide it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "env/environment.h"

namespace headrace::watch {

// What one histogram recorded between two moments. A value of 30 KiB.
class RecentSamples {
 public:
  RecentSamples() : earlier_(std::make_unique<base::Histogram::Counts>()), later_(earlier_) {}
  // From `earlier` to now.
  RecentSamples(std::shared_ptr<const base::Histogram::Counts> earlier, const base::Histogram& now);

  uint64_t count() const;
  // As Histogram::Quantile; of 1 it is the longest.
  uint64_t Quantile(double q) const;

 private:
  std::shared_ptr<const base::Histogram::Counts> earlier_, later_;
  uint64_t max_ = 0;
};

// One moment of a RecentTimes.
class RecentFigures {
 public:
  base::Duration span{0};  // the window
  std::map<const base::Histogram*, RecentSamples> samples;

  // No samples of one that nobody watches.
  RecentSamples Of(const base::Histogram& histogram) const;
};

struct RecentTimesOptions {
  env::MonotonicTime copy_every = std::chrono::seconds(30);
  size_t copies = 4;  // that are kept of each histogram, 15 KiB each: the window is 90 to 120 s
};

// Copies the histograms' counts now and then, from Make to the destructor, on a background executor
// of its own; those who record are not held up. figures() from any thread.
class RecentTimes {
 public:
  // `environment` and the histograms outlive it.
  static std::unique_ptr<RecentTimes> Make(env::Environment& environment,
                                           std::vector<const base::Histogram*> watched,
                                           RecentTimesOptions options = {});
  virtual ~RecentTimes() = default;
  // Of the window from the oldest copy to now; in the first one, from Make on.
  virtual RecentFigures figures() const = 0;
};

}  // namespace headrace::watch

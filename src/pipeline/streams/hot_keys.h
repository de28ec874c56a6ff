#pragma once
// Skew: the keys that take a large share of a stream's rows now. For people (status), so it goes by
// the monotonic clock and by a sample, and is no part of the state.

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "columns/batch.h"
#include "columns/key.h"
#include "env/clock.h"
#include "pipeline/streams/frequent_numbers.h"

namespace headrace::pipeline {

struct HotKey {
  columns::KeyBytes key;
  double share = 0;  // of the rows of a period, 0 to 1
};

// Note on the applier's thread, Newest from any.
class HotKeys {
 public:
  static constexpr double kShareMin = 0.05;
  // A key is named at the end of the first whole period in which it is hot: within two.
  static constexpr env::MonotonicTime kPeriod = std::chrono::seconds(5);
  // With fewer rows looked at in a period a share says nothing.
  static constexpr uint64_t kSampledMin = 1000;
  // Looked at in a period, about: an error of 0.15 % of the rows at three standard deviations.
  static constexpr uint64_t kSampleRows = 200'000;
  // A period ends early when so many were: the rate has grown.
  static constexpr uint64_t kSampledMax = 2 * kSampleRows;

  explicit HotKeys(std::vector<size_t> by) : by_(std::move(by)) {}

  // One of the two, always the same. A key that was forgotten within the period, and the one that
  // has its number now, count as one. `numbers` gives, by row number, the keys of `rows` of the
  // batch.
  void Note(const columns::ColumnBatch& batch, std::span<const uint32_t> rows,
            std::span<const uint32_t> numbers, env::MonotonicTime now);
  // All rows of the batch, by the hashes of their keys: nobody has numbered them. A row with a NULL
  // in the key counts as a row, and is of no key.
  void Note(const columns::ColumnBatch& batch, env::MonotonicTime now);

  // Of the last whole period, the hottest first; none when that ended more than two periods ago.
  std::vector<HotKey> Newest(env::MonotonicTime now) const;

 private:
  template <typename F>
  void ForSampled(size_t rows, env::MonotonicTime now, F f);
  bool Sample(uint32_t number);
  void EndPeriod(env::MonotonicTime now);
  uint64_t NextStep();

  const std::vector<size_t> by_;
  FrequentNumbers sampled_;
  std::unordered_map<uint32_t, columns::KeyBytes> names_;  // of those that may be hot
  env::MonotonicTime began_{0};
  uint64_t rows_ = 0;    // of this period
  uint64_t one_of_ = 1;  // rows, on average
  uint64_t skip_ = 0;    // rows to the next one that is looked at
  uint64_t random_ = 0x2545f4914f6cdd1dULL;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<HotKey> newest_;
  env::MonotonicTime newest_at_{0};
};

}  // namespace headrace::pipeline

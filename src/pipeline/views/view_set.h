#pragma once
// Online state: all views of a pipeline, S(n) = apply(S(n-1), epoch n). One thread applies; any
// thread reads under a pin.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "log/epoch.h"
#include "pipeline/definition.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/hot_keys.h"
#include "pipeline/views/row_answers.h"

namespace headrace::pipeline {

class ViewSet;

// A reader's hold on one version of all views. Short-lived (under 5 ms, else it may be revoked).
// Not copyable; ends with its scope.
class Pin {
 public:
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&&) = delete;
  ~Pin();
  base::EpochId epoch() const { return epoch_; }
  // The epoch's log clock.
  base::Timestamp clock() const { return clock_; }
  // True when the applier took the version away: everything read under this pin must be thrown away
  // (kUnavailable, retry).
  bool revoked() const;

 private:
  friend class ViewSet;
  friend class ViewCapture;
  Pin(ViewSet* views, size_t slot, base::EpochId epoch, base::Timestamp clock)
      : views_(views), slot_(slot), epoch_(epoch), clock_(clock) {}
  ViewSet* views_;
  size_t slot_;
  base::EpochId epoch_;
  base::Timestamp clock_;
};

struct ViewStatus {
  std::string name;
  uint64_t keys = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  std::vector<HotKey> hot_keys;
};

class ViewSet {
 public:
  static constexpr size_t kPinsMax = 256;  // readers at once; more get kResourceExhausted
  static constexpr env::MonotonicTime kPinLifetime = std::chrono::milliseconds(5);

  ViewSet(PipelineRef definition, base::MemoryBudget& budget, env::Clock& clock);
  ~ViewSet();
  ViewSet(const ViewSet&) = delete;

  // Says which of the log's streams is the definition's stream `stream`; rows of unbound streams
  // are no rows of any view. Applier thread only, before an epoch with that stream's rows is
  // applied; binding again to the same id is allowed.
  void BindStream(size_t stream, base::StreamId id);
  // Applies epochs in order as one step and makes the last one visible. Applier thread only. Never
  // waits for readers.
  void Apply(std::span<const log::EpochRef> epochs);
  // From the next Apply on, `reader` is told the outputs of `view` as of each of its rows, when the
  // row has just been applied; null ends it. Outlives the view set, or is replaced. Applier thread
  // only; each epoch's answers come before the epoch is visible.
  void AnswerRows(size_t view, RowAnswerReader* reader);
  // True when Apply would overwrite a version that a reader holds; the applier then gathers more
  // epochs and asks again. After kPinLifetime it revokes those pins and answers false. Applier
  // thread only.
  bool HeldByReaders();

  // Pins the newest visible epoch. Errors: kResourceExhausted (kPinsMax), kUnavailable (nothing
  // visible yet).
  base::Result<Pin> PinNewest();
  base::EpochId visible() const;
  // The key's features. `view` indexes the definition's views; `key` is columns::KeyBytes of its
  // `by` fields. as_of must be >= pin.clock() - the view's history, else kFailedPrecondition (ask
  // the offline path). The answer is worthless if pin.revoked() afterwards.
  base::Result<ViewAnswer> Get(const Pin& pin, size_t view, std::string_view key,
                               base::Timestamp as_of) const;

  std::vector<ViewStatus> status() const;
  std::vector<DerivedStreamStatus> derived_status() const;
  // Bytes of keys, rows and versions of dimensions.
  uint64_t bytes() const;
  const PipelineDefinition& definition() const;
  // Demo and tests only: flips the lowest bit of a stored argument of the key's newest row, so that
  // verification has something to find. kNotFound when the key has no rows.
  base::Result<void> CorruptForDemonstration(size_t view, std::string_view key);

 private:
  friend class Pin;
  friend class ViewCapture;
  friend class ViewRestore;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::pipeline

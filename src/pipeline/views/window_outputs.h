#pragma once
// From accumulated rows to a view's answer: the one place where values become statuses, online and
// offline.

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "pipeline/aggregates/accumulator.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/row_answers.h"

namespace headrace::pipeline {

// What is in each window of a view with an additive plan, instead of what follows from it: a
// SlotPartial a slot and window. `fit`: they hold it.
struct WindowSums {
  size_t slots;
  std::vector<SlotPartial> partials;
  bool fit = true;

  SlotPartial* Of(size_t window) { return partials.data() + window * slots; }
};

// Immutable; any thread may use it.
class WindowOutputs {
 public:
  // `view` outlives it.
  explicit WindowOutputs(const ViewDefinition& view);

  // Windows to be answered, ascending; a lifetime view has one that reaches back for ever.
  size_t windows() const { return outputs_.size(); }
  // Rows with this event time or an earlier one are not in the window.
  int64_t EdgeOf(size_t window, base::Timestamp as_of) const;

  // Null values and NOT_FOUND for every output.
  ViewAnswer NotFound() const;
  // Fills the outputs of `window` from `rows`, which holds exactly the window's rows.
  void Write(size_t window, Accumulators& rows, ViewAnswer& answer) const;
  void Write(size_t window, Accumulators& rows, RowAnswers::Row& answer) const;
  void Write(size_t window, const Accumulators& rows, WindowSums& sums) const {
    sums.fit &= rows.WritePartials({sums.Of(window), sums.slots});
  }
  // The same from the sums of an additive plan.
  void WriteSums(size_t window, const AggregatePlan& plan, const SlotPartial* sums,
                 RowAnswers::Row& answer) const;
  // Sets the event time of the key's newest row, and OUTSIDE_MAX_AGE when it is older than the
  // view's ttl.
  void WriteEventTime(base::Timestamp newest, base::Timestamp as_of, ViewAnswer& answer) const;

  // Of a row that counts itself, as of its own time: it is never too old.
  void WriteEventTime(base::Timestamp newest, base::Timestamp /*as_of*/,
                      RowAnswers::Row& answer) const {
    answer.SetEventTime(newest);
  }
  void WriteEventTime(base::Timestamp, base::Timestamp, WindowSums&) const {}

 private:
  // 0 of a lifetime view.
  base::Duration LengthOf(size_t window) const;

  const ViewDefinition* view_;
  std::vector<std::vector<size_t>> outputs_;  // by window
};

// The plan of a view's features over its arguments.
AggregatePlan PlanOf(const ViewDefinition& view);

}  // namespace headrace::pipeline

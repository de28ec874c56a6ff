#pragma once
// From accumulated rows to a view's answer: the one place where values become statuses, online and
// offline.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "pipeline/aggregates/accumulator.h"
#include "pipeline/aggregates/additive_sums.h"
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

  // Windows to be answered; a view without windows has one that reaches back for ever.
  size_t windows() const { return outputs_.size(); }
  // A pass over rows, from the newest at or before its end to the oldest that a window needs,
  // answers some of them: each is the one before it and more rows.
  size_t passes() const { return passes_.size(); }
  std::span<const size_t> WindowsOf(size_t pass) const { return passes_[pass]; }
  // Rows with a later event time are not in the windows of the pass.
  int64_t EndOf(size_t pass, base::Timestamp as_of) const;
  // Rows with this event time or an earlier one are not in the window.
  int64_t EdgeOf(size_t window, base::Timestamp as_of) const {
    if (slides_ && !view_->precision) return (as_of - view_->windows[window].length).us;
    return EdgeOfAnyKind(window, as_of);
  }
  // At or before that, by less than the precision: for whoever only asks for memory.
  int64_t NearEdgeOf(size_t window, base::Timestamp as_of) const {
    return slides_ ? (as_of - view_->windows[window].length).us : EdgeOfAnyKind(window, as_of);
  }
  // Null for the one that reaches back for ever.
  const Window* KindOf(size_t window) const {
    return view_->lifetime() ? nullptr : &view_->windows[window];
  }
  // All windows are sliding ones that end at as_of.
  bool slides() const { return slides_; }
  // No window ends with a number of rows or a gap between them.
  bool bounded_by_time() const { return bounded_by_time_; }
  // They begin at multiples of it.
  bool has_precision() const { return view_->precision.has_value(); }

  // Null values and NOT_FOUND for every output.
  ViewAnswer NotFound() const;
  // Room for every output, each of which is to be written.
  ViewAnswer Unwritten() const {
    ViewAnswer answer;
    answer.values.resize(view_->outputs.size());
    answer.statuses.resize(view_->outputs.size());
    return answer;
  }
  // Fills the outputs of `window` from `rows`, which holds exactly the window's rows.
  void Write(size_t window, Accumulators& rows, ViewAnswer& answer) const;
  void Write(size_t window, Accumulators& rows, RowAnswers::Row& answer) const;
  // The same for a window of the rows that `same`, which was written, has.
  void Repeat(size_t same, size_t window, Accumulators& rows, ViewAnswer& answer) const;
  void Write(size_t window, const AdditiveSums& rows, WindowSums& sums) const {
    std::ranges::copy(rows.sums(), sums.Of(window));
    sums.fit &= rows.fit();
  }
  // The same from the sums of an additive plan, of which AdditiveFeatures are the outputs'.
  std::vector<AdditiveFeature> AdditiveFeatures(const AggregatePlan& plan) const;
  void WriteSums(size_t window, std::span<const AdditiveFeature> features, const SlotPartial* sums,
                 RowAnswers::Row& answer) const;
  // Sets the event time of the key's newest row, and OUTSIDE_MAX_AGE when it is older than the
  // view's ttl; of a key that is forgotten (ViewDefinition::forgets_after) nothing and NOT_FOUND.
  void WriteEventTime(base::Timestamp newest, base::Timestamp as_of, ViewAnswer& answer) const;

  void WriteEventTime(base::Timestamp newest, base::Timestamp as_of,
                      RowAnswers::Row& answer) const {
    if (IsForgotten(newest, as_of)) return answer.SetNotFound();
    answer.SetEventTime(newest);
    if (view_->ttl && newest + *view_->ttl < as_of) answer.SetOutsideMaxAge();
  }

 private:
  bool IsForgotten(base::Timestamp newest, base::Timestamp as_of) const {
    return forgets_after_ && newest + *forgets_after_ <= as_of;
  }
  int64_t EdgeOfAnyKind(size_t window, base::Timestamp as_of) const;
  // 0 without a window.
  base::Duration LengthOf(size_t window) const;

  const ViewDefinition* view_;
  std::vector<std::vector<size_t>> outputs_;  // by window
  bool repeatable_ = false;  // windows have the same features, whose results are of the rows alone
  std::vector<std::vector<size_t>> passes_;  // their windows
  bool slides_;
  bool bounded_by_time_;
  std::optional<base::Duration> forgets_after_;
};

// The plan of a view's features over its arguments.
AggregatePlan PlanOf(const ViewDefinition& view);

}  // namespace headrace::pipeline

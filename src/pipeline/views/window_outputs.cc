#include "pipeline/views/window_outputs.h"

#include <algorithm>
#include <utility>

#include "pipeline/aggregates/additive_sums.h"

namespace headrace::pipeline {
namespace {

FeatureStatus StatusOf(const AggregateResult& result) {
  if (result.range == AggregateResult::Range::kOutside) return FeatureStatus::kInvalid;
  return result.value.is_null() ? FeatureStatus::kNullValue : FeatureStatus::kPresent;
}

bool EndsAtAsOfAndSlides(const Window& window) {
  return window.kind == Window::Kind::kSliding && window.ending.count() == 0;
}

bool EndsWithRows(const Window& window) {
  return window.kind == Window::Kind::kLastRows || window.is_session();
}

// Sliding windows hold each other, and so do the last rows; any other window has a pass to itself.
std::vector<std::vector<size_t>> PassesOf(const ViewDefinition& view) {
  std::vector<std::vector<size_t>> passes;
  if (view.lifetime()) return {{0}};
  const auto nested = [&](Window::Kind kind, auto size) {
    std::vector<size_t> pass;
    for (size_t w = 0; w < view.windows.size(); ++w)
      if (view.windows[w].kind == kind) pass.push_back(w);
    std::ranges::sort(pass, {}, [&](size_t w) { return view.windows[w].*size; });
    if (!pass.empty()) passes.push_back(std::move(pass));
  };
  nested(Window::Kind::kSliding, &Window::length);
  nested(Window::Kind::kLastRows, &Window::rows);
  for (size_t w = 0; w < view.windows.size(); ++w)
    if (view.windows[w].kind != Window::Kind::kSliding &&
        view.windows[w].kind != Window::Kind::kLastRows)
      passes.push_back({w});
  return passes;
}

// A rate is by the length of its window.
bool AreRepeatable(const ViewDefinition& view, const std::vector<std::vector<size_t>>& outputs) {
  const auto feature = [&](size_t output) { return view.outputs[output].feature; };
  const auto is_rate = [](const AggregateSpec& spec) { return spec.kind == AggregateKind::kRate; };
  return std::ranges::none_of(view.features, is_rate) &&
         std::ranges::all_of(outputs, [&](const std::vector<size_t>& window) {
           return std::ranges::equal(window, outputs.front(), {}, feature, feature);
         });
}

}  // namespace

AggregatePlan PlanOf(const ViewDefinition& view) {
  std::vector<columns::Type> types;
  for (const Expression& argument : view.arguments) types.push_back(argument.type());
  return AggregatePlan(view.features, types,
                       view.last_rows() > 0 ? AggregatePlan::RowCounts::kNeeded
                                            : AggregatePlan::RowCounts::kNotNeeded);
}

WindowOutputs::WindowOutputs(const ViewDefinition& view)
    : view_(&view),
      outputs_(std::max<size_t>(1, view.windows.size())),
      passes_(PassesOf(view)),
      slides_(!view.lifetime() && std::ranges::all_of(view.windows, &EndsAtAsOfAndSlides)),
      bounded_by_time_(view.lifetime() || std::ranges::none_of(view.windows, &EndsWithRows)),
      forgets_after_(view.forgets_after()) {
  for (size_t i = 0; i < view.outputs.size(); ++i)
    outputs_[view.lifetime() ? 0 : view.outputs[i].window].push_back(i);
  repeatable_ = AreRepeatable(view, outputs_);
}

int64_t WindowOutputs::EndOf(size_t pass, base::Timestamp as_of) const {
  const Window* window = KindOf(passes_[pass].front());
  return window == nullptr || slides_ ? as_of.us : BoundsOf(*window, as_of).until;
}

int64_t WindowOutputs::EdgeOfAnyKind(size_t window, base::Timestamp as_of) const {
  const Window* kind = KindOf(window);
  return kind == nullptr ? base::Timestamp::Min().us : BoundsOf(*kind, as_of).after;
}

base::Duration WindowOutputs::LengthOf(size_t window) const {
  return view_->lifetime() ? base::Duration(0) : view_->windows[window].length;
}

ViewAnswer WindowOutputs::NotFound() const {
  ViewAnswer answer;
  answer.values.reserve(view_->outputs.size());
  for (const OutputFeature& output : view_->outputs)
    answer.values.push_back(columns::Value::Null(output.type));
  answer.statuses.assign(view_->outputs.size(), FeatureStatus::kNotFound);
  return answer;
}

void WindowOutputs::Write(size_t window, Accumulators& rows, ViewAnswer& answer) const {
  for (const size_t output : outputs_[window]) {
    AggregateResult result = rows.Result(view_->outputs[output].feature, LengthOf(window));
    answer.statuses[output] = StatusOf(result);
    answer.values[output] = std::move(result.value);
  }
}

void WindowOutputs::Repeat(size_t same, size_t window, Accumulators& rows,
                           ViewAnswer& answer) const {
  if (!repeatable_) return Write(window, rows, answer);
  const std::span<const size_t> from = outputs_[same];
  const std::span<const size_t> to = outputs_[window];
  for (size_t i = 0; i < to.size(); ++i) {
    answer.statuses[to[i]] = answer.statuses[from[i]];
    answer.values[to[i]] = answer.values[from[i]];
  }
}

void WindowOutputs::Write(size_t window, Accumulators& rows, RowAnswers::Row& answer) const {
  for (const size_t output : outputs_[window]) {
    AggregateResult result = rows.Result(view_->outputs[output].feature, LengthOf(window));
    const FeatureStatus status = StatusOf(result);
    answer.Set(output, status, std::move(result.value));
  }
}

std::vector<AdditiveFeature> WindowOutputs::AdditiveFeatures(const AggregatePlan& plan) const {
  std::vector<AdditiveFeature> features;
  features.reserve(view_->outputs.size());
  for (const OutputFeature& output : view_->outputs)
    features.emplace_back(plan, output.feature, LengthOf(output.window));
  return features;
}

void WindowOutputs::WriteSums(size_t window, std::span<const AdditiveFeature> features,
                              const SlotPartial* sums, RowAnswers::Row& answer) const {
  constexpr FeatureStatus kStatuses[] = {FeatureStatus::kPresent, FeatureStatus::kNullValue,
                                         FeatureStatus::kInvalid};  // by AdditiveResult::Kind
  for (const size_t output : outputs_[window]) {
    const AdditiveResult result = features[output].Of(sums);
    answer.SetCell(output, kStatuses[static_cast<size_t>(result.kind)], result.cell);
  }
}

void WindowOutputs::WriteEventTime(base::Timestamp newest, base::Timestamp as_of,
                                   ViewAnswer& answer) const {
  if (IsForgotten(newest, as_of)) {
    answer = NotFound();
    return;
  }
  answer.event_time = newest;
  if (!view_->ttl || newest + *view_->ttl >= as_of) return;
  std::fill(answer.statuses.begin(), answer.statuses.end(), FeatureStatus::kOutsideMaxAge);
}

}  // namespace headrace::pipeline

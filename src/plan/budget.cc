#include "plan/budget.h"

#include <algorithm>

namespace headrace::plan {
namespace {

using State = StageVerdict::State;

base::Duration At(const base::Histogram& histogram, double quantile) {
  return base::Duration(static_cast<int64_t>(histogram.Quantile(quantile)));
}

bool IsMeasured(const base::Histogram* histogram) {
  return histogram != nullptr && histogram->count() > 0;
}

StageVerdict VerdictOf(base::Duration given, base::Duration measured) {
  return {given, measured, measured <= given ? State::kKept : State::kSlipped};
}

}  // namespace

std::string_view NameOf(Stage stage) {
  constexpr std::array<std::string_view, kStages> kNames = {"ingest", "transform", "serve"};
  return kNames[static_cast<size_t>(stage)];
}

std::string_view NameOf(State state) {
  constexpr std::array<std::string_view, 3> kNames = {"unmeasured", "kept", "slipped"};
  return kNames[static_cast<size_t>(state)];
}

LatencyBudget DivideBudget(const pipeline::PromiseDefinition& promise) {
  LatencyBudget budget;
  budget.quantile = promise.percentile / 100.0;
  budget.promised = promise.budget;
  for (const auto& [name, spent] : promise.outside) budget.outside += spent;
  budget.ours = std::max(base::Duration(0), budget.promised - budget.outside);
  budget.given.fill(budget.ours / static_cast<int64_t>(kStages));
  return budget;
}

PromiseVerdict Judge(const LatencyBudget& budget, const StageMeasurements& measured) {
  PromiseVerdict verdict;
  const std::array<const base::Histogram*, kStages> stages = {measured.ingest, measured.transform,
                                                              measured.serve};
  for (size_t i = 0; i < kStages; ++i) {
    verdict.stages[i].given = budget.given[i];
    if (IsMeasured(stages[i]))
      verdict.stages[i] = VerdictOf(budget.given[i], At(*stages[i], budget.quantile));
  }
  verdict.together.given = budget.ours;
  if (!IsMeasured(measured.visible)) return verdict;
  base::Duration together = At(*measured.visible, budget.quantile);
  if (IsMeasured(measured.serve)) together += At(*measured.serve, budget.quantile);
  verdict.together = VerdictOf(budget.ours, together);
  return verdict;
}

}  // namespace headrace::plan

#include "plan/budget.h"

#include <algorithm>

namespace headrace::plan {
namespace {

using State = StageVerdict::State;

StageVerdict VerdictOf(base::Duration given, std::optional<base::Duration> measured) {
  if (!measured) return {.given = given};
  return {given, *measured, *measured <= given ? State::kKept : State::kSlipped};
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

PromiseVerdict Judge(const LatencyBudget& budget, const StageTimes& measured) {
  const std::array stages = {measured.ingest, measured.transform, measured.serve};
  PromiseVerdict verdict;
  for (size_t i = 0; i < kStages; ++i) verdict.stages[i] = VerdictOf(budget.given[i], stages[i]);
  std::optional<base::Duration> together = measured.visible;
  if (together && measured.serve) *together += *measured.serve;
  verdict.together = VerdictOf(budget.ours, together);
  return verdict;
}

}  // namespace headrace::plan

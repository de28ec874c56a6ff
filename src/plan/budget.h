#pragma once
// The promise as a cascade: what is spent outside, what is left, which stage may use how much of
// it, and whether it was kept.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/histogram.h"
#include "base/time.h"
#include "pipeline/definition.h"

namespace headrace::plan {

// ingest: accepted -> durable; transform: durable -> visible; serve: a request inside the engine.
enum class Stage : uint8_t { kIngest, kTransform, kServe };
constexpr size_t kStages = 3;
std::string_view NameOf(Stage stage);

// A value; thirds until measurements say better.
struct LatencyBudget {
  double quantile = 0.99;      // of the promise: p99 is 0.99
  base::Duration promised{0};  // whole
  base::Duration outside{0};   // network, model ...
  base::Duration ours{0};      // the rest, never below 0
  std::array<base::Duration, kStages> given{};
};
LatencyBudget DivideBudget(const pipeline::PromiseDefinition& promise);

// Running measurements in microseconds; null: not measured.
struct StageMeasurements {
  const base::Histogram* ingest = nullptr;
  const base::Histogram* transform = nullptr;
  const base::Histogram* serve = nullptr;
  const base::Histogram* visible =
      nullptr;  // accepted -> visible, per batch: ingest and transform as one
};

// At the promise's quantile, of what was recorded in some span; nothing: no event was.
struct StageTimes {
  std::optional<base::Duration> ingest, transform, serve, visible;
};

struct StageVerdict {
  base::Duration given{0};
  base::Duration measured{0};
  enum class State : uint8_t { kUnmeasured, kKept, kSlipped } state = State::kUnmeasured;
};
std::string_view NameOf(StageVerdict::State state);  // "unmeasured", "kept", "slipped"

// Stages may slip while the whole is kept: time that one leaves over is the others'.
struct PromiseVerdict {
  std::array<StageVerdict, kStages> stages;
  // The promise's quantile of accepted -> visible, plus that of serve. Percentiles do not add: this
  // is what both take when both are slow at once, so it is on the careful side unless slow moments
  // coincide.
  StageVerdict together;
};
PromiseVerdict Judge(const LatencyBudget& budget, const StageTimes& measured);

}  // namespace headrace::plan

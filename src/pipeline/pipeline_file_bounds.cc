// Whether what is asked can be kept at all: the budget holds what is outside, the memory holds the
// rows of the windows.
#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

// Event time, position and each argument take 8 bytes a row; texts more, which is why this is a
// bound from below.
constexpr double kRowBytes = 16;
constexpr double kArgumentBytes = 8;

std::string Gibibytes(double bytes) { return fmt::format("{:.1f} GiB", bytes / 0x1p30); }

}  // namespace

void PipelineReader::CheckBudget(const Node& root) {
  const PromiseDefinition& promise = definition_.promise;
  base::Duration outside{0};
  for (const auto& [name, time] : promise.outside) outside += time;
  if (outside < promise.budget) return;
  const YamlNode* node = root.Find("promise");
  report_.Error(DiagnosticCode::kPromiseInfeasible, node->place,
                fmt::format("promise: {} are spent outside, the budget is {}",
                            base::FormatDuration(outside), base::FormatDuration(promise.budget)),
                "raise the budget, or spend less outside");
}

void PipelineReader::CheckMemory(const Node& root) {
  double total = 0;
  double largest = 0;
  std::string why;
  for (const ViewDefinition& view : definition_.views) {
    const auto rate = rows_per_second_.find(definition_.streams[view.stream].name);
    if (view.lifetime() || rate == rows_per_second_.end()) continue;
    const double rows = rate->second * std::chrono::duration<double>(view.horizon()).count();
    const double bytes =
        rows * (kRowBytes + kArgumentBytes * static_cast<double>(view.arguments.size()));
    total += bytes;
    if (bytes <= largest) continue;
    largest = bytes;
    why = fmt::format("view {} alone keeps {:.0f} rows, {}", view.name, rows, Gibibytes(bytes));
  }
  if (total <= static_cast<double>(definition_.memory_bytes)) return;
  const YamlNode* memory = root.Find("memory");
  const YamlNode* views = root.Find("views");
  report_.Error(DiagnosticCode::kMemoryExceeded, (memory != nullptr ? memory : views)->place,
                fmt::format("the views need at least {}, memory is {}: {}", Gibibytes(total),
                            Gibibytes(static_cast<double>(definition_.memory_bytes)), why),
                "shorten windows, raise `memory`, or correct `rate`");
}

}  // namespace headrace::pipeline

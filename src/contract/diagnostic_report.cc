#include "contract/diagnostic_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::contract {

void DiagnosticReport::Error(DiagnosticCode code, const Place& place, std::string message,
                             std::string hint) {
  ++errors_;
  Add(Severity::kError, code, place, std::move(message), std::move(hint));
}

void DiagnosticReport::Warning(DiagnosticCode code, const Place& place, std::string message,
                               std::string hint) {
  Add(Severity::kWarning, code, place, std::move(message), std::move(hint));
}

void DiagnosticReport::Add(Severity severity, DiagnosticCode code, const Place& place,
                           std::string message, std::string hint) {
  if (kept_.size() >= kKeptMax) return;
  kept_.push_back({severity, CodeText(code), file_, place.line, place.column,
                   std::max<size_t>(1, place.length), std::move(message), std::move(hint)});
}

std::vector<Diagnostic> DiagnosticReport::Take() {
  std::stable_sort(kept_.begin(), kept_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return a.line != b.line ? a.line < b.line : a.column < b.column;
  });
  errors_ = 0;
  return std::exchange(kept_, {});
}

std::string DidYouMean(std::string_view wanted, const std::vector<std::string>& names,
                       std::string_view otherwise) {
  const std::vector<std::string> near = NearestNames(wanted, names);
  if (near.empty()) return std::string(otherwise);
  return fmt::format("did you mean: {}?", fmt::join(near, ", "));
}

}  // namespace headrace::contract

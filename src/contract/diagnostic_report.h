#pragma once
// Gathers the diagnostics of one file while it is read.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "contract/diagnostic.h"
#include "contract/diagnostic_codes.h"

namespace headrace::contract {

// A stretch of one line of a file. Line and column from 1; line 0: the file as a whole.
struct Place {
  size_t line = 0;
  size_t column = 0;
  size_t length = 1;
};

// Not thread-safe.
class DiagnosticReport {
 public:
  explicit DiagnosticReport(std::string_view file) : file_(file) {}

  void Error(DiagnosticCode code, const Place& place, std::string message, std::string hint = {});
  void Warning(DiagnosticCode code, const Place& place, std::string message, std::string hint = {});

  bool has_errors() const { return errors_ > 0; }
  size_t errors() const { return errors_; }
  const std::string& file() const { return file_; }
  // Everything so far in the order of the file; the report is empty afterwards.
  std::vector<Diagnostic> Take();

  // More than this many are counted, not kept: the rest is noise.
  static constexpr size_t kKeptMax = 100;

 private:
  void Add(Severity severity, DiagnosticCode code, const Place& place, std::string message,
           std::string hint);
  std::string file_;
  size_t errors_ = 0;
  std::vector<Diagnostic> kept_;
};

// "did you mean: amount, amount_eur?", or `otherwise` when nothing is near.
std::string DidYouMean(std::string_view wanted, const std::vector<std::string>& names,
                       std::string_view otherwise = {});

}  // namespace headrace::contract

#pragma once
// What is wrong in a file that a person wrote: where, what, and what to do.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::contract {

enum class Severity : uint8_t { kError, kWarning };

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string code;  // "HR0214": stable, one page each in docs/reference/errors.md
  std::string file;
  size_t line = 0;      // 1-based; 0: the file as a whole
  size_t column = 0;    // 1-based, in bytes
  size_t length = 1;    // of the marked text
  std::string message;  // "view card: no column `ammount` in payments"
  std::string hint;     // "did you mean: amount, amount_eur?"
};

// As screens.md shows it: "error[HR0214] pipeline.yaml:22:27  message", the source line, a caret
// line with the hint.
std::string Render(const Diagnostic& diagnostic, std::string_view file_text);

// The nearest of `names` to `wanted` by edit distance (at most a third of its length, at least 1),
// nearest first, at most 3. `refunds.refund_id` is near to what its last part is near to.
std::vector<std::string> NearestNames(std::string_view wanted, std::span<const std::string> names);

}  // namespace headrace::contract

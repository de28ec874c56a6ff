#pragma once
// The lines of a message head, looked at before any grammar: the things that two readers of one
// stream read differently.

#include <optional>
#include <string_view>

namespace headrace::protocols {

// Checks complete lines as they come. A value; not thread-safe.
class HeadLines {
 public:
  // Looks at what is new in `head` (all that has come so far, from the request line on). Returns
  // what is wrong: a bare CR or LF, a control character, a folded or nameless field, a blank before
  // a colon.
  std::optional<std::string_view> Check(std::string_view head);
  // The size of the head with its empty line, once that has come.
  std::optional<size_t> end() const { return end_; }
  size_t fields() const { return lines_ == 0 ? 0 : lines_ - 1; }

 private:
  size_t line_begin_ = 0;
  size_t lines_ = 0;
  std::optional<size_t> end_;
};

// What is wrong with a field line (its CRLF left out): a control character, a folded or nameless
// field, a blank before the colon.
std::optional<std::string_view> CheckFieldLine(std::string_view line);

// Whether `c` may be in a method or a field name (RFC 9110, 5.6.2).
bool IsTokenCharacter(char c);

}  // namespace headrace::protocols

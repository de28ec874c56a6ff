#pragma once
// Hexadecimal digits, of both cases.

namespace headrace::base {

// The value of a digit; -1 when it is none.
constexpr int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace headrace::base

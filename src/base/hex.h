#pragma once
// Hexadecimal digits: of both cases when they are read, small ones when they are written.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace headrace::base {

// The value of a digit; -1 when it is none.
constexpr int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Two digits for each byte.
inline void AppendHex(std::span<const uint8_t> bytes, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

}  // namespace headrace::base

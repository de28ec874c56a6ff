#pragma once
// Texts are UTF-8, and functions count and cut in code points. Bytes that are no UTF-8 never trip
// anything: a code point is then whatever stands up to the next byte that could begin one.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headrace::pipeline {

inline bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The bytes of the first code point; of an empty text 0.
inline size_t FirstBytes(std::string_view text) {
  size_t bytes = text.empty() ? 0 : 1;
  while (bytes < text.size() && Continues(text[bytes])) ++bytes;
  return bytes;
}

// The bytes of the last one.
inline size_t LastBytes(std::string_view text) {
  size_t bytes = 0;
  while (bytes < text.size())
    if (!Continues(text[text.size() - ++bytes])) break;
  return bytes;
}

inline int64_t CountOf(std::string_view text) {
  int64_t n = 0;
  for (const char c : text) n += Continues(c) ? 0 : 1;
  return n;
}

// Byte offset of code point `index`; text.size() when there are fewer.
inline size_t OffsetOf(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; at < text.size() && index > 0; --index) at += FirstBytes(text.substr(at));
  return at;
}

// The code point that the text begins with, 0xFFFD when that is no UTF-8; 0 of an empty text.
inline uint32_t FirstCodePoint(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t bytes = FirstBytes(text);
  if (lead < 0x80) return lead;
  const size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
  if (wanted == 0 || bytes != wanted) return 0xFFFD;
  uint32_t point = lead & (0xFFU >> (wanted + 1));
  for (size_t i = 1; i < wanted; ++i)
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  return point;
}

// Writes a code point as UTF-8 into `out`, which has four bytes; how many it took.
inline size_t WriteCodePoint(uint32_t point, char* out) {
  if (point < 0x80) return out[0] = static_cast<char>(point), 1;
  size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = bytes; i-- > 1; point >>= 6) out[i] = static_cast<char>(0x80 | (point & 0x3F));
  out[0] = static_cast<char>((0xF00U >> bytes) | point);
  return bytes;
}

}  // namespace headrace::pipeline

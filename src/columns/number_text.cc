#include "columns/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace headrace::columns {
namespace {

// A number of at most three decimals below 10^12, such as a sum of money, from integers: several
// times faster than the general way, with the same digits. Its at most 15 digits are those of no
// other double, so none fewer read back; where an exponent would be shorter, it declines (null).
char* WriteDecimal(char* at, double v) {
  constexpr double kLeast = 0.01;
  constexpr double kEnd = 1e12;
  const double size = std::fabs(v);
  if (!(size >= kLeast && size < kEnd)) return nullptr;
  const auto thousandths = static_cast<int64_t>(std::rint(size * 1000));
  if (static_cast<double>(thousandths) / 1000 != size) return nullptr;
  const int64_t whole = thousandths / 1000;
  auto part = static_cast<int>(thousandths % 1000);
  if (part == 0 && whole % 10'000 == 0) return nullptr;
  if (v < 0) *at++ = '-';
  at = std::to_chars(at, at + kNumberBytes, whole).ptr;
  if (part != 0) *at++ = '.';
  for (; part != 0; part = part % 100 * 10) *at++ = static_cast<char>('0' + part / 100);
  return at;
}

}  // namespace

char* WriteShortest(char* at, double v) {
  if (char* const end = WriteDecimal(at, v)) return end;
  return std::to_chars(at, at + kNumberBytes, v).ptr;
}

char* WriteJsonNumber(char* at, double v) {
  char* const end = WriteShortest(at, v);
  if (std::any_of(at, end, [](char c) { return c == '.' || c == 'e'; })) return end;
  end[0] = '.';
  end[1] = '0';
  return end + 2;
}

}  // namespace headrace::columns

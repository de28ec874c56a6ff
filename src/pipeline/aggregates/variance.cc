#include "pipeline/aggregates/variance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "base/result.h"
#include "pipeline/aggregates/digit_sum.h"

namespace headrace::pipeline {
namespace {

// A magnitude in digits of 32 bits, the lowest first.
using Digits = std::vector<uint32_t>;

void Trim(Digits& digits) {
  while (!digits.empty() && digits.back() == 0) digits.pop_back();
}

Digits ShiftedUp(const Digits& digits, int bits) {
  const auto whole = static_cast<size_t>(bits / kDigitBits);
  const int part = bits % kDigitBits;
  Digits out(digits.size() + whole + 1, 0);
  for (size_t i = 0; i < digits.size(); ++i) {
    const uint64_t moved = uint64_t{digits[i]} << part;
    out[i + whole] |= static_cast<uint32_t>(moved);
    out[i + whole + 1] |= static_cast<uint32_t>(moved >> kDigitBits);
  }
  Trim(out);
  return out;
}

Digits Product(const Digits& a, const Digits& b) {
  Digits out(a.size() + b.size(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.size() || carry != 0; ++j) {
      const uint64_t factor = j < b.size() ? b[j] : 0;
      carry += a[i] * factor + out[i + j];
      out[i + j] = static_cast<uint32_t>(carry);
      carry >>= kDigitBits;
    }
  }
  Trim(out);
  return out;
}

// a - b, which is not negative.
Digits Difference(Digits a, const Digits& b) {
  HR_CHECK(a.size() >= b.size(), "a sum of squares is less than the mean allows");
  int64_t borrow = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t digit = int64_t{a[i]} - (i < b.size() ? b[i] : 0) - borrow;
    borrow = digit < 0 ? 1 : 0;
    if (digit < 0) digit += int64_t{1} << kDigitBits;
    a[i] = static_cast<uint32_t>(digit);
  }
  HR_CHECK(borrow == 0, "a sum of squares is less than the mean allows");
  Trim(a);
  return a;
}

bool BitAt(const Digits& digits, size_t bit) {
  return ((digits[bit / kDigitBits] >> (bit % kDigitBits)) & 1) != 0;
}

bool AnyBelow(const Digits& digits, size_t bit) {
  const size_t digit = bit / kDigitBits;
  for (size_t i = 0; i < digit; ++i)
    if (digits[i] != 0) return true;
  return (digits[digit] & ((1U << (bit % kDigitBits)) - 1)) != 0;
}

// mantissa * 2^exponent; the mantissa is zero or has 53 bits.
struct Scaled {
  double mantissa = 0;
  int exponent = 0;
};

// The nearest one, ties to even.
Scaled Rounded(const Digits& digits, int exponent) {
  if (digits.empty()) return {};
  const size_t top = digits.size() * kDigitBits - 1 - std::countl_zero(digits.back());
  uint64_t mantissa = 0;
  const size_t low = top > 52 ? top - 52 : 0;
  for (size_t bit = top + 1; bit-- > low;) mantissa = mantissa << 1 | (BitAt(digits, bit) ? 1 : 0);
  if (low > 0 && BitAt(digits, low - 1) && (AnyBelow(digits, low - 1) || (mantissa & 1) != 0))
    ++mantissa;
  return {static_cast<double>(mantissa), exponent + static_cast<int>(low)};
}

}  // namespace

double SpreadOf(uint64_t count, const Magnitude& sum, const Magnitude& squares, Spread spread,
                Divisor divisor) {
  HR_CHECK(count > (divisor == Divisor::kSample ? 1U : 0U), "a spread of too few values");
  // In common units: 2^unit and, of the squares, 2^(2 unit).
  const int unit = std::min(sum.exponent, squares.exponent / 2);
  const Digits plain = ShiftedUp(sum.digits, sum.exponent - unit);
  const Digits squared = ShiftedUp(squares.digits, squares.exponent - 2 * unit);
  const Digits n = {static_cast<uint32_t>(count), static_cast<uint32_t>(count >> kDigitBits)};
  const Scaled numerator =
      Rounded(Difference(Product(squared, n), Product(plain, plain)), 2 * unit);
  if (numerator.mantissa == 0) return 0;
  const auto wide = static_cast<Unsigned128>(count);
  const Unsigned128 by = divisor == Divisor::kSample ? wide * (count - 1) : wide * count;
  double quotient = numerator.mantissa / static_cast<double>(by);
  int exponent = numerator.exponent;
  if (spread == Spread::kVariance) return std::ldexp(quotient, exponent);
  if (exponent % 2 != 0) {
    quotient *= 2;
    --exponent;
  }
  return std::ldexp(std::sqrt(quotient), exponent / 2);
}

}  // namespace headrace::pipeline

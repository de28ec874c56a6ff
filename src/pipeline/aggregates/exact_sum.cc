#include "pipeline/aggregates/exact_sum.h"

#include <algorithm>
#include <limits>
#include <span>

#include "pipeline/aggregates/digit_sum.h"

namespace headrace::pipeline {
namespace {

constexpr int kLowestExponent = -1074;  // weight of the full-range accumulator's first bit
constexpr int kWordBits = kDigitBits;

double WithSign(uint64_t bits, bool negative) {
  return std::bit_cast<double>(bits | (negative ? 1ULL << 63 : 0));
}

// Rounds `top` (53 bits) by the bit below it and whether anything is below that.
uint64_t RoundHalfEven(uint64_t top, bool half, bool rest) {
  return top + (half && (rest || (top & 1) != 0) ? 1 : 0);
}

}  // namespace

void AppendInt128(Int128 value, columns::ByteWriter& out) {
  out.U64(static_cast<uint64_t>(value));
  out.U64(static_cast<uint64_t>(static_cast<Unsigned128>(value) >> 64));
}

base::Result<Int128> ReadInt128(columns::ByteReader& in) {
  HR_TRY(const uint64_t low, in.U64());
  HR_TRY(const uint64_t high, in.U64());
  return static_cast<Int128>(static_cast<Unsigned128>(high) << 64 | low);
}

Magnitude MagnitudeOf(Int128 value, int exponent) {
  Magnitude magnitude{.digits = {}, .exponent = exponent};
  auto rest = value < 0 ? -static_cast<Unsigned128>(value) : static_cast<Unsigned128>(value);
  for (; rest != 0; rest >>= kDigitBits) magnitude.digits.push_back(static_cast<uint32_t>(rest));
  return magnitude;
}

// Word i weighs 2^(32 i - 1074): 2098 bits of doubles, 64 spare, rounded up.
struct ExactSum::Wide : DigitSum<70> {
  static_assert(70 * kWordBits >= 2098 + kSpareBits);
  double RoundDown(int exponent) const;
};

namespace {

bool BitAt(std::span<const int64_t> words, int bit) {
  return ((words[bit / kWordBits] >> (bit % kWordBits)) & 1) != 0;
}

bool AnyBelow(std::span<const int64_t> words, int bit) {
  const int word = bit / kWordBits;
  for (int i = 0; i < word; ++i)
    if (words[i] != 0) return true;
  return (words[word] & ((int64_t{1} << (bit % kWordBits)) - 1)) != 0;
}

// Rounds the non-negative number of normalized `words`, times 2^-exponent. Of a number that this
// makes subnormal the exponent must be 0.
uint64_t RoundWords(std::span<const int64_t> words, int exponent) {
  int word = static_cast<int>(words.size()) - 1;
  while (word >= 0 && words[word] == 0) --word;
  if (word < 0) return 0;
  const int top = word * kWordBits + 63 - std::countl_zero(static_cast<uint64_t>(words[word]));
  const int low =
      top > 52 ? top - 52 : 0;  // below it is rounded away; a subnormal keeps all it has
  uint64_t mantissa = 0;
  for (int bit = top; bit >= low; --bit) mantissa = (mantissa << 1) | (BitAt(words, bit) ? 1 : 0);
  if (low > 0) mantissa = RoundHalfEven(mantissa, BitAt(words, low - 1), AnyBelow(words, low - 1));
  // The hidden bit adds itself to the exponent field, and so does a mantissa that rounded up to
  // 2^53.
  constexpr uint64_t kInfinity = 0x7ffULL << 52;
  if (low - exponent > 2046) return kInfinity;
  const uint64_t bits = (static_cast<uint64_t>(low - exponent) << 52) + mantissa;
  return bits < kInfinity ? bits : kInfinity;
}

}  // namespace

double ExactSum::Wide::RoundDown(int exponent) const {
  Wide copy = *this;
  const bool negative = copy.MakeMagnitude();
  const uint64_t bits = RoundWords(copy.words, exponent);
  return WithSign(bits, negative && bits != 0);
}

ExactSum::ExactSum() = default;
ExactSum::ExactSum(ExactSum&&) noexcept = default;
ExactSum& ExactSum::operator=(ExactSum&&) noexcept = default;
ExactSum::~ExactSum() = default;

ExactSum::ExactSum(const ExactSum& other)
    : units_(other.units_),
      nans_(other.nans_),
      plus_(other.plus_),
      minus_(other.minus_),
      wide_(other.wide_ ? std::make_unique<Wide>(*other.wide_) : nullptr) {}

ExactSum& ExactSum::operator=(const ExactSum& other) {
  if (this != &other) *this = ExactSum(other);
  return *this;
}

ExactSum::Wide& ExactSum::wide() {
  if (wide_ == nullptr) wide_ = std::make_unique<Wide>();
  return *wide_;
}

void ExactSum::Spill() {
  const bool negative = units_ < 0;
  const Unsigned128 magnitude =
      negative ? -static_cast<Unsigned128>(units_) : static_cast<Unsigned128>(units_);
  wide().AddAt(magnitude, kUnitExponent - kLowestExponent, negative ? -1 : 1);
  units_ = 0;
}

void ExactSum::AddOther(double v, int times) {
  const auto bits = std::bit_cast<uint64_t>(v);
  const auto exponent = static_cast<unsigned>(bits >> 52) & 0x7ffU;
  const uint64_t fraction = bits & kMantissaMask;
  const bool negative = (bits >> 63) != 0;
  if (exponent == 0x7ff) {
    (fraction != 0 ? nans_ : negative ? minus_ : plus_) += times;
    return;
  }
  if (exponent == 0 && fraction == 0) return;
  // Small values whose low bits are zeros are whole units still.
  const uint64_t mantissa = exponent == 0 ? fraction : fraction | kHiddenBit;
  const unsigned below = kBiasedMin - exponent;
  if (exponent != 0 && exponent < kBiasedMin && below < 53 &&
      (mantissa & ((1ULL << below) - 1)) == 0) {
    const auto units = static_cast<Int128>(mantissa >> below);
    AddUnits(negative == (times < 0) ? units : -units);
    return;
  }
  wide().AddAt(mantissa, exponent == 0 ? 0 : exponent - 1, negative == (times < 0) ? 1 : -1);
}

void ExactSum::Merge(const ExactSum& other) {
  AddUnits(other.units_);
  nans_ += other.nans_;
  plus_ += other.plus_;
  minus_ += other.minus_;
  if (other.wide_ != nullptr) wide().Merge(*other.wide_);
}

double ExactSum::RoundDown(int exponent) const {
  if (nans_ != 0 || (plus_ != 0 && minus_ != 0))
    return std::bit_cast<double>(0x7ff8000000000000ULL);
  if (plus_ != 0) return std::numeric_limits<double>::infinity();
  if (minus_ != 0) return -std::numeric_limits<double>::infinity();
  if (wide_ == nullptr) return RoundScaled(units_, kUnitExponent);
  ExactSum all = *this;
  all.Spill();
  return all.wide_->RoundDown(exponent);
}

void ExactSum::Reset() {
  units_ = 0;
  nans_ = plus_ = minus_ = 0;
  wide_.reset();
}

void ExactSum::AppendBytes(columns::ByteWriter& out) const {
  AppendInt128(units_, out);
  for (const int64_t count : {nans_, plus_, minus_}) out.I64(count);
  out.U8(wide_ == nullptr ? 0 : 1);
  if (wide_ != nullptr) wide_->AppendBytes(out);
}

base::Result<void> ExactSum::MergeBytes(columns::ByteReader& in) {
  HR_TRY(const Int128 units, ReadInt128(in));
  AddUnits(units);
  for (int64_t* count : {&nans_, &plus_, &minus_}) {
    HR_TRY(const int64_t more, in.I64());
    *count = static_cast<int64_t>(static_cast<uint64_t>(*count) + static_cast<uint64_t>(more));
  }
  HR_TRY(const uint8_t is_wide, in.U8());
  if (is_wide == 0) return {};
  Wide other;
  HR_TRY_VOID(other.ReadBytes(in));
  wide().Merge(other);
  return {};
}

bool ExactSum::finite() const { return nans_ == 0 && plus_ == 0 && minus_ == 0; }

Magnitude ExactSum::magnitude() const {
  if (wide_ == nullptr) return MagnitudeOf(units_, kUnitExponent);
  ExactSum all = *this;
  all.Spill();
  all.wide_->MakeMagnitude();
  Magnitude magnitude{.digits = {}, .exponent = kLowestExponent};
  for (const int64_t word : all.wide_->words)
    magnitude.digits.push_back(static_cast<uint32_t>(word));
  return magnitude;
}

}  // namespace headrace::pipeline

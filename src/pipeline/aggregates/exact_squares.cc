#include "pipeline/aggregates/exact_squares.h"

#include <bit>

#include "base/result.h"
#include "pipeline/aggregates/digit_sum.h"

namespace headrace::pipeline {
namespace {

constexpr int kLowestExponent = -2148;  // twice that of the least double

}  // namespace

Integer256 Integer256::Shifted(Unsigned128 value, unsigned shift) {
  Integer256 out;
  const size_t word = shift / 64;
  const unsigned bits = shift % 64;
  const auto low = static_cast<uint64_t>(value);
  const auto high = static_cast<uint64_t>(value >> 64);
  out.words[word] = low << bits;
  if (word + 1 < out.words.size())
    out.words[word + 1] = high << bits | (bits == 0 ? 0 : low >> (64 - bits));
  if (word + 2 < out.words.size() && bits != 0) out.words[word + 2] = high >> (64 - bits);
  return out;
}

bool Integer256::AddOverflows(const Integer256& other) {
  Integer256 sum;
  uint64_t carry = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const Unsigned128 digit = static_cast<Unsigned128>(words[i]) + other.words[i] + carry;
    sum.words[i] = static_cast<uint64_t>(digit);
    carry = static_cast<uint64_t>(digit >> 64);
  }
  if (carry != 0) return true;
  *this = sum;
  return false;
}

// Word i weighs 2^(32 i - 2148): 4196 bits of squares, 64 spare, rounded up.
struct ExactSquares::Wide : DigitSum<134> {};

ExactSquares::ExactSquares() = default;
ExactSquares::ExactSquares(ExactSquares&&) noexcept = default;
ExactSquares& ExactSquares::operator=(ExactSquares&&) noexcept = default;
ExactSquares::~ExactSquares() = default;

ExactSquares::ExactSquares(const ExactSquares& other)
    : units_(other.units_),
      finite_(other.finite_),
      wide_(other.wide_ ? std::make_unique<Wide>(*other.wide_) : nullptr) {}

ExactSquares& ExactSquares::operator=(const ExactSquares& other) {
  if (this != &other) *this = ExactSquares(other);
  return *this;
}

ExactSquares::Wide& ExactSquares::wide() {
  if (wide_ == nullptr) wide_ = std::make_unique<Wide>();
  return *wide_;
}

void ExactSquares::AddInteger(int64_t v) {
  const uint64_t magnitude = v < 0 ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v);
  const Unsigned128 square = static_cast<Unsigned128>(magnitude) * magnitude;
  // 2^126 each: 2^130 of them would be needed to leave 256 bits.
  HR_CHECK(!units_.AddOverflows(Integer256::Shifted(square, 0)), "2^130 integers");
}

void ExactSquares::AddDouble(double v) {
  const auto bits = std::bit_cast<uint64_t>(v);
  const auto exponent = static_cast<unsigned>(bits >> 52) & 0x7ffU;
  const uint64_t fraction = bits & ((1ULL << 52) - 1);
  if (exponent == 0x7ff) {
    finite_ = false;
    return;
  }
  if (exponent == 0 && fraction == 0) return;
  const uint64_t mantissa = exponent == 0 ? fraction : fraction | 1ULL << 52;
  const Unsigned128 square = static_cast<Unsigned128>(mantissa) * mantissa;
  const unsigned shift = exponent - ExactSum::kBiasedMin;
  if (exponent >= ExactSum::kBiasedMin && exponent <= ExactSum::kBiasedMax) [[likely]]
    return AddUnits(Integer256::Shifted(square, 2 * shift));
  // Small values whose low bits are zeros are whole units still.
  const unsigned below = ExactSum::kBiasedMin - exponent;
  if (exponent != 0 && exponent < ExactSum::kBiasedMin && below < 53 &&
      (mantissa & ((1ULL << below) - 1)) == 0)
    return AddUnits(Integer256::Shifted(square >> (2 * below), 0));
  wide().AddAt(square, exponent == 0 ? 0 : 2 * (exponent - 1), +1);
}

void ExactSquares::AddUnits(const Integer256& units) {
  if (!units_.AddOverflows(units)) return;
  Spill();
  units_ = units;
}

void ExactSquares::Spill() {
  for (size_t i = 0; i < units_.words.size(); ++i)
    wide().AddAt(units_.words[i], kUnitExponent - kLowestExponent + static_cast<unsigned>(64 * i),
                 +1);
  units_ = Integer256();
}

void ExactSquares::Merge(const ExactSquares& other) {
  AddUnits(other.units_);
  finite_ = finite_ && other.finite_;
  if (other.wide_ != nullptr) wide().Merge(*other.wide_);
}

void ExactSquares::AppendBytes(columns::ByteWriter& out) const {
  for (const uint64_t word : units_.words) out.U64(word);
  out.U8(finite_ ? 1 : 0);
  out.U8(wide_ == nullptr ? 0 : 1);
  if (wide_ != nullptr) wide_->AppendBytes(out);
}

base::Result<void> ExactSquares::MergeBytes(columns::ByteReader& in) {
  Integer256 units;
  for (uint64_t& word : units.words) {
    HR_TRY(word, in.U64());
  }
  AddUnits(units);
  HR_TRY(const uint8_t is_finite, in.U8());
  finite_ = finite_ && is_finite != 0;
  HR_TRY(const uint8_t is_wide, in.U8());
  if (is_wide == 0) return {};
  Wide other;
  HR_TRY_VOID(other.ReadBytes(in));
  wide().Merge(other);
  return {};
}

void ExactSquares::Reset() { *this = ExactSquares(); }

Magnitude ExactSquares::magnitude(int unit_exponent) const {
  Magnitude magnitude{.digits = {}, .exponent = unit_exponent};
  if (wide_ == nullptr) {
    for (const uint64_t word : units_.words) {
      magnitude.digits.push_back(static_cast<uint32_t>(word));
      magnitude.digits.push_back(static_cast<uint32_t>(word >> kDigitBits));
    }
    return magnitude;
  }
  magnitude.exponent = kLowestExponent;
  ExactSquares all = *this;
  all.Spill();
  all.wide_->MakeMagnitude();
  for (const int64_t word : all.wide_->words)
    magnitude.digits.push_back(static_cast<uint32_t>(word));
  return magnitude;
}

}  // namespace headrace::pipeline

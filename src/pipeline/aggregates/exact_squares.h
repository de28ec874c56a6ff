#pragma once
// An exact sum of squares: a function of the set of addends, never of their order or grouping.
//
// 1. The square of an integer, or of a double that is a whole number of ExactSum's units, is an
// integer of at most 238 bits in units of 2^-150 (of 1 for integers): added in 256 bits.
// 2. Other squares, and what outgrows 256 bits, go to a full-range accumulator of 2^-2148 .. 2^2048
// with 64 spare bits, allocated at its first use.
// 3. Infinities and NaNs are only noticed: no variance has a value with one of them.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/aggregates/exact_sum.h"

namespace headrace::pipeline {

// A 256-bit unsigned integer, the lowest word first.
struct Integer256 {
  std::array<uint64_t, 4> words{};

  // value * 2^shift, for a result that fits.
  static Integer256 Shifted(unsigned __int128 value, unsigned shift);
  // True when the sum does not fit: then it is unchanged.
  [[nodiscard]] bool AddOverflows(const Integer256& other);
};

// A value; copying it copies the full-range accumulator if there is one. Not thread-safe.
class ExactSquares {
 public:
  static constexpr int kUnitExponent = 2 * ExactSum::kUnitExponent;

  ExactSquares();
  ExactSquares(const ExactSquares& other);
  ExactSquares& operator=(const ExactSquares& other);
  ExactSquares(ExactSquares&&) noexcept;
  ExactSquares& operator=(ExactSquares&&) noexcept;
  ~ExactSquares();

  // Use one of the two only: integers are added in units of 1, doubles in units of 2^-150.
  void AddInteger(int64_t v);
  void AddDouble(double v);
  // A sum of squares in those units.
  void AddUnits(const Integer256& units);
  void Merge(const ExactSquares& other);
  void Reset();

  bool finite() const { return finite_; }
  // True while the sum is `units()` alone: then it can be kept in 32 bytes.
  bool fits_units() const { return wide_ == nullptr && finite_; }
  const Integer256& units() const { return units_; }
  // All of it as bytes, and added again. Errors: kCorruption.
  void AppendBytes(columns::ByteWriter& out) const;
  base::Result<void> MergeBytes(columns::ByteReader& in);
  // Of the finite addends' squares; `unit_exponent` is kUnitExponent, or 0 of integers.
  Magnitude magnitude(int unit_exponent) const;

 private:
  struct Wide;
  Wide& wide();
  void Spill();

  Integer256 units_;
  bool finite_ = true;
  std::unique_ptr<Wide> wide_;
};

}  // namespace headrace::pipeline

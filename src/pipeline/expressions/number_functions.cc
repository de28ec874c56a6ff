// Functions of numbers that are exact or correctly rounded by IEEE 754: no maths library can
// differ.
#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "pipeline/expressions/binding.h"

namespace headrace::pipeline {
namespace {

Bound BindAbs(Binder& binder, const Call& call) {
  const ValueType type = binder.step(call.arguments[0]).type;
  if (type.duration)
    return binder.Emit(call.syntax, AbsKernel(MachineType::kInt), type, {call.arguments[0]});
  const ValueType result = IsInt(type) ? kIntType : kFloatType;
  return BindTo(binder, call, AbsKernel(MachineTypeOf(result.type)), result, {result});
}

Bound BindRounding(Binder& binder, const Call& call) {
  return BindTo(binder, call, RoundingKernel(call.function), kFloatType, {kFloatType});
}

constexpr int64_t kDigitsMax = 15;

// What is scaled is rounded: 2.675 (in binary a little less) gives 2.68, as in DuckDB.
struct DecimalPlaces : StepData {
  explicit DecimalPlaces(int64_t given) : digits(given) {
    for (int64_t i = 0; i < std::abs(digits); ++i) scale *= 10;
  }
  int64_t digits;
  double scale = 1;
};
struct RoundTo {
  static uint8_t Do(const RowContext& context, double a, double* out) {
    const auto& places = context.data<DecimalPlaces>();
    *out = places.digits >= 0 ? std::round(a * places.scale) / places.scale
                              : std::round(a / places.scale) * places.scale;
    if (!std::isfinite(*out)) *out = a;
    return kIsPresent;
  }
};

Bound BindRound(Binder& binder, const Call& call) {
  if (call.arguments.size() == 1) return BindRounding(binder, call);
  HR_TRY(const int64_t digits, ConstantInt(binder, call, 1, "the digits", -kDigitsMax, kDigitsMax));
  return BindTo(binder, call, &Map<RoundTo, double, double>, kFloatType, {kFloatType},
                std::make_shared<DecimalPlaces>(digits));
}

struct SignOfInt {
  static int64_t Do(int64_t a) { return (a > 0) - (a < 0); }
};
struct SignOfFloat {
  static int64_t Do(double a) { return (a > 0) - (a < 0); }
};
Bound BindSign(Binder& binder, const Call& call) {
  const ValueType type = binder.step(call.arguments[0]).type;
  if (IsInt(type))
    return BindTo(binder, call, &Total1<SignOfInt, int64_t, int64_t>, kIntType, {kIntType});
  return BindTo(binder, call, &Total1<SignOfFloat, double, int64_t>, kIntType, {kFloatType});
}

struct IsNaN {
  static uint8_t Do(double a) { return std::isnan(a); }
};
struct IsFinite {
  static uint8_t Do(double a) { return std::isfinite(a); }
};
struct IsInfinite {
  static uint8_t Do(double a) { return std::isinf(a); }
};
template <typename Op>
Bound BindTest(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Total1<Op, double, uint8_t>, kBoolType, {kFloatType});
}

Bound BindQuotient(Binder& binder, const Call& call) {
  return BindTo(binder, call, ArithmeticKernel("div", MachineType::kInt), kIntType,
                {kIntType, kIntType});
}

struct ExclusiveOr {
  static int64_t Do(int64_t a, int64_t b) { return a ^ b; }
};
Bound BindXor(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Total2<ExclusiveOr, int64_t, int64_t, int64_t>, kIntType,
                {kIntType, kIntType});
}
struct BitCount {
  static int64_t Do(int64_t a) { return std::popcount(static_cast<uint64_t>(a)); }
};
Bound BindBitCount(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Total1<BitCount, int64_t, int64_t>, kIntType, {kIntType});
}

constexpr std::array kFunctions = {
    FunctionRow{"abs", "abs(number)", "The distance from 0. Overflow gives NULL.", "abs(-3)", "3",
                1, 1, &BindAbs},
    FunctionRow{"bit_count", "bit_count(int)", "How many bits of the int64 are 1.",
                "bit_count(255)", "8", 1, 1, &BindBitCount},
    FunctionRow{"ceil", "ceil(number)", "The next whole number upwards, as float64.", "ceil(2.1)",
                "3.0", 1, 1, &BindRounding, "ceiling"},
    FunctionRow{"div", "div(a, b)", "Whole quotient, towards zero; by 0 gives NULL.", "div(-7, 2)",
                "-3", 2, 2, &BindQuotient},
    FunctionRow{"floor", "floor(number)", "The next whole number downwards, as float64.",
                "floor(-2.1)", "-3.0", 1, 1, &BindRounding},
    FunctionRow{"isfinite", "isfinite(number)", "Neither NaN nor infinite.", "isfinite(1.5)",
                "true", 1, 1, &BindTest<IsFinite>},
    FunctionRow{"isinf", "isinf(number)", "Whether it is infinite.", "isinf(1.5)", "false", 1, 1,
                &BindTest<IsInfinite>},
    FunctionRow{"isnan", "isnan(number)", "Whether it is NaN.", "isnan(1.5)", "false", 1, 1,
                &BindTest<IsNaN>},
    FunctionRow{"round", "round(number [, digits])",
                "The nearest whole number, halves away from zero, as float64; or to so many "
                "decimal digits, a constant from -15 to 15.",
                "round(2.345, 2)", "2.35", 1, 2, &BindRound},
    FunctionRow{"sign", "sign(number)", "-1, 0 or 1; of NaN 0.", "sign(-2.5)", "-1", 1, 1,
                &BindSign},
    FunctionRow{"sqrt", "sqrt(number)", "Square root; of a negative number NULL.", "sqrt(9)", "3.0",
                1, 1, &BindRounding},
    FunctionRow{"trunc", "trunc(number)", "Without its fraction, as float64.", "trunc(-2.9)",
                "-2.0", 1, 1, &BindRounding},
    FunctionRow{"xor", "xor(a, b)", "The bits that differ; `a & b` and `a | b` are operators.",
                "xor(6, 3)", "5", 2, 2, &BindXor},
};

}  // namespace

std::span<const FunctionRow> NumberFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

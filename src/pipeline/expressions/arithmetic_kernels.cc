#include <cmath>
#include <limits>

#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

struct AddInt {
  static bool Do(int64_t a, int64_t b, int64_t* out) { return !__builtin_add_overflow(a, b, out); }
};
struct SubtractInt {
  static bool Do(int64_t a, int64_t b, int64_t* out) { return !__builtin_sub_overflow(a, b, out); }
};
struct MultiplyInt {
  static bool Do(int64_t a, int64_t b, int64_t* out) { return !__builtin_mul_overflow(a, b, out); }
};
// The one quotient that does not fit is that of the smallest integer and -1.
bool Divides(int64_t a, int64_t b) {
  return b != 0 && (b != -1 || a != std::numeric_limits<int64_t>::min());
}
struct QuotientInt {
  static bool Do(int64_t a, int64_t b, int64_t* out) {
    const bool good = Divides(a, b);
    *out = good ? a / b : 0;
    return good;
  }
};
struct RemainderInt {
  static bool Do(int64_t a, int64_t b, int64_t* out) {
    *out = Divides(a, b) ? a % b : 0;
    return b != 0;  // and min % -1 is 0
  }
};

struct BitAnd {
  static int64_t Do(int64_t a, int64_t b) { return a & b; }
};
struct BitOr {
  static int64_t Do(int64_t a, int64_t b) { return a | b; }
};
struct BitNot {
  static int64_t Do(int64_t a) { return ~a; }
};
// What would lose bits, a sign or a direction fails.
struct ShiftLeft {
  static bool Do(int64_t a, int64_t by, int64_t* out) {
    *out = 0;
    if (a < 0 || by < 0) return false;
    if (by >= 64) return a == 0;
    *out = a << by;
    return *out >> by == a;
  }
};
struct ShiftRight {
  static bool Do(int64_t a, int64_t by, int64_t* out) {
    *out = by >= 0 && by < 64 ? a >> by : 0;
    return true;
  }
};

struct AddFloat {
  static double Do(double a, double b) { return a + b; }
};
struct SubtractFloat {
  static double Do(double a, double b) { return a - b; }
};
struct MultiplyFloat {
  static double Do(double a, double b) { return a * b; }
};
struct DivideFloat {
  static bool Do(double a, double b, double* out) {
    *out = a / b;
    return b != 0;
  }
};
struct RemainderFloat {
  static bool Do(double a, double b, double* out) {
    *out = std::fmod(a, b);  // exact by definition, so the same everywhere
    return b != 0;
  }
};

struct NegateInt {
  static bool Do(int64_t a, int64_t* out) { return !__builtin_sub_overflow(int64_t{0}, a, out); }
};
struct NegateFloat {
  static double Do(double a) { return -a; }
};
struct AbsInt {
  static bool Do(int64_t a, int64_t* out) {
    if (a >= 0) return *out = a, true;
    return !__builtin_sub_overflow(int64_t{0}, a, out);
  }
};
struct AbsFloat {
  static double Do(double a) { return std::fabs(a); }
};

// All exact or correctly rounded by IEEE 754: no maths library can differ.
struct Round {
  static double Do(double a) { return std::round(a); }
};
struct Floor {
  static double Do(double a) { return std::floor(a); }
};
struct Ceil {
  static double Do(double a) { return std::ceil(a); }
};
struct Trunc {
  static double Do(double a) { return std::trunc(a); }
};
struct SquareRoot {
  static bool Do(double a, double* out) {
    *out = std::sqrt(a);
    return !(a < 0);
  }
};

template <typename Op>
constexpr Kernel kInts = &Partial2<Op, int64_t, int64_t, int64_t>;
template <typename Op>
constexpr Kernel kFloats = &Total2<Op, double, double, double>;

}  // namespace

Kernel ArithmeticKernel(std::string_view operation, MachineType type) {
  const bool ints = type == MachineType::kInt;
  if (operation == "+") return ints ? kInts<AddInt> : kFloats<AddFloat>;
  if (operation == "-") return ints ? kInts<SubtractInt> : kFloats<SubtractFloat>;
  if (operation == "*") return ints ? kInts<MultiplyInt> : kFloats<MultiplyFloat>;
  if (operation == "%")
    return ints ? kInts<RemainderInt> : &Partial2<RemainderFloat, double, double, double>;
  if (operation == "div") return kInts<QuotientInt>;
  return &Partial2<DivideFloat, double, double, double>;
}

Kernel BitKernel(std::string_view operation) {
  if (operation == "&") return &Total2<BitAnd, int64_t, int64_t, int64_t>;
  if (operation == "|") return &Total2<BitOr, int64_t, int64_t, int64_t>;
  if (operation == "<<") return kInts<ShiftLeft>;
  return operation == ">>" ? kInts<ShiftRight> : &Total1<BitNot, int64_t, int64_t>;
}

Kernel NegateKernel(MachineType type) {
  return type == MachineType::kInt ? &Partial1<NegateInt, int64_t, int64_t>
                                   : &Total1<NegateFloat, double, double>;
}

Kernel AbsKernel(MachineType type) {
  return type == MachineType::kInt ? &Partial1<AbsInt, int64_t, int64_t>
                                   : &Total1<AbsFloat, double, double>;
}

Kernel RoundingKernel(std::string_view function) {
  if (function == "round") return &Total1<Round, double, double>;
  if (function == "floor") return &Total1<Floor, double, double>;
  if (function == "ceil") return &Total1<Ceil, double, double>;
  if (function == "trunc") return &Total1<Trunc, double, double>;
  return &Partial1<SquareRoot, double, double>;
}

}  // namespace headrace::pipeline

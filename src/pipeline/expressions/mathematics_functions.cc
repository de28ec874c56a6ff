// exp, log, pow, trigonometry: from base/rounded_math, whose results are those of exact arithmetic,
// rounded once; so no CPU and no C library can make them differ.
#include <cmath>
#include <numbers>

#include "base/mathematics/rounded_math.h"
#include "pipeline/expressions/binding.h"

namespace headrace::pipeline {
namespace {

// f(a), where a value that does not exist (NaN out of none) is a failure.
template <double (*kFunction)(double)>
struct Of1 {
  static bool Do(double a, double* out) {
    *out = kFunction(a);
    return *out == *out || a != a;
  }
};
template <double (*kFunction)(double, double)>
struct Of2 {
  static bool Do(double a, double b, double* out) {
    *out = kFunction(a, b);
    return *out == *out || a != a || b != b;
  }
};
// Logarithms have none of 0 either.
template <double (*kFunction)(double)>
struct LogarithmOf {
  static bool Do(double a, double* out) {
    *out = kFunction(a);
    return a > 0 || a != a;
  }
};

template <double (*kFunction)(double)>
Bound Bind1(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Partial1<Of1<kFunction>, double, double>, kFloatType, {kFloatType});
}
template <double (*kFunction)(double, double)>
Bound Bind2(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Partial2<Of2<kFunction>, double, double, double>, kFloatType,
                {kFloatType, kFloatType});
}
template <double (*kFunction)(double)>
Bound BindLogarithm(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Partial1<LogarithmOf<kFunction>, double, double>, kFloatType,
                {kFloatType});
}

// Of 2 and 10 the logarithm itself, rounded once; of others the quotient of two.
struct LogarithmTo {
  static bool Do(double to, double a, double* out) {
    if (to == 2)
      *out = base::Log2(a);
    else
      *out = to == 10 ? base::Log10(a) : base::Log10(a) / base::Log10(to);
    return (a > 0 || a != a) && (to > 0 || to != to) && to != 1;
  }
};
Bound BindLogarithmTo(Binder& binder, const Call& call) {
  if (call.arguments.size() == 1)
    return Binder::Fail(call.syntax,
                        "log of one number is log10 in some engines and ln in others; write "
                        "ln(x), log10(x) or log(base, x)");
  return BindTo(binder, call, &Partial2<LogarithmTo, double, double, double>, kFloatType,
                {kFloatType, kFloatType});
}

constexpr double kRadiansPerDegree = std::numbers::pi / 180;
constexpr double kDegreesPerRadian = 180 / std::numbers::pi;

struct Radians {
  static double Do(double a) { return a * kRadiansPerDegree; }
};
struct Degrees {
  static double Do(double a) { return a * kDegreesPerRadian; }
};
template <typename Op>
Bound BindAngle(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Total1<Op, double, double>, kFloatType, {kFloatType});
}

Bound BindPi(Binder& binder, const Call&) {
  return binder.Constant(kFloatType, columns::Value::Float64(std::numbers::pi));
}

constexpr double kEarthRadiusKm = 6371;

// The haversine formula on a sphere: well conditioned for near points, which those of a law of
// cosines are not.
struct Haversine {
  static uint8_t Do(const RowContext&, double lat1, double lon1, double lat2, double lon2,
                    double* out) {
    const double half_lat = (lat2 - lat1) * kRadiansPerDegree / 2;
    const double half_lon = (lon2 - lon1) * kRadiansPerDegree / 2;
    const double a = base::Sin(half_lat);
    const double b = base::Sin(half_lon);
    const double c = base::Cos(lat1 * kRadiansPerDegree) * base::Cos(lat2 * kRadiansPerDegree);
    const double h = a * a + c * (b * b);
    *out = 2 * kEarthRadiusKm * base::Asin(std::sqrt(h < 1 ? h : h < 2 ? 1 : h));
    const bool outside = std::fabs(lat1) > 90 || std::fabs(lat2) > 90 || std::fabs(lon1) > 540 ||
                         std::fabs(lon2) > 540;
    return outside ? kIsError : kIsPresent;
  }
};
Bound BindHaversine(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Haversine, double, double, double, double, double>, kFloatType,
                {kFloatType, kFloatType, kFloatType, kFloatType});
}

constexpr std::array kFunctions = {
    FunctionRow{"acos", "acos(number)", "Angle in radians; outside of -1 to 1 NULL.", "acos(-1)",
                "3.141592653589793", 1, 1, &Bind1<base::Acos>},
    FunctionRow{"asin", "asin(number)", "Angle in radians; outside of -1 to 1 NULL.", "asin(1)",
                "1.5707963267948966", 1, 1, &Bind1<base::Asin>},
    FunctionRow{"atan", "atan(number)", "Angle in radians.", "atan(1)", "0.7853981633974483", 1, 1,
                &Bind1<base::Atan>},
    FunctionRow{"atan2", "atan2(y, x)", "Angle of the point (x, y) in radians, from -pi to pi.",
                "atan2(1, -1)", "2.356194490192345", 2, 2, &Bind2<base::Atan2>},
    FunctionRow{"cos", "cos(radians)", "Cosine; of an infinity NULL.", "cos(1)",
                "0.5403023058681398", 1, 1, &Bind1<base::Cos>},
    FunctionRow{"degrees", "degrees(radians)", "radians * (180 / pi).", "degrees(pi())", "180.0", 1,
                1, &BindAngle<Degrees>},
    FunctionRow{"exp", "exp(number)", "e to the power of it; too large gives Infinity.", "exp(1)",
                "2.718281828459045", 1, 1, &Bind1<base::Exp>},
    FunctionRow{"haversine", "haversine(lat1, lon1, lat2, lon2)",
                "Great-circle distance in **kilometres** on a sphere of radius 6371 km (off the "
                "ellipsoid by up to 0.6 %); degrees in. A latitude beyond 90 or a longitude beyond "
                "540 gives NULL.",
                "round(haversine(40.7127, -74.0059, 34.0500, -118.2500), 6)", "3936.385096", 4, 4,
                &BindHaversine},
    FunctionRow{"ln", "ln(number)", "Natural logarithm; of 0 and below NULL.", "ln(10)",
                "2.302585092994046", 1, 1, &BindLogarithm<base::Log>},
    FunctionRow{"log", "log(base, number)",
                "Logarithm to a base; exact for bases 2 and 10, else the quotient of two log10.",
                "log(2, 8)", "3.0", 1, 2, &BindLogarithmTo},
    FunctionRow{"log10", "log10(number)", "Logarithm to base 10; of 0 and below NULL.",
                "log10(1000)", "3.0", 1, 1, &BindLogarithm<base::Log10>},
    FunctionRow{"log2", "log2(number)", "Logarithm to base 2; of 0 and below NULL.", "log2(8)",
                "3.0", 1, 1, &BindLogarithm<base::Log2>},
    FunctionRow{"pi", "pi()", "3.141592653589793.", "pi()", "3.141592653589793", 0, 0, &BindPi},
    FunctionRow{"pow", "pow(base, exponent)",
                "The power, as float64; a negative base with a broken exponent gives NULL.",
                "pow(2, 0.5)", "1.4142135623730951", 2, 2, &Bind2<base::Pow>, "power"},
    FunctionRow{"radians", "radians(degrees)", "degrees * (pi / 180).", "radians(180)",
                "3.141592653589793", 1, 1, &BindAngle<Radians>},
    FunctionRow{"sin", "sin(radians)", "Sine; of an infinity NULL.", "sin(1)", "0.8414709848078965",
                1, 1, &Bind1<base::Sin>},
    FunctionRow{"tan", "tan(radians)", "Tangent; of an infinity NULL.", "tan(1)",
                "1.5574077246549023", 1, 1, &Bind1<base::Tan>},
};

}  // namespace

std::span<const FunctionRow> MathematicsFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

// The golden values are those of another arithmetic (mpmath with 900 bits, rounded once); the quick
// way is held to the accurate one.
#include "base/mathematics/rounded_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>

#include "base/mathematics/accurate_math.h"
#include "base/mathematics/quick_math.h"

namespace headrace::base {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Golden1 {
  double (*function)(double);
  double x;
  double result;
};
constexpr Golden1 kGolden1[] = {
    {&Exp, 0x1.f767c482c9b00p-3, 0x1.47557c4281ce8p+0},
    {&Exp, 0x1.528074fabe640p+8, 0x1.4762ae6cc8871p+488},
    {&Exp, -0x1.7220000000000p+9, 0x0.0000000000042p-1022},
    {&Exp, 0x1.62e0000000000p+9, 0x1.ef85a11e73f2dp+1023},
    {&Exp, 0x1.0000000000000p-53, 0x1.0000000000001p+0},
    {&Exp, 0x1.0000000000001p-1, 0x1.a61298e1e069dp+0},
    {&Exp, -0x1.b5298b908686ap-31, 0x1.fffffff92b59dp-1},
    {&Log, 0x1.e288d7f5db50cp-1, -0x1.e58e9ff1e0a6dp-5},
    {&Log, 0x1.72144f8026131p+9, 0x1.a6d6de9448affp+2},
    {&Log, 0x0.0000000000001p-1022, -0x1.74385446d71c3p+9},
    {&Log, 0x1.0000000000001p+0, 0x1.fffffffffffffp-53},
    {&Log, 0x1.fffffffffffffp-1, -0x1.0000000000000p-53},
    {&Log, 0x1.fffffffffffffp+1023, 0x1.62e42fefa39efp+9},
    {&Log, 0x1.6a09e667f3bcdp-1, -0x1.62e42fefa39eep-2},
    {&Log, 0x1.6a09e667f3bcdp+0, 0x1.62e42fefa39f0p-2},
    {&Log2, 0x1.d83afb61ec2c4p-1, -0x1.ddcf6d913cbb9p-4},
    {&Log2, 0x1.df9e9c1103f95p+4, 0x1.39f7c10f99eb8p+2},
    {&Log2, 0x0.0000000000001p-1022, -0x1.0c80000000000p+10},
    {&Log2, 0x1.0000000000001p+0, 0x1.71547652b82fdp-52},
    {&Log2, 0x1.fffffffffffffp-1, -0x1.71547652b82fep-53},
    {&Log2, 0x1.fffffffffffffp+1023, 0x1.0000000000000p+10},
    {&Log2, 0x1.6a09e667f3bcdp-1, -0x1.ffffffffffffep-2},
    {&Log2, 0x1.6a09e667f3bcdp+0, 0x1.0000000000001p-1},
    {&Log10, 0x1.dccc2f63529c2p-2, -0x1.53eede481f912p-2},
    {&Log10, 0x1.d7b4e8fd5cdb8p+9, 0x1.7cc3092e827eep+1},
    {&Log10, 0x0.0000000000001p-1022, -0x1.434e6420f4374p+8},
    {&Log10, 0x1.0000000000001p+0, 0x1.bcb7b1526e50dp-54},
    {&Log10, 0x1.fffffffffffffp-1, -0x1.bcb7b1526e50fp-55},
    {&Log10, 0x1.fffffffffffffp+1023, 0x1.34413509f79ffp+8},
    {&Log10, 0x1.6a09e667f3bcdp-1, -0x1.34413509f79fep-3},
    {&Log10, 0x1.6a09e667f3bcdp+0, 0x1.34413509f7a00p-3},
    {&Sin, 0x1.3119920d46410p+0, 0x1.dbaa7e076180bp-1},
    {&Sin, 0x1.90e686a09b3e0p+9, -0x1.47d22fe4eed3cp-1},
    {&Sin, 0x1.0f0cf064dd592p+73, -0x1.b453ab76bf397p-1},
    {&Sin, 0x1.fffffffffffffp+1023, 0x1.452fc98b34e97p-8},
    {&Sin, 0x1.6ac5b262ca1ffp+849, 0x1.0000000000000p+0},
    {&Sin, 0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53},
    {&Sin, 0x1.921fb54442d18p+0, 0x1.0000000000000p+0},
    {&Sin, 0x1.4f8b588e368f1p-17, 0x1.4f8b588e1e8a2p-17},
    {&Sin, 0x1.e240c9fbe76c9p+16, -0x1.ff50e60ab53f9p-1},
    {&Sin, -0x1.2a05f20000000p+31, 0x1.fbdb4637488f7p-1},
    {&Cos, -0x1.8c13bc5069136p+1, -0x1.ff6dc60b4b64ap-1},
    {&Cos, -0x1.eee52e271bed0p+5, 0x1.21747e54e80adp-1},
    {&Cos, 0x1.0f0cf064dd592p+73, 0x1.0be2cef01c8f4p-1},
    {&Cos, 0x1.fffffffffffffp+1023, -0x1.fffe62ecfab75p-1},
    {&Cos, 0x1.6ac5b262ca1ffp+849, -0x1.14ae72e6ba22fp-61},
    {&Cos, 0x1.921fb54442d18p+1, -0x1.0000000000000p+0},
    {&Cos, 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54},
    {&Cos, 0x1.4f8b588e368f1p-17, 0x1.ffffffff920c8p-1},
    {&Cos, 0x1.e240c9fbe76c9p+16, 0x1.a74d27c41b22ap-5},
    {&Cos, -0x1.2a05f20000000p+31, -0x1.0405c948a5d7bp-3},
    {&Tan, -0x1.0382694f43532p+1, 0x1.048faa90a1f60p+1},
    {&Tan, 0x1.5e163d5df9720p+6, -0x1.e5ae8242ac222p-2},
    {&Tan, 0x1.0f0cf064dd592p+73, -0x1.a0f79c1b6b257p+0},
    {&Tan, 0x1.fffffffffffffp+1023, -0x1.4530cfe729484p-8},
    {&Tan, 0x1.6ac5b262ca1ffp+849, -0x1.d9ba9a7975636p+60},
    {&Tan, 0x1.921fb54442d18p+1, -0x1.1a62633145c07p-53},
    {&Tan, 0x1.921fb54442d18p+0, 0x1.d02967c31cdb5p+53},
    {&Tan, 0x1.4f8b588e368f1p-17, 0x1.4f8b588e6698ep-17},
    {&Tan, 0x1.e240c9fbe76c9p+16, -0x1.353a85fe8d6d5p+4},
    {&Tan, -0x1.2a05f20000000p+31, -0x1.f3fff930c8e93p+2},
    {&Asin, 0x1.2edcf47fa8468p-3, 0x1.2ffa5ec1fc145p-3},
    {&Asin, 0x1.0000000000000p-1, 0x1.0c152382d7366p-1},
    {&Asin, -0x1.0000000000000p-1, -0x1.0c152382d7366p-1},
    {&Asin, 0x1.fffffffffffffp-1, 0x1.921fb50442d18p+0},
    {&Asin, -0x1.fffffffffffffp-1, -0x1.921fb50442d18p+0},
    {&Asin, 0x1.12e0be826d695p-30, 0x1.12e0be826d695p-30},
    {&Asin, 0x1.6a09e667f3bcdp-1, 0x1.921fb54442d19p-1},
    {&Acos, -0x1.f29231a268928p-1, 0x1.74be351d84811p+1},
    {&Acos, 0x1.0000000000000p-1, 0x1.0c152382d7366p+0},
    {&Acos, -0x1.0000000000000p-1, 0x1.0c152382d7366p+1},
    {&Acos, 0x1.fffffffffffffp-1, 0x1.0000000000000p-26},
    {&Acos, -0x1.fffffffffffffp-1, 0x1.921fb52442d18p+1},
    {&Acos, 0x1.12e0be826d695p-30, 0x1.921fb53ff74e9p+0},
    {&Acos, 0x1.6a09e667f3bcdp-1, 0x1.921fb54442d18p-1},
    {&Atan, -0x1.2211954bc1b4ep-1, -0x1.07e982e9f98a7p-1},
    {&Atan, -0x1.60d405db95ba1p+4, -0x1.8685d382f411ep+0},
    {&Atan, 0x1.7e43c8800759cp+996, 0x1.921fb54442d18p+0},
    {&Atan, 0x1.56e1fc2f8f359p-997, 0x1.56e1fc2f8f359p-997},
    {&Atan, 0x1.0000000000000p-1, 0x1.dac670561bb4fp-2},
    {&Atan, 0x1.0000000000000p+0, 0x1.921fb54442d18p-1},
    {&Atan, -0x1.0000000000000p+0, -0x1.921fb54442d18p-1},
};

struct Golden2 {
  double (*function)(double, double);
  double x;
  double y;
  double result;
};
constexpr Golden2 kGolden2[] = {
    {&Pow, 0x1.0000000000000p+1, 0x1.0000000000000p-1, 0x1.6a09e667f3bcdp+0},
    {&Pow, 0x1.4000000000000p+3, -0x1.4000000000000p+2, 0x1.4f8b588e368f1p-17},
    {&Pow, 0x1.000000006df38p+0, 0x1.2a05f20000000p+33, 0x1.5bf0aa93f93c0p+1},
    {&Pow, 0x1.3333333333333p-2, 0x1.f400000000000p+8, 0x1.6e61ab2200633p-869},
    {&Pow, 0x1.8000000000000p+0, -0x1.f400000000000p+9, 0x1.06bdc6f923b3bp-585},
    {&Pow, 0x1.c000000000000p+2, 0x1.2c00000000000p+8, 0x1.2763cf89c12d4p+842},
    {&Pow, 0x1.199999999999ap+0, 0x1.b580000000000p+12, 0x1.70482352af339p+962},
    {&Pow, 0x0.0000000000001p-1022, 0x1.0000000000000p-2, 0x1.6a09e667f3bcdp-269},
    {&Pow, 0x1.8000000000000p+1, 0x1.0800000000000p+5, 0x1.3bfefa65abb83p+52},
    {&Pow, 0x1.0000000000000p+53, 0x1.0000000000000p+0, 0x1.0000000000000p+53},
    {&Pow, 0x1.0000002000000p+27, 0x1.0000000000000p+1, 0x1.0000004000000p+54},
    {&Pow, 0x1.253b034ab2c7fp+2, 0x1.5420ea7e4f5a2p+3, 0x1.4412655d36887p+23},
    {&Pow, 0x1.fffffffffffffp-1, 0x1.6345785d8a000p+56, 0x1.f9f4adc9092b5p-17},
    {&Pow, 0x1.3c083126e978dp+0, -0x1.c200000000000p+11, 0x0.0p+0},
    {&Atan2, 0x1.0000000000000p+0, -0x1.0000000000000p+0, 0x1.2d97c7f3321d2p+1},
    {&Atan2, 0x1.0000000000000p+0, 0x1.0000000000000p+0, 0x1.921fb54442d18p-1},
    {&Atan2, -0x1.0000000000000p+0, -0x1.0000000000000p+1, -0x1.56c6e7397f5aep+1},
    {&Atan2, 0x1.56e1fc2f8f359p-997, 0x1.7e43c8800759cp+996, 0x0.0p+0},
    {&Atan2, 0x0.0000000000003p-1022, 0x1.0000000000000p+1, 0x0.0000000000001p-1022},
    {&Atan2, -0x1.5c90b69e793a6p-1, 0x1.30474d09350f2p-1, -0x1.b4cd991eca856p-1},
    {&Atan2, 0x1.4000000000000p+2, 0x0.00000000007e8p-1022, 0x1.921fb54442d18p+0},
    {&Atan2, 0x1.5798ee2308c3ap-27, -0x1.0000000000000p+0, 0x1.921fb52ec942ap+1},
};

bool SameBits(double a, double b) {
  return (a != a && b != b) || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

TEST(RoundedMath, GoldenValues) {
  for (const Golden1& row : kGolden1)
    EXPECT_TRUE(SameBits(row.function(row.x), row.result))
        << std::hexfloat << &row - kGolden1 << ": f(" << row.x << ") = " << row.function(row.x)
        << ", not " << row.result;
  for (const Golden2& row : kGolden2)
    EXPECT_TRUE(SameBits(row.function(row.x, row.y), row.result))
        << std::hexfloat << &row - kGolden2 << ": f(" << row.x << ", " << row.y
        << ") = " << row.function(row.x, row.y) << ", not " << row.result;
}

TEST(RoundedMath, SpecialValues) {
  EXPECT_TRUE(SameBits(Exp(-kInfinity), 0));
  EXPECT_TRUE(SameBits(Exp(kInfinity), kInfinity));
  EXPECT_TRUE(SameBits(Exp(kNaN), kNaN));
  EXPECT_TRUE(SameBits(Log(0), -kInfinity));
  EXPECT_TRUE(SameBits(Log(-1), kNaN));
  EXPECT_TRUE(SameBits(Log(1), 0));
  EXPECT_TRUE(SameBits(Log2(0x1p-1074), -1074));
  EXPECT_TRUE(SameBits(Log10(1e22), 22));
  EXPECT_TRUE(SameBits(Sin(-0.0), -0.0));
  EXPECT_TRUE(SameBits(Sin(kInfinity), kNaN));
  EXPECT_TRUE(SameBits(Cos(0), 1));
  EXPECT_TRUE(SameBits(Asin(1), std::numbers::pi / 2));
  EXPECT_TRUE(SameBits(Asin(1.5), kNaN));
  EXPECT_TRUE(SameBits(Acos(1), 0));
  EXPECT_TRUE(SameBits(Acos(-1), std::numbers::pi));
  EXPECT_TRUE(SameBits(Atan(-kInfinity), -std::numbers::pi / 2));
  EXPECT_TRUE(SameBits(Atan2(0, -1), std::numbers::pi));
  EXPECT_TRUE(SameBits(Atan2(-0.0, 1), -0.0));
  EXPECT_TRUE(SameBits(Atan2(kInfinity, -kInfinity), 0x1.2d97c7f3321d2p+1));
  EXPECT_TRUE(SameBits(Pow(0, -3), kInfinity));
  EXPECT_TRUE(SameBits(Pow(-0.0, -3), -kInfinity));
  EXPECT_TRUE(SameBits(Pow(-0.0, -2), kInfinity));
  EXPECT_TRUE(SameBits(Pow(-2, 3), -8));
  EXPECT_TRUE(SameBits(Pow(-2, 0.5), kNaN));
  EXPECT_TRUE(SameBits(Pow(kNaN, 0), 1));
  EXPECT_TRUE(SameBits(Pow(1, kNaN), 1));
  EXPECT_TRUE(SameBits(Pow(-1, kInfinity), 1));
  EXPECT_TRUE(SameBits(Pow(0.5, -kInfinity), kInfinity));
  EXPECT_TRUE(SameBits(Pow(-kInfinity, -3), -0.0));
  EXPECT_TRUE(SameBits(Pow(2, -1074), 0x1p-1074));
  EXPECT_TRUE(SameBits(Pow(2, -1075), 0)) << "a tie, to even";
}

// |quick - accurate| / |accurate| in units of the bound that the quick way claims.
double ErrorIn(DoubleDouble quick, const WideFloat& accurate, double bound) {
  const WideFloat off = WideFloat::Of(quick.hi) + WideFloat::Of(quick.lo) - accurate;
  return off.is_zero() ? 0 : std::fabs((off / accurate).Rounded()) / bound;
}

// Rounding is right only while the bounds hold; the margin of eight is for what was not tried.
TEST(RoundedMath, QuickErrorsAreFarBelowTheirBounds) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 11;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto between = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53;
  };
  double exp = 0, log = 0, pow = 0, circle = 0, atan = 0, rough = 0, series = 0;
  for (int round = 0; round < 4000; ++round) {
    const double x = between(-700, 700);
    const ScaledValue power = QuickExp({x, 0});
    exp = std::max(exp, ErrorIn(power.value, WideExp(WideFloat::Of(x)).Scaled(-power.exponent),
                                kQuickExpError));
    const double near = 1 + between(-1, 1) * std::ldexp(1.0, -static_cast<int>(random() % 40));
    for (const double a : {near, between(0, 2), std::exp(x)}) {
      if (a == 1 || a == 0) continue;
      log = std::max(log, ErrorIn(QuickLog(a), WideLog(a), kQuickLogError));
    }
    const double base = between(0.01, 100);
    const double to = between(-150, 150);
    const ScaledValue raised = QuickExp(QuickLog(base) * to);
    pow = std::max(
        pow, ErrorIn(raised.value, WidePow(base, to).Scaled(-raised.exponent), kQuickPowError));
    const double angle = between(-1, 1) * (round % 2 == 0 ? 4 : kQuickAngleMax);
    if (std::fabs(QuickSin(angle).hi) >= kQuickCircleMin)
      circle = std::max(circle, ErrorIn(QuickSin(angle), WideSin(angle), kQuickCircleError));
    if (std::fabs(QuickCos(angle).hi) >= kQuickCircleMin)
      circle = std::max(circle, ErrorIn(QuickCos(angle), WideCos(angle), kQuickCircleError));
    const auto see_rough = [&](DoubleDouble value, const WideFloat& accurate) {
      if (std::fabs(value.hi) < kRoughMin) return;
      rough = std::max(rough, ErrorIn(value, accurate, kRoughError) * std::fabs(value.hi));
    };
    for (const double a : {angle, angle / kQuickAngleMax}) {
      see_rough(RoughSin(a), WideSin(a));
      see_rough(RoughCos(a), WideCos(a));
    }
    const ScaledValue rough_power = RoughExp(x);
    see_rough(rough_power.value, WideExp(WideFloat::Of(x)).Scaled(-rough_power.exponent));
    if (near != 1) see_rough(RoughLog(near), WideLog(near));
    see_rough(RoughLog(std::exp(x)), WideLog(std::exp(x)));
    const double little = between(-1, 1) * kSmallMax;
    series = std::max(series, ErrorIn(SmallSin(little), WideSin(little), kSmallError));
    series = std::max(series, ErrorIn(SmallAsin(little), WideAsin(little), kSmallError));
    const double small = between(-1, 1) * kQuickUnreducedMax;
    circle = std::max(circle, ErrorIn(QuickSin(small), WideSin(small), kQuickCircleError));
    const double u = between(0, 1) * std::ldexp(1.0, -static_cast<int>(random() % 12));
    atan =
        std::max(atan, ErrorIn(QuickAtan2({u, 0}, {1, 0}),
                               WideAtan2(WideFloat::Of(u), WideFloat::OfInt(1)), kQuickAtanError));
    atan =
        std::max(atan, ErrorIn(QuickAtan2({u, 0}, QuickCathetus(u)), WideAsin(u), kQuickAtanError));
  }
  EXPECT_LT(series, 1.0 / 2);
  RecordProperty("series", std::to_string(series));
  EXPECT_LT(rough, 1.0 / 2) << "of an absolute bound that the first term alone comes near";
  RecordProperty("rough", std::to_string(rough));
  for (const auto& [name, error] :
       {std::pair{"exp", exp}, {"log", log}, {"pow", pow}, {"circle", circle}, {"atan", atan}}) {
    EXPECT_LT(error, 1.0 / 8) << name;
    EXPECT_GT(error, 0) << name << " was not tried";
    RecordProperty(name, std::to_string(error));
  }
}

// The exponent of the difference; very small when there is none.
int Difference(const WideFloat& a, const WideFloat& b) {
  const WideFloat off = a - b;
  return off.is_zero() ? -10'000 : off.exponent;
}

TEST(RoundedMath, IdentitiesOfWideFloats) {
  const WideFloat two = WideFloat::OfInt(2);
  const WideFloat root = SquareRoot(two);
  EXPECT_LT(Difference(root * root, two), -310);
  EXPECT_LT(Difference(WideExp(WideLn2()), two), -295);
  EXPECT_LT(Difference(WideLog(10), WideLog(2) + WideLog(5)), -310);
  EXPECT_EQ((WideFloat::OfInt(7) / WideFloat::OfInt(-2)).Rounded(), -3.5);
  EXPECT_EQ(WideFloat::Of(-0x1p-1074).Rounded(), -0x1p-1074);
  EXPECT_EQ((WideFloat::Of(1) + WideFloat::Of(0x1p-53)).Rounded(), 1) << "a tie, to even";
  EXPECT_EQ((WideFloat::Of(1) + WideFloat::Of(0x1p-53) + WideFloat::Of(0x1p-200)).Rounded(),
            1 + 0x1p-52);
}

}  // namespace
}  // namespace headrace::base

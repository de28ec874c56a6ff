#include <algorithm>
#include <cmath>
#include <limits>

#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

constexpr int64_t kDayUs = 86'400'000'000;

struct Same {
  template <typename T>
  static T Do(T a) {
    return a;
  }
};
struct IntToFloat {
  static double Do(int64_t a) { return static_cast<double>(a); }
};
struct BoolToInt {
  static int64_t Do(uint8_t a) { return a; }
};
struct ToInt32 {
  static bool Do(int64_t a, int64_t* out) {
    *out = a;
    return a >= std::numeric_limits<int32_t>::min() && a <= std::numeric_limits<int32_t>::max();
  }
};
// Towards zero.
struct FloatToInt {
  static bool Do(double a, int64_t* out) {
    const bool good = a >= -0x1p63 && a < 0x1p63;
    *out = good ? static_cast<int64_t>(a) : 0;
    return good;
  }
};
struct FloatToInt32 {
  static bool Do(double a, int64_t* out) {
    return FloatToInt::Do(a, out) && ToInt32::Do(*out, out);
  }
};
struct ToFloat32 {
  static bool Do(double a, double* out) {
    *out = static_cast<double>(static_cast<float>(a));
    return std::isfinite(*out) || !std::isfinite(a);
  }
};
struct IntToFloat32 {
  static double Do(int64_t a) { return static_cast<double>(static_cast<float>(a)); }
};
struct DateToTimestamp {
  static bool Do(int64_t days, int64_t* out) { return !__builtin_mul_overflow(days, kDayUs, out); }
};
struct TimestampToDate {
  static int64_t Do(int64_t us) { return us / kDayUs - (us % kDayUs < 0 ? 1 : 0); }
};

// The text of a value is its JSON without quotes.
template <typename T>
void ToText(const Step& step, Frame& frame) {
  const auto a = frame.In<T>(step.arguments[0]);
  auto* out = frame.Out<std::string_view>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    std::string json;
    if constexpr (std::is_same_v<T, uint8_t>)
      json = a[row] != 0 ? "true" : "false";
    else
      json = Value(step.from, a[row]).ToJson();
    const size_t quote = !json.empty() && json[0] == '"' ? 1 : 0;
    const size_t size = json.size() - 2 * quote;
    char* text = frame.Text(size);
    std::copy_n(json.data() + quote, size, text);
    out[row] = {text, size};
  }
  frame.JoinNulls(step);
}

template <typename T>
bool Read(Type type, std::string_view text, T* out) {
  *out = T{};
  const auto value = Value::FromText(type, text);
  if (!value || value->is_null()) return false;
  if constexpr (std::is_same_v<T, uint8_t>)
    *out = value->as_bool() ? 1 : 0;
  else if constexpr (std::is_same_v<T, int64_t>)
    *out = value->as_int();
  else
    *out = value->as_double();
  return true;
}

template <typename T>
void FromText(const Step& step, Frame& frame) {
  const auto a = frame.In<std::string_view>(step.arguments[0]);
  const uint8_t* null = frame.Nulls(step.arguments[0]);
  T* out = frame.Out<T>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  for (size_t row = 0; row < frame.rows(); ++row) {
    const bool skip = null != nullptr && null[row] != kIsPresent;
    any |= failed[row] = !skip && !Read(step.type.type, a[row], out + row) ? 1 : 0;
    if (skip) out[row] = T{};
  }
  AddFailures(step, frame, failed, any);
}

Kernel FromInt(Type to) {
  if (to == Type::kInt32) return &Partial1<ToInt32, int64_t, int64_t>;
  if (to == Type::kInt64) return &Total1<Same, int64_t, int64_t>;
  if (to == Type::kFloat64) return &Total1<IntToFloat, int64_t, double>;
  return to == Type::kFloat32 ? &Total1<IntToFloat32, int64_t, double> : nullptr;
}

Kernel FromFloat(Type to) {
  if (to == Type::kInt32) return &Partial1<FloatToInt32, double, int64_t>;
  if (to == Type::kInt64) return &Partial1<FloatToInt, double, int64_t>;
  if (to == Type::kFloat32) return &Partial1<ToFloat32, double, double>;
  return to == Type::kFloat64 ? &Total1<Same, double, double> : nullptr;
}

Kernel FromMoment(Type from, Type to) {
  const bool zoned = from == Type::kTimestamp || from == Type::kTimestampNtz;
  if (to == Type::kDate) return zoned ? &Total1<TimestampToDate, int64_t, int64_t> : nullptr;
  if (to != Type::kTimestamp && to != Type::kTimestampNtz) return nullptr;
  return zoned ? &Total1<Same, int64_t, int64_t> : &Partial1<DateToTimestamp, int64_t, int64_t>;
}

Kernel OfText(Type to) {
  switch (MachineTypeOf(to)) {
    case MachineType::kBool: return &FromText<uint8_t>;
    case MachineType::kInt: return &FromText<int64_t>;
    case MachineType::kFloat: return &FromText<double>;
    case MachineType::kText: return nullptr;
  }
  return nullptr;
}

}  // namespace

Kernel ConversionKernel(Type from, Type to) {
  if (to == Type::kBytes || from == Type::kBytes) return nullptr;
  if (to == Type::kString) {
    switch (MachineTypeOf(from)) {
      case MachineType::kBool: return &ToText<uint8_t>;
      case MachineType::kInt: return &ToText<int64_t>;
      case MachineType::kFloat: return &ToText<double>;
      case MachineType::kText: return nullptr;
    }
  }
  if (from == Type::kString) return OfText(to);
  if (from == Type::kBool)
    return columns::IsInteger(to) ? &Total1<BoolToInt, uint8_t, int64_t> : nullptr;
  if (columns::IsInteger(from)) return FromInt(to);
  if (columns::IsFloating(from)) return FromFloat(to);
  return FromMoment(from, to);
}

}  // namespace headrace::pipeline

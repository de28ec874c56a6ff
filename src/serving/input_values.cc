#include "serving/input_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/base64.h"

namespace headrace::serving {
namespace {

using columns::Type;
using columns::Value;

constexpr int64_t kExactIntegers = 1LL << 53;  // up to here every integer is a double
constexpr int64_t kUsPerDay = 86'400'000'000;

std::unexpected<base::Error> Refuse(const Value& given, Type wanted) {
  return base::Fail(base::ErrorCode::kInvalidInput,
                    "expected " + std::string(columns::NameOf(wanted)) + ", got " + given.ToJson());
}

bool FitsInt32(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

base::Result<Value> FromDouble(const Value& given, Type wanted);

base::Result<Value> FromInteger(const Value& given, Type wanted) {
  const int64_t value = given.as_int();
  switch (wanted) {
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return Value(wanted, value);
    case Type::kInt32:
    case Type::kDate:
      return FitsInt32(value) ? base::Result<Value>(Value(wanted, value)) : Refuse(given, wanted);
    case Type::kFloat32:
    case Type::kFloat64:
      if (value > kExactIntegers || value < -kExactIntegers) return Refuse(given, wanted);
      return FromDouble(Value::Float64(static_cast<double>(value)), wanted);
    default: return Refuse(given, wanted);
  }
}

base::Result<Value> FromDouble(const Value& given, Type wanted) {
  const double value = given.as_double();
  if (wanted == Type::kFloat64) return Value(wanted, value);
  if (wanted == Type::kFloat32) {
    const double rounded = static_cast<float>(value);
    if (std::isinf(rounded) && !std::isinf(value)) return Refuse(given, wanted);
    return Value(wanted, rounded);
  }
  const bool whole =
      std::trunc(value) == value && std::abs(value) <= static_cast<double>(kExactIntegers);
  if (!columns::IsInteger(wanted) || !whole) return Refuse(given, wanted);
  return FromInteger(Value::Int64(static_cast<int64_t>(value)), wanted);
}

base::Result<Value> FromMoment(const Value& given, Type wanted) {
  if (given.type() == wanted) return given;
  if (wanted != Type::kTimestamp && wanted != Type::kTimestampNtz) return Refuse(given, wanted);
  int64_t us = given.as_int();
  if (given.type() == Type::kDate && __builtin_mul_overflow(us, kUsPerDay, &us))
    return Refuse(given, wanted);
  return Value(wanted, us);
}

base::Result<Value> FromBase64(const Value& given) {
  if (auto bytes = base::DecodeBase64(given.as_text()))
    return Value(Type::kBytes, std::move(*bytes));
  return base::Fail(base::ErrorCode::kInvalidInput,
                    "expected bytes as base64, got " + given.ToJson());
}

}  // namespace

base::Result<Value> ConvertInput(const Value& given, Type wanted) {
  if (given.is_null()) return Value::Null(wanted);
  switch (given.type()) {
    case Type::kBool:
      if (wanted == Type::kBool) return given;
      return Refuse(given, wanted);
    case Type::kString:
    case Type::kBytes:
      if (given.type() == wanted) return given;
      return wanted == Type::kBytes ? FromBase64(given) : Value::FromText(wanted, given.as_text());
    case Type::kFloat32:
    case Type::kFloat64: return FromDouble(given, wanted);
    case Type::kInt32:
    case Type::kInt64: return FromInteger(given, wanted);
    case Type::kDate:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return FromMoment(given, wanted);
    default: return Refuse(given, wanted);  // a list
  }
}

base::Result<const InputColumn*> InputNamed(const std::vector<InputColumn>& given,
                                            const std::string& name) {
  const auto first = std::ranges::find(given, name, &InputColumn::name);
  if (first == given.end()) return nullptr;
  if (std::ranges::find(first + 1, given.end(), name, &InputColumn::name) != given.end())
    return base::Fail(base::Error(base::ErrorCode::kInvalidInput, "`" + name + "` is given twice")
                          .With("field", name));
  return &*first;
}

uint64_t HeldBytes(const columns::Value& value) {
  uint64_t bytes = sizeof(value);
  if (value.is_null()) return bytes;
  if (columns::IsVariable(value.type())) bytes += sizeof(std::string) + value.as_text().size();
  if (columns::IsList(value.type())) {
    bytes += sizeof(columns::Value::Elements);
    for (const columns::Value& element : value.as_list()) bytes += HeldBytes(element);
  }
  return bytes;
}

uint64_t HeldBytes(const pipeline::ViewAnswer& answer) {
  constexpr uint64_t kOfTwoAllocations = 32;
  uint64_t bytes = sizeof(answer) + kOfTwoAllocations + answer.statuses.size();
  for (const columns::Value& value : answer.values) bytes += HeldBytes(value);
  return bytes;
}

uint64_t HeldBytes(const std::string& service, std::span<const std::string> features,
                   const std::vector<InputColumn>& inputs) {
  uint64_t bytes = service.size();
  for (const std::string& feature : features) bytes += sizeof(std::string) + feature.size();
  for (const InputColumn& column : inputs) {
    bytes += sizeof(column) + column.name.size();
    for (const columns::Value& value : column.values) bytes += HeldBytes(value);
  }
  return bytes;
}

}  // namespace headrace::serving

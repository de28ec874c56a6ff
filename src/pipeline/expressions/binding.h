#pragma once
// How a call's arguments are brought to what a kernel wants; for the files of functions.

#include <array>
#include <initializer_list>
#include <optional>
#include <string>

#include "pipeline/expressions/binder.h"
#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {

inline constexpr ValueType kBoolType{columns::Type::kBool};
inline constexpr ValueType kIntType{columns::Type::kInt64};
inline constexpr ValueType kFloatType{columns::Type::kFloat64};
inline constexpr ValueType kTextType{columns::Type::kString};
inline constexpr ValueType kBytesType{columns::Type::kBytes};
inline constexpr ValueType kDateType{columns::Type::kDate};
inline constexpr ValueType kTimestampType{columns::Type::kTimestamp};
inline constexpr ValueType kTimestampNtzType{columns::Type::kTimestampNtz};
inline constexpr ValueType kDurationType{columns::Type::kInt64, true};
inline constexpr ValueType kAnyType{columns::Type::kInt64, false, true};

inline bool IsNumber(const ValueType& type) {
  return !type.duration && !type.any && columns::IsNumeric(type.type);
}
inline bool IsInt(const ValueType& type) { return IsNumber(type) && columns::IsInteger(type.type); }
inline bool IsInstant(const ValueType& type) {
  return type.type == columns::Type::kTimestamp || type.type == columns::Type::kTimestampNtz;
}
inline bool IsDate(const ValueType& type) { return type.type == columns::Type::kDate; }

// The first wanted.size() arguments, each as the type wanted, given to one kernel.
Bound BindTo(Binder& binder, const Call& call, Kernel kernel, ValueType result,
             std::initializer_list<ValueType> wanted,
             std::shared_ptr<const StepData> data = nullptr);

// The text of an argument that must be a constant, as a pattern, a zone or a path is. Errors: it is
// not; `what` names it: "the pattern".
std::expected<std::string, ExpressionError> ConstantText(Binder& binder, const Call& call,
                                                         size_t argument, std::string_view what);
// The same for a whole number within [low, high].
std::expected<int64_t, ExpressionError> ConstantInt(Binder& binder, const Call& call,
                                                    size_t argument, std::string_view what,
                                                    int64_t low, int64_t high);
// Argument `argument` as text, or as it is when it is bytes.
Bound TextOrBytes(Binder& binder, const Call& call, size_t argument);

// Fails at an argument, with the nearest of `names`.
std::unexpected<ExpressionError> FailWithCandidates(const Syntax& at, std::string message,
                                                    std::string_view wanted,
                                                    std::span<const std::string> names);

}  // namespace headrace::pipeline

#include "pipeline/expressions/binding.h"

#include <fmt/format.h>

#include "contract/diagnostic.h"

namespace headrace::pipeline {

Bound BindTo(Binder& binder, const Call& call, Kernel kernel, ValueType result,
             std::initializer_list<ValueType> wanted, std::shared_ptr<const StepData> data) {
  std::vector<uint32_t> arguments;
  for (const ValueType& type : wanted) {
    const size_t i = arguments.size();
    HR_TRY(const uint32_t converted,
           binder.Convert(*call.syntax.children[i], call.arguments[i], type));
    arguments.push_back(converted);
  }
  return binder.Emit(call.syntax, kernel, result, std::move(arguments), std::move(data));
}

std::expected<std::string, ExpressionError> ConstantText(Binder& binder, const Call& call,
                                                         size_t argument, std::string_view what) {
  const Step& step = binder.step(call.arguments[argument]);
  if (step.kind != Step::Kind::kConstant || step.type != kTextType || step.constant.is_null())
    return Binder::Fail(*call.syntax.children[argument],
                        fmt::format("{} must be a quoted text", what));
  return step.constant.as_text();
}

std::expected<int64_t, ExpressionError> ConstantInt(Binder& binder, const Call& call,
                                                    size_t argument, std::string_view what,
                                                    int64_t low, int64_t high) {
  const Step& step = binder.step(call.arguments[argument]);
  const bool constant =
      step.kind == Step::Kind::kConstant && IsInt(step.type) && !step.constant.is_null();
  if (!constant || step.constant.as_int() < low || step.constant.as_int() > high)
    return Binder::Fail(*call.syntax.children[argument],
                        fmt::format("{} must be a number from {} to {}", what, low, high));
  return step.constant.as_int();
}

Bound TextOrBytes(Binder& binder, const Call& call, size_t argument) {
  if (binder.step(call.arguments[argument]).type == kBytesType) return call.arguments[argument];
  return binder.Convert(*call.syntax.children[argument], call.arguments[argument], kTextType);
}

std::unexpected<ExpressionError> FailWithCandidates(const Syntax& at, std::string message,
                                                    std::string_view wanted,
                                                    std::span<const std::string> names) {
  return std::unexpected(ExpressionError{at.begin, at.end, std::move(message),
                                         contract::NearestNames(wanted, names),
                                         ExpressionErrorKind::kType});
}

}  // namespace headrace::pipeline

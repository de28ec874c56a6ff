#include <fmt/format.h>

#include <limits>

#include "pipeline/expressions/binding.h"

namespace headrace::pipeline {
namespace {

using columns::Type;

// Folds two at a time, from the left.
Bound BindChain(Binder& binder, const Call& call,
                Kernel (*kernel_of)(std::string_view, MachineType)) {
  std::vector<uint32_t> arguments = call.arguments;
  HR_TRY(const ValueType type, binder.Unify(call.syntax, arguments));
  uint32_t result = arguments[0];
  for (size_t i = 1; i < arguments.size(); ++i) {
    HR_TRY(result, binder.Emit(call.syntax, kernel_of(call.function, MachineTypeOf(type.type)),
                               type, {result, arguments[i]}));
  }
  return result;
}
Bound BindCoalesce(Binder& binder, const Call& call) {
  return BindChain(binder, call,
                   [](std::string_view, MachineType type) { return CoalesceKernel(type); });
}
Bound BindExtreme(Binder& binder, const Call& call) {
  return BindChain(binder, call, &ExtremeKernel);
}

Bound BindNullIf(Binder& binder, const Call& call) {
  const ValueType first = binder.step(call.arguments[0]).type;
  std::vector<uint32_t> arguments = call.arguments;
  HR_TRY(const ValueType type, binder.Unify(call.syntax, arguments));
  const bool same_machine =
      MachineTypeOf(first.type) == MachineTypeOf(type.type) && first.type != Type::kDate;
  return binder.Emit(call.syntax, NullIfKernel(MachineTypeOf(type.type)),
                     same_machine && !first.any ? first : type, std::move(arguments));
}

Bound BindIf(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t condition, binder.Condition(*call.syntax.children[0], call.arguments[0]));
  std::vector<uint32_t> values = {call.arguments[1], call.arguments[2]};
  HR_TRY(const ValueType type, binder.Unify(call.syntax, values));
  return binder.Emit(call.syntax, SelectKernel(MachineTypeOf(type.type)), type,
                     {condition, values[0], values[1]});
}

constexpr std::array kFunctions = {
    FunctionRow{"coalesce", "coalesce(value, ...)", "The first that is not NULL.",
                "coalesce(NULL, 4)", "4", 1, kArgumentsMax, &BindCoalesce, "ifnull nvl"},
    FunctionRow{"greatest", "greatest(value, ...)", "The largest; NULLs are passed over.",
                "greatest(1, 3, NULL)", "3", 1, kArgumentsMax, &BindExtreme},
    FunctionRow{"if", "if(condition, a, b)", "a when the condition is true, else b.",
                "if(1 > 2, 'up', 'down')", "\"down\"", 3, 3, &BindIf, "iff"},
    FunctionRow{"least", "least(value, ...)", "The smallest; NULLs are passed over.",
                "least(2.5, 1)", "1.0", 1, kArgumentsMax, &BindExtreme},
    FunctionRow{"nullif", "nullif(a, b)", "NULL when they are equal, else a.", "nullif(0, 0)",
                "null", 2, 2, &BindNullIf},
};

}  // namespace

std::span<const FunctionRow> ChoiceFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

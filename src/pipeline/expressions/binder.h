#pragma once
// Gives an expression its types and turns it into steps.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expressions/functions.h"
#include "pipeline/expressions/program.h"
#include "pipeline/expressions/syntax.h"

namespace headrace::pipeline {

// Used once. Steps over constants alone are computed here (constant folding).
class Binder {
 public:
  Binder(const columns::Schema& inputs, std::vector<Step>& steps)
      : inputs_(inputs), steps_(steps) {}

  // The step that gives the value of `syntax`.
  Bound Bind(const Syntax& syntax);

  // For functions.cc: a computed step, and conversions of its arguments.
  Bound Emit(const Syntax& at, Kernel kernel, ValueType type, std::vector<uint32_t> arguments,
             std::shared_ptr<const StepData> data = nullptr);
  uint32_t Constant(ValueType type, columns::Value value);
  // The argument as `type`: widened without loss, a bare NULL taking any type. Errors: it can't be.
  Bound Convert(const Syntax& at, uint32_t step, ValueType type);
  // All arguments brought to the one type that holds each. Errors: there is none.
  std::expected<ValueType, ExpressionError> Unify(const Syntax& at,
                                                  std::vector<uint32_t>& arguments);

  // The step as a condition. Errors: it is something else.
  Bound Condition(const Syntax& syntax, uint32_t step);

  // The expression's results depend on the tz database.
  void NoteTimeZone() { uses_time_zones_ = true; }
  bool uses_time_zones() const { return uses_time_zones_; }

  const Step& step(uint32_t index) const { return steps_[index]; }
  static std::unexpected<ExpressionError> Fail(
      const Syntax& at, std::string message, ExpressionErrorKind kind = ExpressionErrorKind::kType);

 private:
  Bound Literal(const Syntax& syntax);
  Bound Moment(const Syntax& syntax);
  Bound Column(const Syntax& syntax);
  Bound Unary(const Syntax& syntax);
  Bound Binary(const Syntax& syntax);
  Bound Arithmetic(const Syntax& syntax, uint32_t left, uint32_t right);
  Bound TimeArithmetic(const Syntax& syntax, uint32_t left, uint32_t right);
  Bound Compare(const Syntax& syntax, std::string_view operation, uint32_t left, uint32_t right);
  Bound TextOperation(const Syntax& syntax, uint32_t left, uint32_t right);
  Bound BitOperation(const Syntax& syntax, uint32_t left, uint32_t right);
  Bound Distinct(const Syntax& syntax, uint32_t left, uint32_t right);
  Bound Logic(const Syntax& syntax, std::string_view operation, uint32_t left, uint32_t right);
  Bound CallOf(const Syntax& syntax);
  Bound Cast(const Syntax& syntax);
  Bound Case(const Syntax& syntax, bool with_subject);
  Bound In(const Syntax& syntax);
  Bound Between(const Syntax& syntax);
  Bound Push(const Syntax& at, Step step);
  bool Fold(Step& step);

  const columns::Schema& inputs_;
  std::vector<Step>& steps_;
  bool uses_time_zones_ = false;
  std::map<size_t, uint32_t> columns_;  // each input is loaded once
};

// "int64", "duration", "NULL".
std::string NameOf(const ValueType& type);

}  // namespace headrace::pipeline

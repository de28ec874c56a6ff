#include "pipeline/expressions/binder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/time.h"
#include "contract/diagnostic.h"
#include "contract/yaml_reading.h"
#include "pipeline/expressions/binding.h"
#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {

using columns::Type;
using columns::Value;
using Kind = Syntax::Kind;

namespace {

bool IsAggregateName(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "count", "sum", "avg", "mean", "min", "max", "share", "quantile", "last", "approx_distinct"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// Names that SQL engines give our types.
std::optional<Type> CastType(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Type>, 11> kAliases = {
      {{"bigint", Type::kInt64},
       {"integer", Type::kInt32},
       {"int", Type::kInt32},
       {"double", Type::kFloat64},
       {"real", Type::kFloat32},
       {"float", Type::kFloat32},
       {"varchar", Type::kString},
       {"text", Type::kString},
       {"boolean", Type::kBool},
       {"long", Type::kInt64},
       {"timestamptz", Type::kTimestamp}}};
  if (const auto type = columns::TypeNamed(name)) return type;
  for (const auto& [alias, type] : kAliases)
    if (alias == name) return type;
  return std::nullopt;
}

}  // namespace

std::string NameOf(const ValueType& type) {
  if (type.any) return "NULL";
  return type.duration ? "duration" : std::string(columns::NameOf(type.type));
}

std::unexpected<ExpressionError> Binder::Fail(const Syntax& at, std::string message,
                                              ExpressionErrorKind kind) {
  return std::unexpected(
      ExpressionError{at.begin, std::max(at.end, at.begin + 1), std::move(message), {}, kind});
}

Bound Binder::Push(const Syntax& at, Step step) {
  if (steps_.size() >= kStepsMax)
    return Fail(at, fmt::format("more than {} steps", kStepsMax), ExpressionErrorKind::kSyntax);
  step.self = static_cast<uint32_t>(steps_.size());
  steps_.push_back(std::move(step));
  return steps_.back().self;
}

uint32_t Binder::Constant(ValueType type, Value value) {
  Step step;
  step.kind = Step::Kind::kConstant;
  step.type = type;
  step.constant = std::move(value);
  step.self = static_cast<uint32_t>(steps_.size());
  steps_.push_back(std::move(step));
  return steps_.back().self;
}

// Computes a step over constants now. One that fails stays, so that its rows are counted as failed.
bool Binder::Fold(Step& step) {
  if (step.arguments.empty()) return false;
  std::vector<Step> small;
  for (const uint32_t argument : step.arguments) {
    if (steps_[argument].kind != Step::Kind::kConstant) return false;
    small.push_back(steps_[argument]);
    small.back().self = static_cast<uint32_t>(small.size() - 1);
  }
  small.push_back(step);
  Step& last = small.back();
  last.self = static_cast<uint32_t>(small.size() - 1);
  for (uint32_t i = 0; i < last.arguments.size(); ++i) last.arguments[i] = i;
  Frame frame(small, 1);
  RunKernels(small, frame);
  const uint8_t* nulls = frame.Nulls(last.self);
  if (nulls != nullptr && nulls[0] == kIsError) return false;
  step.constant = ValueAt(last, frame, 0);
  step.kind = Step::Kind::kConstant;
  step.arguments.clear();
  step.data.reset();
  return true;
}

Bound Binder::Emit(const Syntax& at, Kernel kernel, ValueType type, std::vector<uint32_t> arguments,
                   std::shared_ptr<const StepData> data) {
  Step step;
  step.kernel = kernel;
  step.type = type;
  step.data = std::move(data);
  if (!arguments.empty()) step.from = steps_[arguments[0]].type.type;
  step.arguments = std::move(arguments);
  Fold(step);
  return Push(at, std::move(step));
}

Bound Binder::Convert(const Syntax& at, uint32_t step, ValueType type) {
  const ValueType from = steps_[step].type;
  if (from == type) return step;
  if (from.any) return Constant(type, Value::Null(type.type));
  const bool wider = (columns::IsInteger(from.type) && type.type == Type::kInt64) ||
                     (columns::IsFloating(from.type) && type.type == Type::kFloat64);
  const bool plain = !from.duration && !type.duration;
  if (plain && wider) return step;
  const bool lossless =
      (IsInt(from) && type.type == Type::kFloat64) || (IsDate(from) && IsInstant(type));
  if (plain && lossless) return Emit(at, ConversionKernel(from.type, type.type), type, {step});
  return Fail(at, fmt::format("{} where {} is wanted", NameOf(from), NameOf(type)));
}

std::expected<ValueType, ExpressionError> Binder::Unify(const Syntax& at,
                                                        std::vector<uint32_t>& arguments) {
  ValueType common = kAnyType;
  for (const uint32_t argument : arguments) {
    const ValueType& type = steps_[argument].type;
    if (type.any || type == common) continue;
    if (common.any) {
      common = type;
    } else if (IsNumber(type) && IsNumber(common)) {
      common = IsInt(type) && IsInt(common) ? kIntType : kFloatType;
    } else if (IsDate(type) && IsInstant(common)) {
      continue;
    } else if (IsInstant(type) && IsDate(common)) {
      common = type;
    } else {
      std::string message =
          fmt::format("{} and {} do not go together", NameOf(common), NameOf(type));
      const bool text_for_time = (common == kTextType && (IsInstant(type) || IsDate(type))) ||
                                 (type == kTextType && (IsInstant(common) || IsDate(common)));
      if (text_for_time) message += "; write TIMESTAMP '2001-01-01T00:00:00Z' or DATE '2001-01-01'";
      const bool number_for_span =
          (common.duration && IsNumber(type)) || (type.duration && IsNumber(common));
      if (number_for_span) message += "; write a span of time as 30m or 1h";
      return Fail(at, std::move(message));
    }
  }
  for (uint32_t& argument : arguments) {
    HR_TRY(argument, Convert(at, argument, common));
  }
  return common;
}

Bound Binder::Bind(const Syntax& syntax) {
  switch (syntax.kind) {
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
    case Kind::kText: return Literal(syntax);
    case Kind::kDuration:
    case Kind::kTimestamp:
    case Kind::kDate: return Moment(syntax);
    case Kind::kColumn: return Column(syntax);
    case Kind::kUnary: return Unary(syntax);
    case Kind::kBinary: return Binary(syntax);
    case Kind::kCall: return CallOf(syntax);
    case Kind::kCast: return Cast(syntax);
    case Kind::kCase: return Case(syntax, /*with_subject=*/false);
    case Kind::kCaseOf: return Case(syntax, /*with_subject=*/true);
    case Kind::kIn: return In(syntax);
    case Kind::kBetween: return Between(syntax);
  }
  return Fail(syntax, "not an expression");
}

Bound Binder::Literal(const Syntax& syntax) {
  switch (syntax.kind) {
    case Kind::kNull: return Constant(kAnyType, Value::Null(Type::kInt64));
    case Kind::kBool: return Constant(kBoolType, Value::Bool(syntax.text == "true"));
    case Kind::kText: return Constant(kTextType, Value::String(syntax.text));
    case Kind::kInteger: {
      const auto value = contract::IntegerIn(syntax.text);
      if (!value)
        return Fail(syntax, fmt::format("{} is no int64; write {}.0 for a float", syntax.text,
                                        syntax.text));
      return Constant(kIntType, Value::Int64(*value));
    }
    default: {
      const auto value = contract::NumberIn(syntax.text);
      if (!value) return Fail(syntax, fmt::format("{} is no float64", syntax.text));
      return Constant(kFloatType, Value::Float64(*value));
    }
  }
}

Bound Binder::Moment(const Syntax& syntax) {
  if (syntax.kind == Kind::kDuration) {
    const auto span = base::ParseDuration(syntax.text);
    if (!span)
      return Fail(
          syntax,
          fmt::format("`{}` is neither a number nor a span of time such as 3s or 1h", syntax.text),
          ExpressionErrorKind::kSyntax);
    return Constant(kDurationType, Value::Int64(span->count()));
  }
  const Type type = syntax.kind == Kind::kDate ? Type::kDate : Type::kTimestamp;
  auto value = Value::FromText(type, syntax.text);
  if (!value) return Fail(syntax, fmt::format("'{}' is no {}", syntax.text, columns::NameOf(type)));
  return Constant({type}, std::move(*value));
}

Bound Binder::Column(const Syntax& syntax) {
  const auto index = inputs_.IndexOf(syntax.text);
  if (!index) {
    std::vector<std::string> names;
    for (const columns::Field& field : inputs_.fields()) names.push_back(field.name);
    return std::unexpected(ExpressionError{
        syntax.begin, syntax.end, fmt::format("no column `{}`", syntax.text),
        contract::NearestNames(syntax.text, names), ExpressionErrorKind::kUnknownColumn});
  }
  if (const auto found = columns_.find(*index); found != columns_.end()) return found->second;
  Step step;
  step.kind = Step::Kind::kColumn;
  step.type = {inputs_.field(*index).type};
  step.input = *index;
  HR_TRY(const uint32_t loaded, Push(syntax, std::move(step)));
  columns_[*index] = loaded;
  return loaded;
}

Bound Binder::Condition(const Syntax& syntax, uint32_t step) {
  if (steps_[step].type.type == Type::kBool) return step;
  if (steps_[step].type.any) return Constant(kBoolType, Value::Null(Type::kBool));
  return Fail(syntax, fmt::format("a condition is wanted, this is {}", NameOf(steps_[step].type)));
}

Bound Binder::Unary(const Syntax& syntax) {
  HR_TRY(uint32_t child, Bind(*syntax.children[0]));
  if (syntax.text.starts_with("is"))
    return Emit(syntax, IsNullKernel(syntax.text), kBoolType, {child});
  if (syntax.text == "not") {
    HR_TRY(child, Condition(*syntax.children[0], child));
    return Emit(syntax, LogicKernel("not"), kBoolType, {child});
  }
  const ValueType type = steps_[child].type;
  if (syntax.text == "~") {
    HR_TRY(child, Convert(*syntax.children[0], child, kIntType));
    return Emit(syntax, BitKernel("~"), kIntType, {child});
  }
  if (!IsNumber(type) && !type.duration)
    return Fail(syntax, fmt::format("`{}` wants a number, this is {}", syntax.text, NameOf(type)));
  if (syntax.text == "+") return child;
  const ValueType result = type.duration ? kDurationType : IsInt(type) ? kIntType : kFloatType;
  return Emit(syntax, NegateKernel(MachineTypeOf(result.type)), result, {child});
}

Bound Binder::Binary(const Syntax& syntax) {
  HR_TRY(const uint32_t left, Bind(*syntax.children[0]));
  HR_TRY(const uint32_t right, Bind(*syntax.children[1]));
  if (syntax.text == "and" || syntax.text == "or") return Logic(syntax, syntax.text, left, right);
  if (syntax.text == "like" || syntax.text == "ilike" || syntax.text == "||")
    return TextOperation(syntax, left, right);
  if (syntax.text.ends_with("distinct from")) return Distinct(syntax, left, right);
  for (const std::string_view operation : {"&", "|", "<<", ">>"})
    if (syntax.text == operation) return BitOperation(syntax, left, right);
  static constexpr std::string_view kComparisons = "= <> < <= > >=";
  if (kComparisons.find(syntax.text) != std::string_view::npos)
    return Compare(syntax, syntax.text, left, right);
  return Arithmetic(syntax, left, right);
}

Bound Binder::TextOperation(const Syntax& syntax, uint32_t left, uint32_t right) {
  HR_TRY(uint32_t a, Convert(*syntax.children[0], left, kTextType));
  HR_TRY(uint32_t b, Convert(*syntax.children[1], right, kTextType));
  if (syntax.text == "||") return Emit(syntax, TextKernel("concat"), kTextType, {a, b});
  if (syntax.text == "ilike") {
    HR_TRY(a, Emit(syntax, TextKernel("lower"), kTextType, {a}));
    HR_TRY(b, Emit(syntax, TextKernel("lower"), kTextType, {b}));
  }
  return Emit(syntax, TextKernel("like"), kBoolType, {a, b});
}

Bound Binder::BitOperation(const Syntax& syntax, uint32_t left, uint32_t right) {
  HR_TRY(const uint32_t a, Convert(*syntax.children[0], left, kIntType));
  HR_TRY(const uint32_t b, Convert(*syntax.children[1], right, kIntType));
  return Emit(syntax, BitKernel(syntax.text), kIntType, {a, b});
}

Bound Binder::Distinct(const Syntax& syntax, uint32_t left, uint32_t right) {
  std::vector<uint32_t> sides = {left, right};
  HR_TRY(const ValueType type, Unify(syntax, sides));
  HR_TRY(const uint32_t distinct,
         Emit(syntax, DistinctKernel(MachineTypeOf(type.type)), kBoolType, std::move(sides)));
  if (syntax.text == "is distinct from") return distinct;
  return Emit(syntax, LogicKernel("not"), kBoolType, {distinct});
}

Bound Binder::Logic(const Syntax& syntax, std::string_view operation, uint32_t left,
                    uint32_t right) {
  const bool plain = syntax.children.size() == 2;
  HR_TRY(const uint32_t a, Condition(plain ? *syntax.children[0] : syntax, left));
  HR_TRY(const uint32_t b, Condition(plain ? *syntax.children[1] : syntax, right));
  return Emit(syntax, LogicKernel(operation), kBoolType, {a, b});
}

Bound Binder::Compare(const Syntax& syntax, std::string_view operation, uint32_t left,
                      uint32_t right) {
  std::vector<uint32_t> sides = {left, right};
  HR_TRY(const ValueType type, Unify(syntax, sides));
  return Emit(syntax, ComparisonKernel(operation, MachineTypeOf(type.type)), kBoolType,
              std::move(sides));
}

// Instants and spans: instant ± span, instant - instant, date ± days, span ± span, span * number,
// span / span.
Bound Binder::TimeArithmetic(const Syntax& syntax, uint32_t left, uint32_t right) {
  const std::string& op = syntax.text;
  const ValueType a = steps_[left].type;
  const ValueType b = steps_[right].type;
  const bool sum = op == "+" || op == "-";
  const Kernel kernel = ArithmeticKernel(op, MachineType::kInt);
  if (sum && IsInstant(a) && b.duration) return Emit(syntax, kernel, a, {left, right});
  if (op == "+" && a.duration && IsInstant(b)) return Emit(syntax, kernel, b, {left, right});
  if (sum && a.duration && b.duration) return Emit(syntax, kernel, kDurationType, {left, right});
  if (op == "-" && IsDate(a) && IsDate(b)) return Emit(syntax, kernel, kIntType, {left, right});
  if (op == "*" && ((a.duration && IsInt(b)) || (IsInt(a) && b.duration)))
    return Emit(syntax, kernel, kDurationType, {left, right});
  if (op == "/" && a.duration && b.duration) {
    HR_TRY(const uint32_t x,
           Emit(syntax, ConversionKernel(Type::kInt64, Type::kFloat64), kFloatType, {left}));
    HR_TRY(const uint32_t y,
           Emit(syntax, ConversionKernel(Type::kInt64, Type::kFloat64), kFloatType, {right}));
    return Emit(syntax, ArithmeticKernel("/", MachineType::kFloat), kFloatType, {x, y});
  }
  const bool instants = op == "-" && (IsInstant(a) || IsDate(a)) && (IsInstant(b) || IsDate(b));
  if (instants) {
    std::vector<uint32_t> sides = {left, right};
    HR_TRY(const ValueType common, Unify(syntax, sides));
    if (IsInstant(common)) return Emit(syntax, kernel, kDurationType, std::move(sides));
  }
  if (sum && IsDate(a) && IsInt(b)) {
    HR_TRY(const uint32_t days, Emit(syntax, kernel, kIntType, {left, right}));
    HR_TRY(const uint32_t fits,
           Emit(syntax, ConversionKernel(Type::kInt64, Type::kInt32), {Type::kDate}, {days}));
    return fits;
  }
  return Fail(syntax, fmt::format("`{}` can't take {} and {}", op, NameOf(a), NameOf(b)));
}

Bound Binder::Arithmetic(const Syntax& syntax, uint32_t left, uint32_t right) {
  std::vector<uint32_t> sides = {left, right};
  const bool null = steps_[left].type.any || steps_[right].type.any;
  if (null) {
    HR_TRY(ValueType type, Unify(syntax, sides));
    if (type.any) type = kIntType;
    if (IsNumber(type)) return Constant(type, Value::Null(type.type));
  }
  if (!IsNumber(steps_[left].type) || !IsNumber(steps_[right].type))
    return TimeArithmetic(syntax, left, right);
  HR_TRY(ValueType type, Unify(syntax, sides));
  type = columns::IsInteger(type.type) ? kIntType : kFloatType;
  if (syntax.text == "/" && type == kIntType) {
    type = kFloatType;
    for (uint32_t& side : sides) {
      HR_TRY(side, Convert(syntax, side, kFloatType));
    }
  }
  return Emit(syntax, ArithmeticKernel(syntax.text, MachineTypeOf(type.type)), type,
              std::move(sides));
}

Bound Binder::CallOf(const Syntax& syntax) {
  const FunctionRow* row = FunctionNamed(syntax.text);
  if (row == nullptr) {
    if (const std::string_view why = WhyNotHere(syntax.text); !why.empty())
      return Fail(syntax, fmt::format("{}() is not in this version: {}", syntax.text, why),
                  ExpressionErrorKind::kNotInThisVersion);
    if (IsAggregateName(syntax.text))
      return Fail(syntax,
                  fmt::format("{}() is an aggregate: it stands alone as a feature; combine "
                              "features under on_request",
                              syntax.text),
                  ExpressionErrorKind::kUnknownFunction);
    return std::unexpected(ExpressionError{syntax.begin, syntax.begin + syntax.text.size(),
                                           fmt::format("no function {}()", syntax.text),
                                           contract::NearestNames(syntax.text, FunctionNames()),
                                           ExpressionErrorKind::kUnknownFunction});
  }
  const size_t given = syntax.children.size();
  if (given < row->arguments_min || given > row->arguments_max)
    return Fail(syntax, fmt::format("{} has {} argument{}; write {}", row->name, given,
                                    given == 1 ? "" : "s", row->signature));
  Call call{syntax, row->name, {}};
  for (const SyntaxPtr& child : syntax.children) {
    HR_TRY(const uint32_t argument, Bind(*child));
    call.arguments.push_back(argument);
  }
  return row->bind(*this, call);
}

Bound Binder::Cast(const Syntax& syntax) {
  HR_TRY(const uint32_t value, Bind(*syntax.children[0]));
  const auto type = CastType(syntax.text);
  if (!type) {
    std::vector<std::string> names;
    for (const columns::TypeRow& row : columns::TypeTable()) names.emplace_back(row.name);
    return FailWithCandidates(syntax, fmt::format("no type `{}`", syntax.text), syntax.text, names);
  }
  const ValueType from = steps_[value].type;
  if (from.any) return Constant({*type}, Value::Null(*type));
  if (from.type == *type && !from.duration) return value;
  const Kernel kernel = ConversionKernel(from.type, *type);
  if (kernel == nullptr)
    return Fail(syntax, fmt::format("{} can't become {}", NameOf(from), columns::NameOf(*type)));
  return Emit(syntax, kernel, {*type}, {value});
}

Bound Binder::Case(const Syntax& syntax, bool with_subject) {
  size_t at = 0;
  uint32_t subject = 0;
  if (with_subject) {
    HR_TRY(subject, Bind(*syntax.children[at++]));
  }
  std::vector<uint32_t> conditions;
  std::vector<uint32_t> values;
  for (; at + 1 < syntax.children.size(); at += 2) {
    HR_TRY(uint32_t condition, Bind(*syntax.children[at]));
    if (with_subject) {
      HR_TRY(condition, Compare(*syntax.children[at], "=", subject, condition));
    }
    HR_TRY(condition, Condition(*syntax.children[at], condition));
    HR_TRY(const uint32_t value, Bind(*syntax.children[at + 1]));
    conditions.push_back(condition);
    values.push_back(value);
  }
  HR_TRY(const uint32_t otherwise, Bind(*syntax.children.back()));
  values.push_back(otherwise);
  HR_TRY(const ValueType type, Unify(syntax, values));
  uint32_t result = values.back();
  for (size_t i = conditions.size(); i-- > 0;) {
    HR_TRY(result, Emit(syntax, SelectKernel(MachineTypeOf(type.type)), type,
                        {conditions[i], values[i], result}));
  }
  return result;
}

Bound Binder::In(const Syntax& syntax) {
  std::vector<uint32_t> sides;
  for (const SyntaxPtr& child : syntax.children) {
    HR_TRY(const uint32_t side, Bind(*child));
    sides.push_back(side);
  }
  HR_TRY(const ValueType type, Unify(syntax, sides));
  const MachineType machine = MachineTypeOf(type.type);
  std::vector<Value> constants;
  for (size_t i = 1; i < sides.size(); ++i)
    if (steps_[sides[i]].kind == Step::Kind::kConstant && !steps_[sides[i]].constant.is_null())
      constants.push_back(steps_[sides[i]].constant);
  const bool set = (machine == MachineType::kInt || machine == MachineType::kText) &&
                   constants.size() + 1 == sides.size();
  if (set && constants.size() > 2)
    return Emit(syntax, InSetKernel(machine), kBoolType, {sides[0]}, MakeConstantSet(constants));
  uint32_t result = 0;
  for (size_t i = 1; i < sides.size(); ++i) {
    HR_TRY(const uint32_t same,
           Emit(syntax, ComparisonKernel("=", machine), kBoolType, {sides[0], sides[i]}));
    if (i == 1) {
      result = same;
      continue;
    }
    HR_TRY(result, Emit(syntax, LogicKernel("or"), kBoolType, {result, same}));
  }
  return result;
}

Bound Binder::Between(const Syntax& syntax) {
  HR_TRY(const uint32_t value, Bind(*syntax.children[0]));
  HR_TRY(const uint32_t low, Bind(*syntax.children[1]));
  HR_TRY(const uint32_t high, Bind(*syntax.children[2]));
  HR_TRY(const uint32_t above, Compare(syntax, ">=", value, low));
  HR_TRY(const uint32_t below, Compare(syntax, "<=", value, high));
  return Logic(syntax, "and", above, below);
}

}  // namespace headrace::pipeline

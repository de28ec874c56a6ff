// Steps:
//   1. the text is parsed as an expression;
//   2. moments, days and texts beside times are written out as literals: `plain_`. What stands
//      where is kept, so that errors in it are told by places in the text;
//   3. that is compiled, and its tree searched for what files can tell.
#include "tables/where/where_clause.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "pipeline/expressions/syntax.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using columns::Value;
using delta::Condition;
using pipeline::Expression;
using pipeline::ExpressionError;
using pipeline::Syntax;
using Kind = Syntax::Kind;

constexpr base::Duration kDay = std::chrono::hours(24);
constexpr size_t kShownMax = 100;  // bytes of a text that are shown on each side of a mistake

bool IsTime(Type type) { return type == Type::kTimestamp || type == Type::kTimestampNtz; }
bool IsMoment(Type type) { return IsTime(type) || type == Type::kDate; }

std::optional<Condition::Is> ComparisonOf(std::string_view symbol) {
  using Is = Condition::Is;
  if (symbol == "=") return Is::kEqual;
  if (symbol == "<") return Is::kLess;
  if (symbol == "<=") return Is::kAtMost;
  if (symbol == ">") return Is::kGreater;
  if (symbol == ">=") return Is::kAtLeast;
  return std::nullopt;
}

// "5 < a" is "a > 5".
Condition::Is Turned(Condition::Is is) {
  using Is = Condition::Is;
  switch (is) {
    case Is::kEqual: return Is::kEqual;
    case Is::kLess: return Is::kGreater;
    case Is::kAtMost: return Is::kAtLeast;
    case Is::kGreater: return Is::kLess;
    case Is::kAtLeast: return Is::kAtMost;
  }
  return is;
}

// A constant as a value of a column's type, when the two compare as that type does. Not of float32:
// its bounds are written with the fewest digits that read back to the same float32, and are other
// numbers than the column's, which compare as float64.
std::optional<Value> As(Type column, const Value& constant) {
  if (constant.is_null()) return std::nullopt;
  const Type type = constant.type();
  if (columns::IsInteger(column) && columns::IsInteger(type))
    return Value(column, constant.as_int());
  if (column == Type::kFloat64 && columns::IsInteger(type))
    return Value(column, static_cast<double>(constant.as_int()));
  if (column == Type::kFloat64 && columns::IsFloating(type))
    return Value(column, constant.as_double());
  const bool same = column == type && (type == Type::kString || IsMoment(type));
  return same ? std::optional(constant) : std::nullopt;
}

// A value of a time or a date as an expression has it.
std::string Literal(const Value& value) {
  std::string text = value.ToJson();
  std::erase(text, '"');
  if (value.type() == Type::kTimestampNtz) return fmt::format("CAST('{}' AS timestamp_ntz)", text);
  return fmt::format("{} '{}'", value.type() == Type::kDate ? "DATE" : "TIMESTAMP", text);
}

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

std::string_view Around(std::string_view text, size_t begin, size_t& shown_begin) {
  const size_t line = text.substr(0, begin).rfind('\n');
  shown_begin = line == std::string_view::npos ? 0 : line + 1;
  if (begin - shown_begin > kShownMax) shown_begin = begin - kShownMax;
  std::string_view shown = text.substr(shown_begin);
  shown = shown.substr(0, shown.find('\n'));
  return shown.substr(0, begin - shown_begin + kShownMax);
}

size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

// Writes out what an expression does not know.
class WhereReader {
 public:
  WhereReader(const std::string& text, const columns::Schema& table, base::Timestamp now,
              const std::map<std::string, std::string>& others)
      : text_(text), table_(table), now_(now), others_(others) {}

  std::expected<void, ExpressionError> Walk(const Syntax& syntax,
                                            std::optional<Type> beside = std::nullopt) {
    switch (syntax.kind) {
      case Kind::kColumn: return Name(syntax, beside);
      case Kind::kText: return Text(syntax, beside);
      case Kind::kBinary:
        if (auto day = DayOf(syntax)) return Day(syntax, **day);
        return Compared(syntax);
      case Kind::kIn:
      case Kind::kBetween: return Compared(syntax);
      default: return Children(syntax, std::nullopt);
    }
  }

  std::string plain;
  std::vector<WhereClause::Replaced> replaced;

  // What is left of the text, once all of it was walked.
  void End() { Copy(text_.size()); }

 private:
  std::optional<Type> TypeOf(const Syntax& syntax) const {
    if (syntax.kind != Kind::kColumn) return std::nullopt;
    const auto index = table_.IndexOf(syntax.text);
    return index ? std::optional(table_.field(*index).type) : std::nullopt;
  }

  std::expected<void, ExpressionError> Children(const Syntax& syntax, std::optional<Type> beside) {
    for (const auto& child : syntax.children) {
      auto walked = Walk(*child, beside);
      if (!walked) return walked;
    }
    return {};
  }

  // Its sides are of the type of the column among them.
  std::expected<void, ExpressionError> Compared(const Syntax& syntax) {
    const bool logical = syntax.kind == Kind::kBinary &&
                         (syntax.text == "and" || syntax.text == "or" || syntax.text == "||");
    std::optional<Type> beside;
    for (const auto& child : syntax.children)
      if (const auto type = TypeOf(*child); !logical && type && IsMoment(*type)) beside = type;
    const bool counts = syntax.text == "-" || syntax.text == "+";
    if (!beside && counts) beside = beside_;  // now - 2d
    const auto outer = std::exchange(beside_, beside);
    auto walked = Children(syntax, beside);
    beside_ = outer;
    return walked;
  }

  std::optional<base::Timestamp> MomentNamed(std::string_view name) const {
    const base::Timestamp today{now_.us - now_.us % kDay.count()};
    if (name == "now") return now_;
    if (name == "today") return today;
    if (name == "yesterday") return today - kDay;
    return std::nullopt;
  }

  std::expected<void, ExpressionError> Name(const Syntax& syntax, std::optional<Type> beside) {
    if (const auto other = others_.find(syntax.text); other != others_.end())
      return std::unexpected(ExpressionError{
          syntax.begin, syntax.end,
          fmt::format("column `{}` is {}, which is not compared", other->first, other->second)});
    if (table_.IndexOf(syntax.text)) return {};
    const auto moment = MomentNamed(syntax.text);
    if (!moment) return {};
    Type type = beside.value_or(syntax.text == "now" ? Type::kTimestamp : Type::kDate);
    Put(syntax, Literal(type == Type::kDate ? Value(type, moment->us / kDay.count())
                                            : Value(type, moment->us)));
    return {};
  }

  std::expected<void, ExpressionError> Text(const Syntax& syntax, std::optional<Type> beside) {
    if (!beside) return {};
    const auto value = Value::FromText(*beside, syntax.text);
    if (!value)
      return std::unexpected(ExpressionError{
          syntax.begin, syntax.end,
          fmt::format("beside a {}: {}", columns::NameOf(*beside), value.error().message())});
    Put(syntax, Literal(*value));
    return {};
  }

  // The day of `day(at) = yesterday`; a day of the month is compared with a number.
  std::optional<const Syntax*> DayOf(const Syntax& syntax) const {
    if (syntax.text != "=") return std::nullopt;
    const Syntax& call = *syntax.children[0];
    const Syntax& day = *syntax.children[1];
    if (call.kind != Kind::kCall || call.text != "day" || call.children.size() != 1)
      return std::nullopt;
    const bool named = day.kind == Kind::kColumn && !table_.IndexOf(day.text) &&
                       MomentNamed(day.text) && day.text != "now";
    return named || day.kind == Kind::kText ? std::optional(&day) : std::nullopt;
  }

  std::expected<void, ExpressionError> Day(const Syntax& syntax, const Syntax& day) {
    const Syntax& column = *syntax.children[0]->children[0];
    const auto type = TypeOf(column);
    if (!type || !IsTime(*type)) {
      // An unknown column is told by the compiler.
      if (column.kind == Kind::kColumn && !type) return Name(column, std::nullopt);
      return std::unexpected(
          ExpressionError{column.begin, column.end,
                          fmt::format("`{}` is no column of times, and has no day",
                                      text_.substr(column.begin, column.end - column.begin))});
    }
    base::Timestamp begin;
    if (const auto named = MomentNamed(day.text); named && day.kind == Kind::kColumn) {
      begin = *named;
    } else {
      const auto value = Value::FromText(Type::kDate, day.text);
      if (!value)
        return std::unexpected(
            ExpressionError{day.begin, day.end,
                            fmt::format("`{}` is no day: write it like '2013-01-05'", day.text)});
      begin = {value->as_int() * kDay.count()};
    }
    Put(syntax,
        fmt::format("({0} >= {1} AND {0} < {2})", Quoted(column.text),
                    Literal(Value(*type, begin.us)), Literal(Value(*type, (begin + kDay).us))));
    return {};
  }

  void Copy(size_t end) {
    plain += text_.substr(copied_, end - copied_);
    copied_ = end;
  }
  void Put(const Syntax& in_place_of, const std::string& text) {
    Copy(in_place_of.begin);
    replaced.push_back(
        {in_place_of.begin, in_place_of.end, plain.size(), plain.size() + text.size()});
    plain += text;
    copied_ = in_place_of.end;
  }

  const std::string& text_;
  const columns::Schema& table_;
  const base::Timestamp now_;
  const std::map<std::string, std::string>& others_;
  std::optional<Type> beside_;  // of the comparison that is walked
  size_t copied_ = 0;
};

namespace {

// Collects what can be told of files from the tree of a condition.
class Terms {
 public:
  Terms(const std::string& plain, const columns::Schema& table) : plain_(plain), table_(table) {}

  void Collect(const Syntax& syntax) {
    if (syntax.kind == Kind::kBinary && syntax.text == "and") {
      for (const auto& child : syntax.children) Collect(*child);
      return;
    }
    bool told = false;
    if (const auto is = ComparisonOf(syntax.text); is && syntax.kind == Kind::kBinary) {
      told = Add(*syntax.children[0], *is, *syntax.children[1]);
      told = Add(*syntax.children[1], Turned(*is), *syntax.children[0]) || told;
    } else if (syntax.kind == Kind::kBetween) {
      told = Add(*syntax.children[0], Condition::Is::kAtLeast, *syntax.children[1]);
      told = Add(*syntax.children[0], Condition::Is::kAtMost, *syntax.children[2]) && told;
    }
    if (!told && untold == nullptr) untold = &syntax;
  }
  std::vector<Condition> conditions;
  const Syntax* untold = nullptr;

 private:
  bool Add(const Syntax& column, Condition::Is is, const Syntax& constant) {
    if (column.kind != Kind::kColumn) return false;
    const auto index = table_.IndexOf(column.text);
    if (!index) return false;
    const std::string_view text =
        std::string_view(plain_).substr(constant.begin, constant.end - constant.begin);
    const auto expression = Expression::Compile(text, std::make_shared<const columns::Schema>());
    if (!expression) return false;  // it reads columns, or is no whole text by itself
    auto value = As(table_.field(*index).type, expression->Evaluate(std::span<const Value>()));
    if (!value) return false;
    conditions.push_back({column.text, is, std::move(*value)});
    return true;
  }

  const std::string& plain_;
  const columns::Schema& table_;
};

}  // namespace

Result<WhereClause> WhereClause::Parse(std::string text, const columns::SchemaRef& table,
                                       base::Timestamp now,
                                       const std::map<std::string, std::string>& others) {
  WhereClause where;
  where.text_ = std::move(text);
  HR_TRY_VOID(where.WriteOut(table, now, others));
  HR_TRY(const Expression compiled, where.CompileFor(table));
  if (compiled.type() != Type::kBool)
    return where.Wrong(
        {0, where.plain_.size(),
         fmt::format("it is a {}, not a condition", columns::NameOf(compiled.type()))});
  where.inputs_ = compiled.inputs();
  HR_TRY_VOID(where.CollectConditions(*table));
  return where;
}

Result<void> WhereClause::WriteOut(const columns::SchemaRef& table, base::Timestamp now,
                                   const std::map<std::string, std::string>& others) {
  plain_ = text_;
  const auto syntax = pipeline::ParseExpression(text_);
  if (!syntax) return Wrong(syntax.error());
  WhereReader reader(text_, *table, now, others);
  if (const auto walked = reader.Walk(**syntax); !walked) return Wrong(walked.error());
  reader.End();
  plain_ = std::move(reader.plain);
  replaced_ = std::move(reader.replaced);
  return {};
}

Result<Expression> WhereClause::CompileFor(const columns::SchemaRef& schema) const {
  auto compiled = Expression::Compile(plain_, schema);
  if (!compiled) return Wrong(compiled.error());
  return std::move(*compiled);
}

Result<void> WhereClause::CollectConditions(const columns::Schema& table) {
  const auto syntax = pipeline::ParseExpression(plain_);
  if (!syntax) return Wrong(syntax.error());
  Terms terms(plain_, table);
  terms.Collect(**syntax);
  conditions_ = std::move(terms.conditions);
  if (terms.untold != nullptr) {
    untold_begin_ = terms.untold->begin;
    untold_end_ = terms.untold->end;
  }
  return {};
}

Result<void> WhereClause::CheckFilesTellAll() const {
  if (untold_begin_ == untold_end_) return {};
  return Wrong({untold_begin_, untold_end_,
                "files are chosen by their least and greatest values, which can't tell this: join "
                "conditions by AND, each a column compared (=, <, <=, >, >=, BETWEEN) with a value "
                "of its type"});
}

size_t WhereClause::PlaceOf(size_t plain) const {
  size_t longer = 0;  // plain_ before that place than text_; wraps around
  for (const Replaced& each : replaced_) {
    if (plain < each.plain_begin) break;
    if (plain < each.plain_end) return each.begin;
    longer = each.plain_end - each.end;
  }
  return plain - longer;
}

std::unexpected<base::Error> WhereClause::Wrong(const ExpressionError& error) const {
  std::string message = fmt::format("where: {}", error.message);
  for (size_t i = 0; i < error.candidates.size() && i < 3; ++i)
    message += fmt::format("{} `{}`", i == 0 ? ": did you mean" : " or", error.candidates[i]);
  const size_t begin = std::min(PlaceOf(error.begin), text_.size());
  // The last byte that is wrong, and the one after it.
  const size_t last = error.end > error.begin ? PlaceOf(error.end - 1) : begin;
  size_t end = std::max(begin + 1, last + 1);
  for (const Replaced& each : replaced_)
    if (last == each.begin) end = std::max(end, each.end);
  size_t shown_begin = 0;
  const std::string_view shown = Around(text_, begin, shown_begin);
  const size_t marked_end = std::min(end, shown_begin + shown.size());
  const size_t marked = marked_end > begin
                            ? CodePoints(std::string_view(text_).substr(begin, marked_end - begin))
                            : 1;
  message += fmt::format("\n  {}\n  {}{}", shown,
                         std::string(CodePoints(shown.substr(0, begin - shown_begin)), ' '),
                         std::string(std::max<size_t>(1, marked), '^'));
  return Fail(ErrorCode::kInvalidInput, std::move(message));
}

}  // namespace headrace::tables

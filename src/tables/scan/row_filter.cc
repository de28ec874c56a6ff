#include "tables/scan/row_filter.h"

#include <fmt/format.h>

#include <utility>

#include "pipeline/expressions/syntax.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using columns::Type;
using columns::Value;
using delta::Condition;
using pipeline::Expression;
using pipeline::Syntax;
using Kind = Syntax::Kind;

std::unexpected<base::Error> Wrong(const std::string& where,
                                   const pipeline::ExpressionError& error) {
  std::string message = fmt::format("where: {}", error.message);
  for (size_t i = 0; i < error.candidates.size() && i < 3; ++i)
    message += fmt::format("{} `{}`", i == 0 ? ": did you mean" : " or", error.candidates[i]);
  return Fail(base::Error(ErrorCode::kInvalidInput, std::move(message))
                  .With("at", std::to_string(error.begin))
                  .With("where", where));
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

std::optional<Condition::Is> ComparisonOf(const std::string& symbol) {
  using Is = Condition::Is;
  if (symbol == "=") return Is::kEqual;
  if (symbol == "<") return Is::kLess;
  if (symbol == "<=") return Is::kAtMost;
  if (symbol == ">") return Is::kGreater;
  if (symbol == ">=") return Is::kAtLeast;
  return std::nullopt;
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
  const bool same = column == type && (type == Type::kString || type == Type::kDate ||
                                       type == Type::kTimestamp || type == Type::kTimestampNtz);
  return same ? std::optional(constant) : std::nullopt;
}

// Collects what can be told of files from the tree of a condition.
class Terms {
 public:
  Terms(const std::string& where, const columns::Schema& table) : where_(where), table_(table) {}

  void Collect(const Syntax& syntax) {
    if (syntax.kind == Kind::kBinary && syntax.text == "and") {
      for (const auto& child : syntax.children) Collect(*child);
    } else if (syntax.kind == Kind::kBinary) {
      const auto is = ComparisonOf(syntax.text);
      if (!is) return;
      Add(*syntax.children[0], *is, *syntax.children[1]);
      Add(*syntax.children[1], Turned(*is), *syntax.children[0]);
    } else if (syntax.kind == Kind::kBetween) {
      Add(*syntax.children[0], Condition::Is::kAtLeast, *syntax.children[1]);
      Add(*syntax.children[0], Condition::Is::kAtMost, *syntax.children[2]);
    }
  }
  std::vector<Condition> conditions;

 private:
  void Add(const Syntax& column, Condition::Is is, const Syntax& constant) {
    if (column.kind != Kind::kColumn) return;
    const auto index = table_.IndexOf(column.text);
    if (!index) return;
    const std::string_view text =
        std::string_view(where_).substr(constant.begin, constant.end - constant.begin);
    const auto expression = Expression::Compile(text, std::make_shared<const columns::Schema>());
    if (!expression) return;  // it reads columns, or is no whole text by itself
    if (auto value = As(table_.field(*index).type, expression->Evaluate(std::span<const Value>())))
      conditions.push_back({column.text, is, std::move(*value)});
  }

  const std::string& where_;
  const columns::Schema& table_;
};

}  // namespace

Result<RowFilter> RowFilter::Make(const std::string& where, const columns::SchemaRef& table) {
  RowFilter filter;
  filter.where_ = where;
  if (where.empty()) return filter;
  HR_TRY_VOID(filter.CompileFor(table));
  if (filter.expression_->type() != Type::kBool)
    return Fail(ErrorCode::kInvalidInput, fmt::format("where: it is a {}, not a condition",
                                                      columns::NameOf(filter.expression_->type())));
  filter.inputs_ = filter.expression_->inputs();
  const auto syntax = pipeline::ParseExpression(where);
  if (!syntax) return Wrong(where, syntax.error());
  Terms terms(where, *table);
  terms.Collect(**syntax);
  filter.conditions_ = std::move(terms.conditions);
  return filter;
}

Result<void> RowFilter::CompileFor(const columns::SchemaRef& schema) {
  auto compiled = Expression::Compile(where_, schema);
  if (!compiled) return Wrong(where_, compiled.error());
  expression_ = std::move(*compiled);
  compiled_for_ = schema;
  return {};
}

Result<ColumnBatch> RowFilter::Apply(const ColumnBatch& batch) {
  if (!expression_) return batch;
  if (compiled_for_ != batch.schema() && *compiled_for_ != *batch.schema())
    HR_TRY_VOID(CompileFor(batch.schema()));
  const columns::Column fits = expression_->Evaluate(batch);
  std::vector<uint32_t> rows;
  for (size_t row = 0; row < batch.rows(); ++row)
    if (!fits.IsNull(row) && fits.Bool(row)) rows.push_back(static_cast<uint32_t>(row));
  return rows.size() == batch.rows() ? batch : batch.Take(rows);
}

}  // namespace headrace::tables

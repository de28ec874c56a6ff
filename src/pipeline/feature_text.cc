#include "pipeline/feature_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "contract/yaml_reading.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

constexpr std::array<std::string_view, 12> kLaterAggregates = {
    "approx_distinct", "distinct", "count_distinct", "first",   "stddev", "variance",
    "median",          "top",      "decay",          "collect", "any",    "every"};

const AggregateRow* RowNamed(std::string_view name) {
  for (const AggregateRow& row : AggregateTable())
    if (row.name == name || (!row.alias.empty() && row.alias == name)) return &row;
  return nullptr;
}

std::vector<std::string> AggregateNames() {
  std::vector<std::string> names;
  for (const AggregateRow& row : AggregateTable()) {
    names.emplace_back(row.name);
    if (!row.alias.empty()) names.emplace_back(row.alias);
  }
  return names;
}

}  // namespace

bool FeatureReader::IsSymbol(size_t index, std::string_view symbol) const {
  return index < tokens_.size() && tokens_[index].kind == Token::Kind::kSymbol &&
         tokens_[index].text == symbol;
}

void FeatureReader::Fail(DiagnosticCode code, const YamlNode& node, Range range,
                         const std::string& message, std::string hint) {
  const size_t last = range.empty() ? range.begin : range.end - 1;
  const bool known = range.begin < tokens_.size() && last < tokens_.size();
  report_.Error(code,
                known ? node.PlaceOf(tokens_[range.begin].begin, tokens_[last].end) : node.place,
                What() + ": " + message, std::move(hint));
}

bool FeatureReader::Unclosed(const YamlNode& node) {
  if (node.in_flow && node.style == YamlNode::Style::kPlain) {
    report_.Error(
        DiagnosticCode::kCommaInFlowMap, node.place,
        fmt::format("{}: a comma inside {{braces}} ended the text at `{}`", What(), node.text),
        "quote the whole expression: \"...\"");
    return false;
  }
  report_.Error(DiagnosticCode::kFeatureText, node.place,
                fmt::format("{}: `{}` has no closing )", What(), node.text));
  return true;
}

bool FeatureReader::Read(const YamlNode& name, const YamlNode& node) {
  if (node.is_map() || node.is_list() || node.is_null()) {
    report_.Error(DiagnosticCode::kWrongShape, node.is_null() ? name.place : node.place,
                  fmt::format("{}: feature {} must be a text, here is {}", What(), name.text,
                              contract::NameOf(node.kind)),
                  "as count(*)");
    return true;
  }
  auto tokens = Tokenize(node.text);
  if (!tokens) {
    report_expression_(node, 0, tokens.error(), What(), stream_.name);
    return true;
  }
  tokens_ = std::move(*tokens);
  const auto opened = std::count_if(tokens_.begin(), tokens_.end(), [](const Token& t) {
    return t.kind == Token::Kind::kSymbol && t.text == "(";
  });
  const auto closed = std::count_if(tokens_.begin(), tokens_.end(), [](const Token& t) {
    return t.kind == Token::Kind::kSymbol && t.text == ")";
  });
  if (opened > closed) return Unclosed(node);
  AggregateSpec spec;
  spec.name = name.text;
  Parts parts;
  if (!Aggregate(node, spec) || !Split(node, parts) || !Arguments(node, parts, spec)) return true;
  if (parts.has_where) {
    spec.where = Argument(node, parts.where);
    if (!spec.where) return true;
    if (view_.arguments[*spec.where].type() != columns::Type::kBool) {
      Fail(DiagnosticCode::kConditionNotBool, node, parts.where,
           "the condition is not true or false");
      return true;
    }
  }
  view_.features.push_back(std::move(spec));
  return true;
}

bool FeatureReader::Aggregate(const YamlNode& node, AggregateSpec& spec) {
  if (At(0).kind != Token::Kind::kName || !IsSymbol(1, "(")) {
    Fail(DiagnosticCode::kFeatureText, node, {0, tokens_.size() - 1},
         "a feature is one aggregate, here is `" + node.text + "`",
         "as sum(amount); combine features under on_request");
    return false;
  }
  const std::string name = LowerAscii(At(0).text);
  row_ = RowNamed(name);
  if (row_ != nullptr) {
    spec.kind = row_->kind;
    return true;
  }
  if (std::find(kLaterAggregates.begin(), kLaterAggregates.end(), name) != kLaterAggregates.end())
    Fail(DiagnosticCode::kNotInThisVersion, node, {0, 1},
         fmt::format("{}() is not in this version", name),
         fmt::format("there are: {}", fmt::join(AggregateNames(), ", ")));
  else
    Fail(DiagnosticCode::kUnknownAggregate, node, {0, 1}, fmt::format("no aggregate {}()", name),
         contract::DidYouMean(name, AggregateNames(),
                              fmt::format("there are: {}", fmt::join(AggregateNames(), ", "))));
  return false;
}

// name ( argument , argument ) [where condition]
bool FeatureReader::Split(const YamlNode& node, Parts& parts) {
  int depth = 0;
  size_t begin = 2;
  size_t close = 1;
  for (; close < tokens_.size(); ++close) {
    if (IsSymbol(close, "(")) ++depth;
    const bool ends = IsSymbol(close, ")") && --depth == 0;
    if (ends || (depth == 1 && IsSymbol(close, ","))) {
      if (!ends || close > begin || !parts.arguments.empty())
        parts.arguments.push_back({begin, close});
      begin = close + 1;
    }
    if (ends) break;
  }
  const size_t after = close + 1;
  const size_t end = tokens_.size() - 1;
  if (after >= end) return true;
  if (IsKeyword(At(after), "where") && after + 1 < end) {
    parts.where = {after + 1, end};
    parts.has_where = true;
    return true;
  }
  Fail(DiagnosticCode::kFeatureText, node, {after, end},
       "after the aggregate only `where` and a condition may follow",
       "combine features under on_request");
  return false;
}

std::optional<size_t> FeatureReader::Argument(const YamlNode& node, Range range) {
  if (range.empty()) {
    Fail(DiagnosticCode::kAggregateArgument, node, {range.begin, range.begin + 1},
         fmt::format("{}() has an empty argument", row_->name));
    return std::nullopt;
  }
  const size_t begin = At(range.begin).begin;
  const std::string text = node.text.substr(begin, At(range.end - 1).end - begin);
  for (size_t i = 0; i < view_.arguments.size(); ++i)
    if (view_.arguments[i].text() == text) return i;
  auto expression = Expression::Compile(text, stream_.schema());
  if (!expression) {
    report_expression_(node, begin, expression.error(), What(), stream_.name);
    return std::nullopt;
  }
  view_.arguments.push_back(std::move(*expression));
  return view_.arguments.size() - 1;
}

bool FeatureReader::Arguments(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  const size_t count = parts.arguments.size();
  const bool star = count == 1 && parts.arguments[0].end - parts.arguments[0].begin == 1 &&
                    IsSymbol(parts.arguments[0].begin, "*");
  if (star && spec.kind != AggregateKind::kCount) {
    Fail(DiagnosticCode::kAggregateArgument, node, parts.arguments[0],
         fmt::format("only count() takes *, not {}()", row_->name),
         fmt::format("as {}", row_->example));
    return false;
  }
  if (view_.lifetime() && spec.kind != AggregateKind::kLast) {
    Fail(DiagnosticCode::kLifetimeView, node, {0, 1},
         fmt::format("without `over` only last() is possible, not {}()", row_->name),
         "add `over: 24h`");
    return false;
  }
  if (star) return true;
  if (spec.kind == AggregateKind::kQuantile) return Quantile(node, parts, spec);
  if (count != 1) {
    Fail(DiagnosticCode::kAggregateArgument, node, {0, tokens_.size() - 1},
         fmt::format("{}() takes one argument, here are {}", row_->name, count),
         fmt::format("as {}", row_->example));
    return false;
  }
  spec.argument = Argument(node, parts.arguments[0]);
  return spec.argument && ResultOf(node, parts.arguments[0], spec);
}

bool FeatureReader::ResultOf(const YamlNode& node, Range argument, AggregateSpec& spec) {
  const Expression& expression = view_.arguments[*spec.argument];
  spec.argument_type = expression.type();
  const auto type = ResultType(spec.kind, spec.argument_type);
  if (type) {
    spec.result_type = *type;
    return true;
  }
  const std::string_view name = columns::NameOf(spec.argument_type);
  if (spec.kind == AggregateKind::kShare) {
    Fail(DiagnosticCode::kConditionNotBool, node, argument,
         fmt::format("share() takes a condition, `{}` is {}", expression.text(), name),
         "as share(delay > 15)");
  } else if (argument.end - argument.begin == 1 && At(argument.begin).kind == Token::Kind::kName) {
    Fail(DiagnosticCode::kContractContradictsView, node, argument,
         fmt::format("{}() takes a number, the contract says that `{}` is {}", row_->name,
                     expression.text(), name),
         "change its type in the contract, or CAST it here");
  } else {
    Fail(DiagnosticCode::kAggregateArgument, node, argument,
         fmt::format("{}() takes a number, this is {}", row_->name, name));
  }
  return false;
}

bool FeatureReader::Quantile(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  const size_t count = parts.arguments.size();
  const bool shape = count == 2 || count == 3;
  const Range rank = shape ? parts.arguments[1] : Range{};
  const auto value =
      shape && rank.end - rank.begin == 1 ? contract::NumberIn(At(rank.begin).text) : std::nullopt;
  if (!value || *value <= 0 || *value > 1) {
    Fail(DiagnosticCode::kAggregateArgument, node, shape ? rank : Range{0, tokens_.size() - 1},
         "quantile() takes a number and a rank in (0, 1]", "as quantile(delay, 0.9)");
    return false;
  }
  spec.quantile = *value;
  if (count == 3 && !QuantileError(node, parts.arguments[2], spec)) return false;
  spec.argument = Argument(node, parts.arguments[0]);
  if (!spec.argument) return false;
  return ResultOf(node, {parts.arguments[0].begin, parts.arguments[0].end}, spec);
}

// `error 1%` or `error 0.01`.
bool FeatureReader::QuantileError(const YamlNode& node, Range range, AggregateSpec& spec) {
  const size_t size = range.end - range.begin;
  const bool named = size >= 2 && IsKeyword(At(range.begin), "error");
  const auto number = named ? contract::NumberIn(At(range.begin + 1).text) : std::nullopt;
  const bool percent = size == 3 && IsSymbol(range.begin + 2, "%");
  constexpr double kLeast = 0x1p-20;
  const double error = number ? *number / (percent ? 100 : 1) : 0;
  if (!number || (size == 3 && !percent) || size > 3 || error < kLeast || error > 0.25) {
    Fail(DiagnosticCode::kAggregateArgument, node, range,
         "the error of quantile() is from 0.0001% to 25%", "as quantile(delay, 0.9, error 1%)");
    return false;
  }
  int bits = 1;
  while (std::ldexp(1.0, -bits) > error) ++bits;
  spec.quantile_bits = bits;
  return true;
}

}  // namespace headrace::pipeline

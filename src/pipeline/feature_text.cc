#include "pipeline/feature_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "contract/yaml_reading.h"
#include "pipeline/aggregates/hyperloglog.h"
#include "pipeline/expressions/functions.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

std::vector<std::string> AggregateNames() {
  std::vector<std::string> names;
  for (const AggregateRow& row : AggregateTable()) {
    names.emplace_back(row.name);
    const auto aliases = AliasesOf(row);
    names.insert(names.end(), aliases.begin(), aliases.end());
  }
  return names;
}

// Why a feature can't do with tiles, and what to write instead.
std::pair<std::string, std::string_view> WhyNoTiles(const AggregateRow& row, bool lifetime) {
  if (!lifetime)
    return {fmt::format("with `precision` old rows are added up, and {}() needs each of them",
                        row.name),
            "put it into a view without `precision`"};
  if (row.kind == AggregateKind::kRate)
    return {"rate() is per second of a window, and without `over` there is none",
            "add `over: 24h`"};
  if (row.kind == AggregateKind::kCountDistinct)
    return {"without `over` count_distinct() would keep every value for ever",
            "approx_distinct(x), or add `over: 24h`"};
  return {fmt::format("without `over` rows are added up and not kept, and {}() needs each of them",
                      row.name),
          "add `over: 24h`"};
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
  if (IsBare()) {
    if (!Bare(node, spec, parts)) return true;
  } else if (!Aggregate(node, spec) || !Split(node, parts)) {
    return true;
  }
  if (!FitsWindows(node) || !Arguments(node, parts, spec)) return true;
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

bool FeatureReader::IsBare() const {
  const bool of_rows = !windows_.empty() && windows_.front().kind == Window::Kind::kLastRows;
  if (!of_rows || At(0).kind != Token::Kind::kName || !IsSymbol(1, "(")) return of_rows;
  // A function or a form of its own, unless an aggregate has the name.
  const std::string name = LowerAscii(At(0).text);
  if (AggregateNamed(name) != nullptr || WrittenInstead(name)) return false;
  constexpr auto kForms =
      std::to_array<std::string_view>({"case", "cast", "extract", "not", "position", "try_cast"});
  return FunctionNamed(name) != nullptr || std::ranges::find(kForms, name) != kForms.end();
}

// expression [where condition]
bool FeatureReader::Bare(const YamlNode& node, AggregateSpec& spec, Parts& parts) {
  row_ = &RowOf(AggregateKind::kLastN);
  spec.kind = row_->kind;
  spec.size = windows_.front().rows;
  if (spec.size > kListElementsMax) {
    Fail(DiagnosticCode::kAggregateArgument, node, {0, tokens_.size() - 1},
         fmt::format("a list has at most {} values, these are {}", kListElementsMax, spec.size),
         fmt::format("last_n(x, {}), or fewer rows", kListElementsMax));
    return false;
  }
  const size_t end = tokens_.size() - 1;
  size_t where = 0;
  while (where < end && !IsKeyword(At(where), "where")) ++where;
  parts.arguments.push_back({0, where});
  parts.has_where = where + 1 < end;
  if (parts.has_where) parts.where = {where + 1, end};
  return true;
}

bool FeatureReader::FitsWindows(const YamlNode& node) {
  const bool lacks_tiles = view_.lifetime() ? row_->tiles != Tiles::kOfAllTime
                                            : view_.precision && row_->tiles == Tiles::kNone;
  if (lacks_tiles) {
    const auto [why, hint] = WhyNoTiles(*row_, view_.lifetime());
    Fail(view_.lifetime() ? DiagnosticCode::kLifetimeView : DiagnosticCode::kWindow, node, {0, 1},
         why, std::string(hint));
    return false;
  }
  const auto open = std::ranges::find_if_not(windows_, &Window::has_fixed_length);
  if (row_->kind != AggregateKind::kRate || open == windows_.end()) return true;
  Fail(DiagnosticCode::kWindow, node, {0, 1},
       fmt::format("rate() is per second of a window, and `{}` has no fixed length", TextOf(*open)),
       "put it into a view with `over` alone");
  return false;
}

bool FeatureReader::Aggregate(const YamlNode& node, AggregateSpec& spec) {
  if (At(0).kind != Token::Kind::kName || !IsSymbol(1, "(")) {
    Fail(DiagnosticCode::kFeatureText, node, {0, tokens_.size() - 1},
         "a feature is one aggregate, here is `" + node.text + "`",
         "as sum(amount); combine features under on_request");
    return false;
  }
  const std::string name = LowerAscii(At(0).text);
  row_ = AggregateNamed(name);
  // count(distinct x)
  if (row_ != nullptr && row_->kind == AggregateKind::kCount && IsKeyword(At(2), "distinct") &&
      !IsSymbol(3, ")"))
    row_ = &RowOf(AggregateKind::kCountDistinct);
  if (row_ != nullptr) {
    spec.kind = row_->kind;
    return true;
  }
  if (const auto instead = WrittenInstead(name)) {
    Fail(DiagnosticCode::kUnknownAggregate, node, {0, 1}, fmt::format("no aggregate {}()", name),
         fmt::format("write {}", *instead));
    return false;
  }
  Fail(DiagnosticCode::kUnknownAggregate, node, {0, 1}, fmt::format("no aggregate {}()", name),
       contract::DidYouMean(name, AggregateNames(),
                            fmt::format("there are: {}", fmt::join(AggregateNames(), ", "))));
  return false;
}

// name ( argument , argument ) [where condition]
bool FeatureReader::Split(const YamlNode& node, Parts& parts) {
  int depth = 0;
  size_t begin =
      IsKeyword(At(2), "distinct") && row_->kind == AggregateKind::kCountDistinct ? 3 : 2;
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
  const bool star = count >= 1 && parts.arguments[0].end - parts.arguments[0].begin == 1 &&
                    IsSymbol(parts.arguments[0].begin, "*");
  if (star && row_->takes < Takes::kStar) {
    Fail(DiagnosticCode::kAggregateArgument, node, parts.arguments[0],
         fmt::format("{}() does not take *", row_->name), fmt::format("as {}", row_->example));
    return false;
  }
  const bool bare = IsBare();
  if (!bare && !CountOfArguments(node, parts)) return false;
  if (!star) {
    if (row_->takes == Takes::kStar) {
      Fail(DiagnosticCode::kAggregateArgument, node, parts.arguments[0],
           fmt::format("{}() takes *, and a condition after it", row_->name),
           fmt::format("as {}", row_->example));
      return false;
    }
    spec.argument = Argument(node, parts.arguments[0]);
    if (!spec.argument || !ResultOf(node, parts.arguments[0], spec)) return false;
  } else {
    spec.result_type = *ResultType(spec.kind, std::nullopt);
  }
  switch (row_->parameter) {
    case Parameter::kNone: return true;
    case Parameter::kRank: return Quantile(node, parts, spec);
    case Parameter::kRegisterError: return RegisterError(node, parts, spec);
    case Parameter::kSize: return bare || Size(node, parts, spec);
    case Parameter::kHalfLife: return HalfLife(node, parts, spec);
  }
  return true;
}

bool FeatureReader::CountOfArguments(const YamlNode& node, const Parts& parts) {
  const size_t count = parts.arguments.size();
  size_t least = 1;
  size_t most = 1;
  switch (row_->parameter) {
    case Parameter::kNone: break;
    case Parameter::kRank:
      least = 2;
      most = 3;
      break;
    case Parameter::kRegisterError: most = 2; break;
    case Parameter::kSize:
    case Parameter::kHalfLife: least = most = 2; break;
  }
  if (count >= least && count <= most) return true;
  const std::string wanted = least == most ? (least == 1 ? "one argument" : "two arguments")
                                           : fmt::format("{} or {} arguments", least, most);
  Fail(DiagnosticCode::kAggregateArgument, node, {0, tokens_.size() - 1},
       fmt::format("{}() takes {}, here are {}", row_->name, wanted, count),
       fmt::format("as {}", row_->example));
  return false;
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
  const std::string others = fmt::format("{} is taken by: {}", name,
                                         fmt::join(AggregatesTaking(spec.argument_type), ", "));
  if (row_->takes == Takes::kCondition) {
    Fail(DiagnosticCode::kConditionNotBool, node, argument,
         fmt::format("{}() takes a condition, `{}` is {}", row_->name, expression.text(), name),
         fmt::format("as {}", row_->example));
  } else if (argument.end - argument.begin == 1 && At(argument.begin).kind == Token::Kind::kName) {
    Fail(DiagnosticCode::kContractContradictsView, node, argument,
         fmt::format("{}() takes a number, the contract says that `{}` is {}", row_->name,
                     expression.text(), name),
         fmt::format("change its type in the contract, or CAST it here; {}", others));
  } else {
    Fail(DiagnosticCode::kAggregateArgument, node, argument,
         fmt::format("{}() takes a number, this is {}", row_->name, name), others);
  }
  return false;
}

bool FeatureReader::Quantile(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  const Range rank = parts.arguments[1];
  const auto value =
      rank.end - rank.begin == 1 ? contract::NumberIn(At(rank.begin).text) : std::nullopt;
  if (!value || *value <= 0 || *value > 1) {
    Fail(DiagnosticCode::kAggregateArgument, node, rank,
         "quantile() takes a number and a rank in (0, 1]", fmt::format("as {}", row_->example));
    return false;
  }
  spec.quantile = *value;
  if (parts.arguments.size() < 3) return true;
  const auto error = ErrorIn(node, parts.arguments[2], 0x1p-20, 0.25, "0.0001% to 25%");
  if (!error) return false;
  // With each fold the buckets of all its time are read and written: there must not be millions.
  if (view_.lifetime() && *error < 0.001) {
    Fail(DiagnosticCode::kLifetimeView, node, parts.arguments[2],
         "without a window the error of quantile() is from 0.1% to 25%",
         "say error 0.1%, or put it into a view with `over`");
    return false;
  }
  spec.quantile_bits = 1;
  while (std::ldexp(1.0, -spec.quantile_bits) > *error) ++spec.quantile_bits;
  return true;
}

bool FeatureReader::RegisterError(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  if (parts.arguments.size() < 2) return true;
  const auto error = ErrorIn(node, parts.arguments[1], 0.0025, 0.25, "0.25% to 25%");
  if (!error) return false;
  spec.register_bits = HyperLogLog::kBitsMin;
  while (HyperLogLog::StandardError(spec.register_bits) > *error) ++spec.register_bits;
  return true;
}

bool FeatureReader::Size(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  const Range range = parts.arguments[1];
  const bool whole = range.end - range.begin == 1 && At(range.begin).kind == Token::Kind::kInteger;
  const auto number = whole ? contract::NumberIn(At(range.begin).text) : std::nullopt;
  if (!number || *number < 1 || *number > kListElementsMax) {
    Fail(DiagnosticCode::kAggregateArgument, node, range,
         fmt::format("{}() takes a number of elements from 1 to {}", row_->name, kListElementsMax),
         fmt::format("as {}", row_->example));
    return false;
  }
  spec.size = static_cast<uint32_t>(*number);
  return true;
}

bool FeatureReader::HalfLife(const YamlNode& node, const Parts& parts, AggregateSpec& spec) {
  constexpr base::Duration kLongest = std::chrono::hours(24) * 3653;
  const Range range = parts.arguments[1];
  const auto duration = range.end - range.begin == 1
                            ? base::ParseDuration(At(range.begin).text)
                            : base::Fail(base::ErrorCode::kInvalidInput, "more than one word");
  if (!duration || *duration <= base::Duration(0) || *duration > kLongest) {
    Fail(DiagnosticCode::kAggregateArgument, node, range,
         fmt::format("{}() takes a half-life up to ten years: a span of time", row_->name),
         fmt::format("as {}", row_->example));
    return false;
  }
  spec.half_life = *duration;
  return true;
}

// `error 1%` or `error 0.01`.
std::optional<double> FeatureReader::ErrorIn(const YamlNode& node, Range range, double least,
                                             double most, std::string_view bounds) {
  const size_t size = range.end - range.begin;
  const bool named = size >= 2 && IsKeyword(At(range.begin), "error");
  const auto number = named ? contract::NumberIn(At(range.begin + 1).text) : std::nullopt;
  const bool percent = size == 3 && IsSymbol(range.begin + 2, "%");
  const double error = number ? *number / (percent ? 100 : 1) : 0;
  if (number && (size == 2 || percent) && error >= least && error <= most) return error;
  Fail(DiagnosticCode::kAggregateArgument, node, range,
       fmt::format("the error of {}() is from {}", row_->name, bounds),
       fmt::format("as {}", row_->example));
  return std::nullopt;
}

}  // namespace headrace::pipeline

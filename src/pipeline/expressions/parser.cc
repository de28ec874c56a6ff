// Precedence climbing (Pratt). From loose to tight:
//   OR | AND | NOT | = <> < <= > >= IS IN BETWEEN LIKE | & | << >> | + - || | * / % |
//   unary - + ~ | AT TIME ZONE -> ->> :: | atoms
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "pipeline/expressions/lexer.h"
#include "pipeline/expressions/syntax.h"

namespace headrace::pipeline {
namespace {

using Parsed = std::expected<SyntaxPtr, ExpressionError>;
using Kind = Syntax::Kind;

enum Level : int {
  kOr = 1,
  kAnd = 2,
  kNot = 3,
  kCompare = 4,
  kBits = 5,
  kSum = 6,
  kProduct = 7,
  kSign = 8,
  kPostfix = 9
};

// Each has a meaning of its own, so none is a column without quotes.
constexpr std::array<std::string_view, 18> kKeywords = {
    "and",  "or",   "not", "is",   "null", "in",   "between", "case", "when",
    "then", "else", "end", "cast", "as",   "true", "false",   "like", "ilike"};

bool IsAnyKeyword(const Token& token) {
  for (const std::string_view word : kKeywords)
    if (IsKeyword(token, word)) return true;
  return false;
}

SyntaxPtr Make(Kind kind, std::string text, size_t begin, size_t end) {
  auto node = std::make_unique<Syntax>();
  node->kind = kind;
  node->text = std::move(text);
  node->begin = begin;
  node->end = end;
  return node;
}

SyntaxPtr Join(Kind kind, std::string text, SyntaxPtr left, SyntaxPtr right) {
  SyntaxPtr node = Make(kind, std::move(text), left->begin, right->end);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return node;
}

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Parsed Run() {
    HR_TRY(SyntaxPtr root, Expression(0));
    if (Now().kind != Token::Kind::kEnd) return Unexpected("the end");
    return root;
  }

 private:
  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& Take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  size_t LastEnd() const { return at_ == 0 ? 0 : tokens_[at_ - 1].end; }
  bool AtSymbol(std::string_view symbol) const {
    return Now().kind == Token::Kind::kSymbol && Now().text == symbol;
  }
  bool TakeSymbol(std::string_view symbol) { return AtSymbol(symbol) && (Take(), true); }
  bool TakeKeyword(std::string_view word) { return IsKeyword(Now(), word) && (Take(), true); }

  std::unexpected<ExpressionError> Fail(size_t begin, size_t end, std::string message) const {
    return std::unexpected(
        ExpressionError{begin, std::max(end, begin + 1), std::move(message), {}});
  }
  std::unexpected<ExpressionError> Unexpected(std::string_view wanted) const {
    const Token& token = Now();
    if (token.kind == Token::Kind::kEnd)
      return Fail(token.begin, token.end, fmt::format("the text ends where {} should be", wanted));
    return Fail(token.begin, token.end, fmt::format("`{}` where {} should be", token.text, wanted));
  }

  Parsed Expression(int level);
  Parsed Prefix();
  Parsed Infix(SyntaxPtr left, int level, bool& done);
  Parsed Predicate(SyntaxPtr left);
  Parsed In(SyntaxPtr left);
  Parsed Between(SyntaxPtr left);
  Parsed Atom();
  Parsed NameOrCall();
  Parsed Call(const Token& name);
  Parsed Case();
  Parsed CaseBranches(SyntaxPtr subject, size_t begin);
  Parsed Cast();
  Parsed Position();
  Parsed Extract();
  Parsed TimeZone(SyntaxPtr left);
  Parsed TypeAfter(SyntaxPtr left);
  Parsed Negated(SyntaxPtr node, bool negate) const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

Parsed Parser::Expression(int level) {
  if (++depth_ > kSyntaxDepthMax)
    return Fail(Now().begin, Now().end, fmt::format("nested deeper than {}", kSyntaxDepthMax));
  HR_TRY(SyntaxPtr left, Prefix());
  int operators = 0;
  for (bool done = false; !done; ++operators) {
    if (operators > kOperatorsInARowMax)
      return Fail(Now().begin, Now().end,
                  fmt::format("more than {} operators in a row", kOperatorsInARowMax));
    HR_TRY(left, Infix(std::move(left), level, done));
  }
  --depth_;
  return left;
}

Parsed Parser::Prefix() {
  const Token& token = Now();
  const bool sign = AtSymbol("-") || AtSymbol("+") || AtSymbol("~");
  if (!sign && !IsKeyword(token, "not")) return Atom();
  const std::string text = sign ? token.text : "not";
  const size_t begin = Take().begin;
  if (text == "-" && (Now().kind == Token::Kind::kInteger || Now().kind == Token::Kind::kFloat)) {
    HR_TRY(SyntaxPtr literal, Atom());  // so that the smallest int64 can be written
    literal->text = "-" + literal->text;
    literal->begin = begin;
    return literal;
  }
  HR_TRY(SyntaxPtr child, Expression(sign ? kSign : kNot));
  SyntaxPtr node = Make(Kind::kUnary, text, begin, child->end);
  node->children.push_back(std::move(child));
  return node;
}

std::optional<int> LevelOf(const Token& token) {
  if (IsKeyword(token, "or")) return kOr;
  if (IsKeyword(token, "and")) return kAnd;
  for (const std::string_view word : {"is", "in", "between", "like", "ilike", "not"})
    if (IsKeyword(token, word)) return kCompare;
  if (token.kind != Token::Kind::kSymbol) return std::nullopt;
  for (const std::string_view symbol : {"=", "<>", "<", "<=", ">", ">="})
    if (token.text == symbol) return kCompare;
  for (const std::string_view symbol : {"&", "|", "<<", ">>"})
    if (token.text == symbol) return kBits;
  for (const std::string_view symbol : {"->", "->>", "::"})
    if (token.text == symbol) return kPostfix;
  for (const std::string_view symbol : {"+", "-", "||"})
    if (token.text == symbol) return kSum;
  for (const std::string_view symbol : {"*", "/", "%"})
    if (token.text == symbol) return kProduct;
  return std::nullopt;
}

// One more operator to the right of `left`, if it binds tighter than `level`.
Parsed Parser::Infix(SyntaxPtr left, int level, bool& done) {
  const bool zone = IsKeyword(Now(), "at") && IsKeyword(Ahead(), "time");
  const auto binds = zone ? std::optional<int>(kPostfix) : LevelOf(Now());
  if (!binds || *binds <= level) {
    done = true;
    return left;
  }
  if (Now().kind == Token::Kind::kName && *binds == kCompare) return Predicate(std::move(left));
  if (zone) return TimeZone(std::move(left));
  const std::string text = LowerAscii(Take().text);
  if (text == "::") return TypeAfter(std::move(left));
  HR_TRY(SyntaxPtr right, Expression(*binds));
  if (text == "->" || text == "->>")
    return Join(Kind::kCall, text == "->" ? "json_extract" : "json_extract_string", std::move(left),
                std::move(right));
  return Join(Kind::kBinary, text, std::move(left), std::move(right));
}

Parsed Parser::Negated(SyntaxPtr node, bool negate) const {
  if (!negate) return node;
  SyntaxPtr outer = Make(Kind::kUnary, "not", node->begin, node->end);
  outer->children.push_back(std::move(node));
  return outer;
}

Parsed Parser::Predicate(SyntaxPtr left) {
  if (TakeKeyword("is")) {
    const bool negate = TakeKeyword("not");
    if (TakeKeyword("distinct")) {
      if (!TakeKeyword("from")) return Unexpected("FROM");
      HR_TRY(SyntaxPtr right, Expression(kCompare));
      return Join(Kind::kBinary, negate ? "is not distinct from" : "is distinct from",
                  std::move(left), std::move(right));
    }
    if (!TakeKeyword("null")) return Unexpected("NULL or DISTINCT FROM");
    SyntaxPtr node = Make(Kind::kUnary, negate ? "is not null" : "is null", left->begin, LastEnd());
    node->children.push_back(std::move(left));
    return node;
  }
  const bool negate = TakeKeyword("not");
  SyntaxPtr node;
  if (TakeKeyword("in")) {
    HR_TRY(node, In(std::move(left)));
  } else if (TakeKeyword("between")) {
    HR_TRY(node, Between(std::move(left)));
  } else if (IsKeyword(Now(), "like") || IsKeyword(Now(), "ilike")) {
    const std::string text = LowerAscii(Take().text);
    HR_TRY(SyntaxPtr pattern, Expression(kCompare));
    node = Join(Kind::kBinary, text, std::move(left), std::move(pattern));
  } else {
    return Unexpected("IN, BETWEEN, LIKE or ILIKE");
  }
  return Negated(std::move(node), negate);
}

Parsed Parser::In(SyntaxPtr left) {
  if (!TakeSymbol("(")) return Unexpected("(");
  SyntaxPtr node = Make(Kind::kIn, "in", left->begin, left->end);
  node->children.push_back(std::move(left));
  do {
    HR_TRY(SyntaxPtr candidate, Expression(0));
    node->children.push_back(std::move(candidate));
  } while (TakeSymbol(","));
  if (!TakeSymbol(")")) return Unexpected(") or a comma");
  node->end = LastEnd();
  return node;
}

Parsed Parser::Between(SyntaxPtr left) {
  HR_TRY(SyntaxPtr low, Expression(kCompare));
  if (!TakeKeyword("and")) return Unexpected("AND");
  HR_TRY(SyntaxPtr high, Expression(kCompare));
  SyntaxPtr node = Make(Kind::kBetween, "between", left->begin, high->end);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(low));
  node->children.push_back(std::move(high));
  return node;
}

Parsed Parser::Atom() {
  const Token& token = Now();
  const auto literal = [&](Kind kind) -> Parsed {
    Take();
    return Make(kind, token.text, token.begin, token.end);
  };
  switch (token.kind) {
    case Token::Kind::kInteger: return literal(Kind::kInteger);
    case Token::Kind::kFloat: return literal(Kind::kFloat);
    case Token::Kind::kText: return literal(Kind::kText);
    case Token::Kind::kDuration: return literal(Kind::kDuration);
    case Token::Kind::kQuotedName: return literal(Kind::kColumn);
    case Token::Kind::kName: return NameOrCall();
    case Token::Kind::kEnd: return Unexpected("a value");
    case Token::Kind::kSymbol: break;
  }
  if (!TakeSymbol("(")) return Unexpected("a value");
  HR_TRY(SyntaxPtr inner, Expression(0));
  if (!TakeSymbol(")")) return Unexpected(")");
  return inner;
}

Parsed Parser::NameOrCall() {
  const Token token = Now();
  if (IsKeyword(token, "case")) return Case();
  if (IsKeyword(token, "cast")) return Cast();
  if (IsKeyword(token, "null")) return Take(), Make(Kind::kNull, "null", token.begin, token.end);
  for (const std::string_view word : {"true", "false"})
    if (IsKeyword(token, word))
      return Take(), Make(Kind::kBool, std::string(word), token.begin, token.end);
  if (IsAnyKeyword(token)) return Unexpected("a value");
  Take();
  if (AtSymbol("(")) {
    if (IsKeyword(token, "try_cast")) return --at_, Cast();
    if (IsKeyword(token, "position")) return Position();
    if (IsKeyword(token, "extract")) return Extract();
    return Call(token);
  }
  const bool moment = IsKeyword(token, "timestamp") || IsKeyword(token, "date");
  if (moment && Now().kind == Token::Kind::kText) {
    const Kind kind = IsKeyword(token, "date") ? Kind::kDate : Kind::kTimestamp;
    const std::string text = Take().text;
    return Make(kind, text, token.begin, LastEnd());
  }
  return Make(Kind::kColumn, token.text, token.begin, token.end);
}

Parsed Parser::Call(const Token& name) {
  SyntaxPtr node = Make(Kind::kCall, LowerAscii(name.text), name.begin, name.end);
  TakeSymbol("(");
  if (!AtSymbol(")")) {
    do {
      HR_TRY(SyntaxPtr argument, Expression(0));
      node->children.push_back(std::move(argument));
    } while (TakeSymbol(","));
  }
  if (!TakeSymbol(")")) return Unexpected(") or a comma");
  node->end = LastEnd();
  return node;
}

Parsed Parser::Case() {
  const size_t begin = Take().begin;
  SyntaxPtr subject;
  if (!IsKeyword(Now(), "when")) {
    HR_TRY(subject, Expression(0));
  }
  return CaseBranches(std::move(subject), begin);
}

Parsed Parser::CaseBranches(SyntaxPtr subject, size_t begin) {
  SyntaxPtr node = Make(subject == nullptr ? Kind::kCase : Kind::kCaseOf, "case", begin, begin);
  if (subject != nullptr) node->children.push_back(std::move(subject));
  if (!IsKeyword(Now(), "when")) return Unexpected("WHEN");
  while (TakeKeyword("when")) {
    HR_TRY(SyntaxPtr condition, Expression(0));
    if (!TakeKeyword("then")) return Unexpected("THEN");
    HR_TRY(SyntaxPtr value, Expression(0));
    node->children.push_back(std::move(condition));
    node->children.push_back(std::move(value));
  }
  SyntaxPtr otherwise = Make(Kind::kNull, "null", Now().begin, Now().begin);
  if (TakeKeyword("else")) {
    HR_TRY(otherwise, Expression(0));
  }
  node->children.push_back(std::move(otherwise));
  if (!TakeKeyword("end")) return Unexpected("WHEN, ELSE or END");
  node->end = LastEnd();
  return node;
}

// x AT TIME ZONE 'zone' is timezone('zone', x).
Parsed Parser::TimeZone(SyntaxPtr left) {
  TakeKeyword("at");
  TakeKeyword("time");
  if (!TakeKeyword("zone")) return Unexpected("ZONE");
  HR_TRY(SyntaxPtr zone, Expression(kPostfix));
  SyntaxPtr node = Make(Kind::kCall, "timezone", left->begin, zone->end);
  node->children.push_back(std::move(zone));
  node->children.push_back(std::move(left));
  return node;
}

// x::type is CAST(x AS type).
Parsed Parser::TypeAfter(SyntaxPtr left) {
  if (Now().kind != Token::Kind::kName) return Unexpected("a type");
  SyntaxPtr node = Make(Kind::kCast, LowerAscii(Take().text), left->begin, LastEnd());
  node->children.push_back(std::move(left));
  return node;
}

// position(part IN text) is strpos(text, part).
Parsed Parser::Position() {
  const size_t begin = tokens_[at_ - 1].begin;
  TakeSymbol("(");
  HR_TRY(SyntaxPtr part, Expression(kCompare));
  if (!TakeKeyword("in")) return Unexpected("IN");
  HR_TRY(SyntaxPtr text, Expression(0));
  if (!TakeSymbol(")")) return Unexpected(")");
  SyntaxPtr node = Make(Kind::kCall, "strpos", begin, LastEnd());
  node->children.push_back(std::move(text));
  node->children.push_back(std::move(part));
  return node;
}

// extract(part FROM time) is date_part('part', time).
Parsed Parser::Extract() {
  const size_t begin = tokens_[at_ - 1].begin;
  TakeSymbol("(");
  const bool named = Now().kind == Token::Kind::kName || Now().kind == Token::Kind::kText;
  if (!named) return Unexpected("a part of a time, as hour,");
  const Token part = Take();
  SyntaxPtr unit = Make(Kind::kText, LowerAscii(part.text), part.begin, part.end);
  if (!TakeKeyword("from")) return Unexpected("FROM");
  HR_TRY(SyntaxPtr time, Expression(0));
  if (!TakeSymbol(")")) return Unexpected(")");
  SyntaxPtr node = Make(Kind::kCall, "date_part", begin, LastEnd());
  node->children.push_back(std::move(unit));
  node->children.push_back(std::move(time));
  return node;
}

Parsed Parser::Cast() {
  const size_t begin = Take().begin;
  if (!TakeSymbol("(")) return Unexpected("(");
  HR_TRY(SyntaxPtr value, Expression(0));
  if (!TakeKeyword("as")) return Unexpected("AS");
  if (Now().kind != Token::Kind::kName) return Unexpected("a type");
  SyntaxPtr node = Make(Kind::kCast, LowerAscii(Take().text), begin, begin);
  node->children.push_back(std::move(value));
  if (!TakeSymbol(")")) return Unexpected(")");
  node->end = LastEnd();
  return node;
}

}  // namespace

std::expected<SyntaxPtr, ExpressionError> ParseExpression(std::string_view text) {
  HR_TRY(std::vector<Token> tokens, Tokenize(text));
  return Parser(std::move(tokens)).Run();
}

}  // namespace headrace::pipeline

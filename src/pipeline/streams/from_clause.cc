#include "pipeline/streams/from_clause.h"

#include <fmt/format.h>

#include <utility>

namespace headrace::pipeline {
namespace {

constexpr std::string_view kForms =
    "write: STREAM, or STREAM asof left join STREAM using (COLUMN, ...)";

class FromParser {
 public:
  explicit FromParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::expected<FromClause, ExpressionError> Parse() {
    FromClause clause;
    HR_TRY(clause.stream, Name("a stream"));
    if (Now().kind == Token::Kind::kEnd) return clause;
    if (!IsKeyword(Now(), "asof"))
      return Fail(fmt::format("`{}` after a stream is not understood: {}", Now().text, kForms));
    ++at_;
    HR_TRY(clause.as_of, JoinOf());
    if (Now().kind != Token::Kind::kEnd)
      return Fail(fmt::format("`{}` after a join is not understood", Now().text));
    return clause;
  }

 private:
  const Token& Now() const { return tokens_[at_]; }

  std::unexpected<ExpressionError> Fail(std::string message) const {
    const Token& token = Now();
    return std::unexpected(ExpressionError{.begin = token.begin,
                                           .end = std::max(token.end, token.begin + 1),
                                           .message = std::move(message),
                                           .candidates = {}});
  }

  std::expected<Token, ExpressionError> Name(std::string_view what) {
    if (Now().kind != Token::Kind::kName && Now().kind != Token::Kind::kQuotedName)
      return Fail(fmt::format("{} is missing here: {}", what, kForms));
    return tokens_[at_++];
  }

  std::expected<FromClause::Join, ExpressionError> JoinOf() {
    FromClause::Join join;
    if (IsKeyword(Now(), "left") || IsKeyword(Now(), "inner"))
      join.kind = IsKeyword(tokens_[at_++], "left") ? JoinKind::kLeft : JoinKind::kInner;
    if (!IsKeyword(Now(), "join")) return Fail(fmt::format("`join` is missing here: {}", kForms));
    ++at_;
    HR_TRY(join.stream, Name("the stream to join"));
    if (!IsKeyword(Now(), "using")) return Fail(fmt::format("`using` is missing here: {}", kForms));
    ++at_;
    HR_TRY_VOID(Symbol("("));
    do {
      HR_TRY(Token column, Name("a column that both streams have"));
      join.key.push_back(std::move(column));
    } while (IsSymbol(",") && ++at_ != 0);
    HR_TRY_VOID(Symbol(")"));
    return join;
  }

  bool IsSymbol(std::string_view symbol) const {
    return Now().kind == Token::Kind::kSymbol && Now().text == symbol;
  }
  std::expected<void, ExpressionError> Symbol(std::string_view symbol) {
    if (!IsSymbol(symbol)) return Fail(fmt::format("`{}` is missing here: {}", symbol, kForms));
    ++at_;
    return {};
  }

  const std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace

std::expected<FromClause, ExpressionError> ParseFrom(std::string_view text) {
  HR_TRY(std::vector<Token> tokens, Tokenize(text));
  return FromParser(std::move(tokens)).Parse();
}

}  // namespace headrace::pipeline

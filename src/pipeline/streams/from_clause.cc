#include "pipeline/streams/from_clause.h"

#include <fmt/format.h>

#include <utility>

namespace headrace::pipeline {
namespace {

constexpr std::string_view kForms =
    "write STREAM, STREAM asof left join STREAM using (COLUMN, ...), "
    "or STREAM left join STREAM using (COLUMN, ...) within 90d";

class FromParser {
 public:
  explicit FromParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::expected<FromClause, ExpressionError> Parse() {
    FromClause clause;
    HR_TRY(clause.stream, Name("a stream"));
    if (Now().kind == Token::Kind::kEnd) return clause;
    const bool as_of = IsKeyword(Now(), "asof");
    if (as_of) ++at_;
    if (!as_of && !IsKeyword(Now(), "left") && !IsKeyword(Now(), "inner") &&
        !IsKeyword(Now(), "join"))
      return Fail(fmt::format("`{}` after a stream is not understood: {}", Now().text, kForms));
    HR_TRY(FromClause::Join join, JoinOf());
    if (!as_of) {
      HR_TRY(join.within, Within());
    }
    clause.join = std::move(join);
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

  // within 90d, within 1h to 90d, within -1h to 1h
  std::expected<FromClause::Join::Bounds, ExpressionError> Within() {
    if (!IsKeyword(Now(), "within"))
      return Fail(
          "`within` is missing here: how much later the other row may be, as `within 90d`; for the "
          "version valid at the event's time write `asof` before `left join`");
    FromClause::Join::Bounds bounds{.from = {}, .to = {}, .at = Now()};
    ++at_;
    HR_TRY(bounds.to, Span());
    if (IsKeyword(Now(), "to")) {
      ++at_;
      bounds.from = bounds.to;
      HR_TRY(bounds.to, Span());
    }
    bounds.at.end = tokens_[at_ - 1].end;
    return bounds;
  }

  std::expected<base::Duration, ExpressionError> Span() {
    const bool back = IsSymbol("-");
    if (back) ++at_;
    const bool zero = Now().kind == Token::Kind::kInteger && Now().text == "0";
    if (Now().kind != Token::Kind::kDuration && !zero)
      return Fail("a span of time is missing here: 250ms, 90s, 10m, 1h, 7d or 2w");
    const auto span =
        zero ? base::Result<base::Duration>(base::Duration(0)) : base::ParseDuration(Now().text);
    if (!span) return Fail(span.error().message());
    ++at_;
    return back ? -*span : *span;
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

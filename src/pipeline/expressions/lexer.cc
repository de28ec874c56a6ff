#include "pipeline/expressions/lexer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace headrace::pipeline {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNameRest(char c) { return IsNameStart(c) || IsDigit(c); }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

constexpr std::string_view kThreeByteSymbol = "->>";
constexpr std::array<std::string_view, 9> kTwoByteSymbols = {"<=", ">=", "<>", "!=", "||",
                                                             "<<", ">>", "->", "::"};
constexpr std::string_view kOneByteSymbols = "()+-*/%=<>,&|~";

using Step = std::expected<Token, ExpressionError>;

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::expected<std::vector<Token>, ExpressionError> Run() {
    std::vector<Token> tokens;
    while (true) {
      while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
      HR_TRY(Token token, Next());
      tokens.push_back(std::move(token));
      if (tokens.back().kind == Token::Kind::kEnd) return tokens;
    }
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Step Next() {
    if (at_ == text_.size()) return Token{Token::Kind::kEnd, "", at_, at_};
    const char c = Peek();
    if (IsNameStart(c)) return Name();
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return Number();
    if (c == '\'') return Quoted('\'', Token::Kind::kText, "text");
    if (c == '"') return Quoted('"', Token::Kind::kQuotedName, "name");
    return Symbol();
  }

  Token Make(Token::Kind kind, size_t begin) const {
    return {kind, std::string(text_.substr(begin, at_ - begin)), begin, at_};
  }

  Step Name() {
    const size_t begin = at_;
    while (IsNameRest(Peek()) || (Peek() == '.' && IsNameStart(Peek(1)))) ++at_;
    return Make(Token::Kind::kName, begin);
  }

  void Digits() {
    while (IsDigit(Peek())) ++at_;
  }

  bool AtExponent() const {
    if (Peek() != 'e' && Peek() != 'E') return false;
    const bool sign = Peek(1) == '+' || Peek(1) == '-';
    return IsDigit(Peek(sign ? 2 : 1));
  }

  Step Number() {
    const size_t begin = at_;
    Digits();
    Token::Kind kind = Token::Kind::kInteger;
    if (Peek() == '.') {
      kind = Token::Kind::kFloat;
      ++at_;
      Digits();
    }
    if (AtExponent()) {
      kind = Token::Kind::kFloat;
      at_ += 2;
      Digits();
    }
    if (!IsNameStart(Peek())) return Make(kind, begin);
    while (IsNameRest(Peek())) ++at_;
    return Make(Token::Kind::kDuration, begin);  // the parser says so when it is none
  }

  Step Quoted(char quote, Token::Kind kind, std::string_view what) {
    const size_t begin = at_++;
    std::string value;
    while (at_ < text_.size()) {
      if (text_[at_] == quote) {
        if (Peek(1) != quote) {
          ++at_;
          return Token{kind, std::move(value), begin, at_};
        }
        ++at_;
      }
      value += text_[at_++];
    }
    return std::unexpected(
        ExpressionError{begin, text_.size(), fmt::format("the quoted {} has no end", what), {}});
  }

  Step Symbol() {
    const size_t begin = at_;
    const std::string_view two = text_.substr(at_, 2);
    if (text_.substr(at_).starts_with(kThreeByteSymbol)) {
      at_ += kThreeByteSymbol.size();
    } else if (std::find(kTwoByteSymbols.begin(), kTwoByteSymbols.end(), two) !=
               kTwoByteSymbols.end()) {
      at_ += 2;
    } else if (kOneByteSymbols.find(Peek()) != std::string_view::npos) {
      ++at_;
    } else {
      const auto continues = [this] { return (static_cast<unsigned char>(Peek()) & 0xC0) == 0x80; };
      do ++at_;
      while (continues());
      return std::unexpected(
          ExpressionError{begin,
                          at_,
                          fmt::format("`{}` means nothing here", text_.substr(begin, at_ - begin)),
                          {}});
    }
    Token token = Make(Token::Kind::kSymbol, begin);
    if (token.text == "!=") token.text = "<>";
    return token;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::expected<std::vector<Token>, ExpressionError> Tokenize(std::string_view text) {
  if (text.size() > kExpressionBytesMax)
    return std::unexpected(
        ExpressionError{0,
                        1,
                        fmt::format("the expression has {} bytes; at most {} are read", text.size(),
                                    kExpressionBytesMax),
                        {}});
  return Lexer(text).Run();
}

std::string LowerAscii(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool IsKeyword(const Token& token, std::string_view word) {
  return token.kind == Token::Kind::kName && token.text.size() == word.size() &&
         LowerAscii(token.text) == word;
}

}  // namespace headrace::pipeline

#pragma once
// Cuts an expression's text into tokens.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kName,        // delay, origin.mean_delay_1h, "any text": `text` without the quotes
    kQuotedName,  // never a keyword or a function
    kInteger,
    kFloat,
    kText,      // 'it''s': `text` is it's
    kDuration,  // 3s
    kSymbol,    // ( ) , + - * / % = <> != < <= > >= || & | ~ << >> -> ->> ::
  };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t begin = 0;  // bytes of the expression
  size_t end = 0;
};

constexpr size_t kExpressionBytesMax = 16 << 10;

// The tokens, the last one kEnd.
std::expected<std::vector<Token>, ExpressionError> Tokenize(std::string_view text);

// ASCII letters only, so that no locale can change a meaning.
std::string LowerAscii(std::string_view text);
// True when `token` is the keyword `word` (lower case) in any case.
bool IsKeyword(const Token& token, std::string_view word);

}  // namespace headrace::pipeline

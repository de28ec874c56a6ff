#pragma once
// Reads what a stream or view is made from:
//
//   payments
//   payments asof left join merchants using (merchant_id)
//
// docs/concepts/streams.md says what each means.

#include <expected>
#include <optional>
#include <string_view>
#include <vector>

#include "pipeline/expressions/expression.h"
#include "pipeline/expressions/lexer.h"
#include "pipeline/streams/derivation.h"

namespace headrace::pipeline {

struct FromClause {
  Token stream;
  struct Join {
    JoinKind kind = JoinKind::kInner;
    Token stream;
    std::vector<Token> key;  // columns that both have
  };
  std::optional<Join> as_of;
};

std::expected<FromClause, ExpressionError> ParseFrom(std::string_view text);

}  // namespace headrace::pipeline

#pragma once
// Reads what a stream or view is made from:
//
//   payments
//   payments asof left join merchants using (merchant_id)
//   payments left join chargebacks using (payment_id) within 90d
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
    struct Bounds {
      base::Duration from{0};
      base::Duration to{0};
      Token at;  // where they stand
    };
    std::optional<Bounds> within;  // of the other's time; without them as of the event's
  };
  std::optional<Join> join;
};

std::expected<FromClause, ExpressionError> ParseFrom(std::string_view text);

}  // namespace headrace::pipeline

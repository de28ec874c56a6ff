#pragma once
// An expression as it was written: a tree without types.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {

struct Syntax;
using SyntaxPtr = std::unique_ptr<Syntax>;

struct Syntax {
  enum class Kind : uint8_t {
    kNull,
    kBool,     // text: "true" or "false"
    kInteger,  // text: digits
    kFloat,
    kText,
    kDuration,   // text: "3s"
    kTimestamp,  // text: what is quoted after TIMESTAMP
    kDate,
    kColumn,   // text: the name
    kUnary,    // text: "-", "+", "not", "is null", "is not null"; 1 child
    kBinary,   // text: "+", "and", "like" ...; 2 children
    kCall,     // text: the function, lower case; children are arguments
    kCast,     // text: the type's name; 1 child
    kCase,     // children: condition, value, ..., otherwise (always there)
    kCaseOf,   // children: subject, then as kCase with values to compare it with
    kIn,       // children: value, candidates ...
    kBetween,  // children: value, low, high
  };
  Kind kind = Kind::kNull;
  std::string text;
  size_t begin = 0;
  size_t end = 0;
  std::vector<SyntaxPtr> children;
};

constexpr int kSyntaxDepthMax = 60;
constexpr int kOperatorsInARowMax = 300;

// Errors: what is wrong and where.
std::expected<SyntaxPtr, ExpressionError> ParseExpression(std::string_view text);

}  // namespace headrace::pipeline

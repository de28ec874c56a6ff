#pragma once
// The single list of what an expression can say: functions with how they are bound, operators and
// forms with their syntax. docs/reference/expressions.md is generated from it, and every example
// runs as a test.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expressions/program.h"
#include "pipeline/expressions/syntax.h"

namespace headrace::pipeline {

class Binder;

// A call as the binder hands it over: the arguments are bound.
struct Call {
  const Syntax& syntax;
  std::string_view function;
  std::vector<uint32_t> arguments;
};

using Bound = std::expected<uint32_t, ExpressionError>;

struct FunctionRow {
  std::string_view name;
  std::string_view signature;  // "abs(number)"
  std::string_view says;
  std::string_view example;  // an expression without columns
  std::string_view result;   // its value as JSON
  size_t arguments_min;
  size_t arguments_max;
  Bound (*bind)(Binder&, const Call&);
};
std::span<const FunctionRow> FunctionTable();
// Null when there is none of that name.
const FunctionRow* FunctionNamed(std::string_view name);

// Operators and special forms, for the reference page and its tests.
struct FormRow {
  std::string_view syntax;
  std::string_view says;
  std::string_view example;
  std::string_view result;
};
std::span<const FormRow> FormTable();

// Functions that wait for a pinned implementation, as the C library's differ by CPU.
bool IsUnpinnedFunction(std::string_view name);

// docs/reference/expressions.md as it must be committed.
std::string ExpressionsReference();

}  // namespace headrace::pipeline

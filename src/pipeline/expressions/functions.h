#pragma once
// The single list of what an expression can say: functions with how they are bound, operators and
// forms with their syntax. docs/reference/expressions.md is generated from it, and every example
// runs as a test. A topic's functions are in one file, FOO_functions.cc, beside their kernels.

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
  std::string_view aliases = "";  // other names, with blanks between them
};

constexpr size_t kArgumentsMax = 64;

// A section of the reference page.
struct FunctionTopic {
  std::string_view name;
  std::span<const FunctionRow> rows;  // by name
};
std::span<const FunctionTopic> FunctionTopics();

std::span<const FunctionRow> ChoiceFunctions();
std::span<const FunctionRow> NumberFunctions();
std::span<const FunctionRow> MathematicsFunctions();
std::span<const FunctionRow> TextFunctions();
std::span<const FunctionRow> PatternFunctions();
std::span<const FunctionRow> EncodingFunctions();
std::span<const FunctionRow> HashFunctions();
std::span<const FunctionRow> TimeFunctions();
std::span<const FunctionRow> JsonFunctions();

// All topics' rows.
std::vector<const FunctionRow*> FunctionTable();
// Null when there is none of that name or alias.
const FunctionRow* FunctionNamed(std::string_view name);
// Names and aliases, for candidates.
std::vector<std::string> FunctionNames();

// Why a function that other engines have is not here, or nothing.
std::string_view WhyNotHere(std::string_view name);

// Operators and special forms, for the reference page and its tests.
struct FormRow {
  std::string_view syntax;
  std::string_view says;
  std::string_view example;
  std::string_view result;
};
std::span<const FormRow> FormTable();

// docs/reference/expressions.md as it must be committed.
std::string ExpressionsReference();

}  // namespace headrace::pipeline

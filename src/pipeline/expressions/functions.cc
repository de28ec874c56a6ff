#include "pipeline/expressions/functions.h"

#include <algorithm>
#include <array>

namespace headrace::pipeline {
namespace {

constexpr std::string_view kNoClock =
    "the only `now` is the answer's as_of, which an expression can't see; use windows or max_lag";
constexpr std::string_view kNoChance = "it would give another value at every replay";
constexpr std::string_view kUnpinned =
    "the C library's differs between CPUs, and no pinned implementation of it is in";

constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNotHere = {{
    {"now", kNoClock},
    {"current_timestamp", kNoClock},
    {"current_date", kNoClock},
    {"today", kNoClock},
    {"random", kNoChance},
    {"rand", kNoChance},
    {"uuid", kNoChance},
    {"gen_random_uuid", kNoChance},
    {"sinh", kUnpinned},
    {"cosh", kUnpinned},
    {"tanh", kUnpinned},
    {"cbrt", kUnpinned},
    {"gamma", kUnpinned},
    {"lgamma", kUnpinned},
}};

bool HasAlias(const FunctionRow& row, std::string_view name) {
  std::string_view rest = row.aliases;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == name) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace

std::span<const FunctionTopic> FunctionTopics() {
  static const std::array kTopics = {
      FunctionTopic{"Choice", ChoiceFunctions()},
      FunctionTopic{"Numbers", NumberFunctions()},
      FunctionTopic{"Mathematics", MathematicsFunctions()},
      FunctionTopic{"Text", TextFunctions()},
      FunctionTopic{"Patterns", PatternFunctions()},
      FunctionTopic{"Encodings and URLs", EncodingFunctions()},
      FunctionTopic{"Hashes", HashFunctions()},
      FunctionTopic{"Dates and times", TimeFunctions()},
      FunctionTopic{"JSON", JsonFunctions()},
  };
  return kTopics;
}

std::vector<const FunctionRow*> FunctionTable() {
  std::vector<const FunctionRow*> all;
  for (const FunctionTopic& topic : FunctionTopics())
    for (const FunctionRow& row : topic.rows) all.push_back(&row);
  return all;
}

const FunctionRow* FunctionNamed(std::string_view name) {
  for (const FunctionTopic& topic : FunctionTopics())
    for (const FunctionRow& row : topic.rows)
      if (row.name == name || HasAlias(row, name)) return &row;
  return nullptr;
}

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names;
  for (const FunctionRow* row : FunctionTable()) {
    names.emplace_back(row->name);
    std::string_view rest = row->aliases;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(' '), rest.size());
      names.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return names;
}

std::string_view WhyNotHere(std::string_view name) {
  for (const auto& [known, why] : kNotHere)
    if (known == name) return why;
  return {};
}

}  // namespace headrace::pipeline

#include <fmt/format.h>

#include <iterator>

#include "pipeline/expressions/functions.h"

namespace headrace::pipeline {
namespace {

constexpr std::string_view kHead = R"(# Expressions

A documented subset of SQL, the same in views (`where`, arguments of aggregates, `share` conditions) and under `on_request`.
Expressions are total and deterministic: no wall clock, no locale, no platform mathematics. What fails in a row (an overflow,
a division by zero, a cast that does not fit) gives NULL, and rows whose result is NULL for that reason are counted.
Evaluation has no order that you could see: a branch of CASE that is not taken never fails.

Limits: 16 KiB of text, 60 levels deep, 300 operators in a row; a text that `||` or concat makes has at most 8 KiB, longer
gives NULL. This page is generated from the registry in
`src/pipeline/expressions/functions.cc`; every example on it runs as a test.

Not in this version: exp, ln, log, pow and the trigonometric functions. The C library's differ between CPUs, which would let two
machines give different bits; they come with one pinned implementation.

## Syntax
)";

// `|` would end a cell of the table.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string ExpressionsReference() {
  std::string page(kHead);
  page += "\n| form | meaning | example | gives |\n|---|---|---|---|\n";
  for (const FormRow& row : FormTable())
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | `{}` | `{}` |\n", Cell(row.syntax),
                   Cell(row.says), Cell(row.example), Cell(row.result));
  page +=
      "\nFrom loose to tight: `OR`, `AND`, `NOT`, comparisons (with `IS`, `IN`, `BETWEEN`, "
      "`LIKE`), `+ - ||`, `* / %`, sign.\n\n## Functions\n\n";
  page += "| function | meaning | example | gives |\n|---|---|---|---|\n";
  for (const FunctionRow& row : FunctionTable())
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | `{}` | `{}` |\n", Cell(row.signature),
                   Cell(row.says), Cell(row.example), Cell(row.result));
  return page;
}

}  // namespace headrace::pipeline

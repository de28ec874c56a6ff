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

Limits: 16 KiB of text, 60 levels deep, 300 operators in a row; a text that an expression makes has at most 8 KiB, longer
gives NULL. This page is generated from the registry in `src/pipeline/expressions/functions.h`; every example on it runs as a test.

Mathematical functions give the exact result rounded once, on every machine (docs/adr/0017-rounded-mathematics.md). Time zones are those of
one version of the tz database, compiled into the binary. Where a function has the name of one of DuckDB's, it gives the same (a
test compares generated expressions), but that an error is NULL and not the end of a query, and where its line says so. JSON is that of RFC 8259 (DuckDB 1.5 takes
a comma too many). There is no list type here: lists are JSON arrays in texts. Functions that differ between replays (random, now) do not exist.

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

// " Also: ifnull, nvl."
std::string Aliases(const FunctionRow& row) {
  if (row.aliases.empty()) return "";
  std::string out = " Also: ";
  for (const char c : row.aliases) out += c == ' ' ? std::string(", ") : std::string(1, c);
  return out + ".";
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
      "`LIKE`), `& | << >>`, `+ - ||`, `* / %`, sign (`- + ~`), `AT TIME ZONE -> ->> ::`.\n\n## "
      "Functions\n";
  for (const FunctionTopic& topic : FunctionTopics()) {
    fmt::format_to(std::back_inserter(page), "\n### {}\n\n", topic.name);
    page += "| function | meaning | example | gives |\n|---|---|---|---|\n";
    for (const FunctionRow& row : topic.rows)
      fmt::format_to(std::back_inserter(page), "| `{}` | {}{} | `{}` | `{}` |\n",
                     Cell(row.signature), Cell(row.says), Aliases(row), Cell(row.example),
                     Cell(row.result));
  }
  return page;
}

}  // namespace headrace::pipeline

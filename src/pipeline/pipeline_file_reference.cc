// The reference pages of the pipeline file and its JSON schema, from the key table.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "columns/value.h"
#include "pipeline/aggregates/aggregate_spec.h"
#include "pipeline/pipeline_file_keys.h"
#include "pipeline/reference.h"

namespace headrace::pipeline {
namespace {

constexpr Section kSections[] = {
    Section::kPipeline, Section::kPromise, Section::kOnMiss,   Section::kConsumer,
    Section::kStream,   Section::kSource,  Section::kTime,     Section::kRate,
    Section::kHistory,  Section::kUnnest,  Section::kDedupe,   Section::kView,
    Section::kService,  Section::kTable,   Section::kOptimize, Section::kLog};

std::string_view NameOf(Shape shape) {
  switch (shape) {
    case Shape::kText: return "text";
    case Shape::kInteger: return "whole number";
    case Shape::kDuration: return "duration";
    case Shape::kSize: return "size";
    case Shape::kPercent: return "percentage";
    case Shape::kMoney: return "dollars";
    case Shape::kAmount: return "events per time";
    case Shape::kChoice: return "one of";
    case Shape::kName: return "name";
    case Shape::kTexts: return "text or list of texts";
    case Shape::kDurations: return "duration or list of them";
    case Shape::kMapOfText: return "names to texts";
    case Shape::kMapOfValue: return "names to values";
    case Shape::kMapOfMapOfText: return "numbers to names to texts";
    case Shape::kMapOfDuration: return "names to durations";
    case Shape::kSection: return "map";
    case Shape::kMapOfSection: return "names to maps";
  }
  return "";
}

std::string ShapeText(const KeyRow& row) {
  if (row.shape == Shape::kChoice) return fmt::format("one of: {}", row.choices);
  if (row.shape == Shape::kSection) return fmt::format("map, see {}", NameOf(row.of));
  if (row.shape == Shape::kMapOfSection && row.support == Support::kHere)
    return fmt::format("names to maps, see {}", NameOf(row.of));
  return std::string(NameOf(row.shape));
}

constexpr std::string_view kHead = R"(# The pipeline file

One YAML file is the whole deployment. `headrace check FILE` reads it and says everything that is wrong at once, with a code,
the place and a way out; `headrace serve` refuses to start while there is an error. Unknown keys are errors: nothing is ignored
in silence. `examples/flights/pipeline.yaml` is a complete one. This page is generated from `src/pipeline/pipeline_file_keys.cc`;
`pipeline.schema.json` beside it completes and checks the file in editors.

- A duration is `250ms`, `90s`, `10m`, `1h`, `7d`, `2w`.
- Names are letters, digits and underscores. A windowed feature is named `feature_window`: `spend_1h`; in full `view.spend_1h`.
- Windows of other kinds end features like this: `spend_this_1d`, `spend_previous_1d`, `spend_1h_every_5m`, `spend_this_session_30m`,
  `spend_last_session_30m`; features under `last` have their own name. [Windows](../concepts/windows.md) has them with pictures.
- A feature is one aggregate with an optional condition: `sum(amount) where status = 'paid'` (see aggregates.md, expressions.md).
- Under `on_request` an expression uses full feature names and the names declared under `inputs`.
- Inside `{braces}` a text with an open parenthesis may hold commas: `{p90: quantile(delay, 0.9)}`. Plain YAML would cut it
  there, so quote it if other tools read the file.
- Anchors, aliases, tags and further documents are refused. The file may have 1 MiB and 24 levels.
- Views without `over` remember from the beginning; [aggregates.md](aggregates.md) says which aggregates they may hold.
- A stream is late by event time: `time.late` behind the newest. `history.arrived` says when past rows became known; under
  `clock: events` it counts for every row, and answers and training rows say that it was assumed.
)";

constexpr std::string_view kAggregatesHead = R"(# Aggregates

Every aggregate is a function of the set of rows in its window: order, splits, eviction and restarts can't change a
bit of it, and the same rows give the same bits online and in training sets. NULLs are passed over, except by `count(*)`,
`first` and `last`. Each may have a condition of its own: `count(*) where kind = 'buy'`.
This page is generated from `src/pipeline/aggregates/aggregate_spec.cc`.

)";

constexpr std::string_view kAggregatesAlgebra = R"(
## Error bounds, and what can be merged

*Invertible*: from what is accumulated a row can be taken out again, and parts can be merged. *Mergeable*: parts can be merged;
to be without a row, the others are added again. An ulp is the distance of neighbouring float64 values; each rounding is to nearest,
ties to even. INVALID is the status of an answer that its type or a limit can't hold.

)";

std::string Heading(Section section) {
  if (section == Section::kPipeline) return "## The file\n\n";
  return fmt::format("## {}\n\n", NameOf(section));
}

// A JSON schema for what a key may hold.
std::string SchemaOf(const KeyRow& row) {
  std::string ref = fmt::format("{{\"$ref\": \"#/$defs/{}\"}}", NameOf(row.of));
  switch (row.shape) {
    case Shape::kInteger: return R"({"type": "integer"})";
    case Shape::kDuration: return R"({"$ref": "#/$defs/duration"})";
    case Shape::kSize: return R"({"type": "string", "pattern": "^[0-9.]+(K|M|G|T)i?B$"})";
    case Shape::kPercent: return R"({"type": "string", "pattern": "^[0-9.]+%$"})";
    case Shape::kMoney: return R"({"type": "string", "pattern": "^\\$[0-9.]+$"})";
    case Shape::kAmount: return R"({"type": "string", "pattern": "^[0-9.]+[kMG]?/[smhd]$"})";
    case Shape::kChoice: {
      std::string values;
      for (size_t begin = 0; begin < row.choices.size();) {
        const size_t end = std::min(row.choices.find(' ', begin), row.choices.size());
        values += fmt::format("{}\"{}\"", values.empty() ? "" : ", ",
                              row.choices.substr(begin, end - begin));
        begin = end + 1;
      }
      return fmt::format("{{\"enum\": [{}]}}", values);
    }
    case Shape::kTexts:
      return R"({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})";
    case Shape::kDurations:
      return R"({"oneOf": [{"$ref": "#/$defs/duration"}, {"type": "array", "items": {"$ref": "#/$defs/duration"}}]})";
    case Shape::kMapOfText:
      return R"({"type": "object", "additionalProperties": {"type": "string"}})";
    case Shape::kMapOfValue:
      return R"({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})";
    case Shape::kMapOfMapOfText:
      return R"({"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}}})";
    case Shape::kMapOfDuration:
      return R"({"type": "object", "additionalProperties": {"$ref": "#/$defs/duration"}})";
    case Shape::kSection: return ref;
    case Shape::kMapOfSection:
      return fmt::format("{{\"type\": \"object\", \"additionalProperties\": {}}}", ref);
    case Shape::kText:
    case Shape::kName: return R"({"type": "string"})";
  }
  return "{}";
}

// The property with its description beside what it may hold.
std::string Property(const KeyRow& row) {
  std::string description, key;
  columns::AppendJsonString(description, row.says);
  columns::AppendJsonString(key, row.key);
  return fmt::format("        {}: {{\"description\": {}, \"allOf\": [{}]}}", key, description,
                     SchemaOf(row));
}

// `rate` takes names of keys beside its own.
std::string_view AdditionalProperties(Section section) {
  return section == Section::kRate ? R"({"type": ["string", "integer"]})" : "false";
}

std::string SectionSchema(Section section) {
  std::string properties;
  for (const KeyRow& row : KeyTable()) {
    if (row.section != section || row.support == Support::kLater) continue;
    properties += fmt::format("{}{}", properties.empty() ? "" : ",\n", Property(row));
  }
  return fmt::format(
      "    \"{}\": {{\n      \"type\": \"object\",\n      \"additionalProperties\": {},\n      "
      "\"properties\": {{\n{}\n      }}\n    }}",
      NameOf(section), AdditionalProperties(section), properties);
}

}  // namespace

std::string PipelineFileReference() {
  std::string page(kHead);
  for (const Section section : kSections) {
    page += "\n" + Heading(section) + "| key | takes | meaning | example |\n|---|---|---|---|\n";
    for (const KeyRow& row : KeyTable()) {
      if (row.section != section) continue;
      const std::string_view later =
          row.support == Support::kLater ? " *Not in this version.*" : "";
      const std::string example = row.example.empty() ? "" : fmt::format("`{}`", row.example);
      fmt::format_to(std::back_inserter(page), "| `{}` | {} | {}{} | {} |\n", row.key,
                     ShapeText(row), row.says, later, example);
    }
  }
  return page;
}

std::string PipelineFileSchema() {
  std::string schema =
      "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": "
      "\"Headrace pipeline file\",\n"
      "  \"$ref\": \"#/$defs/pipeline\",\n  \"$defs\": {\n"
      "    \"duration\": {\"type\": \"string\", \"pattern\": "
      "\"^([0-9]+(us|ms|s|m|h|d|w|y))+$\"},\n";
  for (const Section section : kSections) {
    schema += SectionSchema(section);
    schema += section == std::end(kSections)[-1] ? "\n" : ",\n";
  }
  return schema + "  }\n}\n";
}

// What stands in the parentheses: "number, then a rank in (0, 1]".
std::string TakesText(const AggregateRow& row) {
  std::string first(TextOf(row.takes));
  switch (row.parameter) {
    case Parameter::kNone: break;
    case Parameter::kRank: return first + ", a rank in (0, 1], optionally `error 1%`";
    case Parameter::kRegisterError: return first + ", optionally `error 2%`";
    case Parameter::kSize: return first + ", a number up to 1,000";
    case Parameter::kHalfLife: return first + ", a half-life such as `1h`";
  }
  return first;
}

// "`avg`, `mean`"
std::string NamesOf(const AggregateRow& row) {
  std::string names = fmt::format("`{}`", row.name);
  for (const std::string& alias : AliasesOf(row)) names += fmt::format(", `{}`", alias);
  return names;
}

std::string AggregatesReference() {
  std::string page(kAggregatesHead);
  page += "| aggregate | takes | gives | over no rows | meaning |\n|---|---|---|---|---|\n";
  for (const AggregateRow& row : AggregateTable())
    fmt::format_to(std::back_inserter(page), "| {} | {} | {} | {} | {} |\n", NamesOf(row),
                   TakesText(row), row.gives, row.empty, row.says);
  page += kAggregatesAlgebra;
  page +=
      "| aggregate | what it accumulates is | error | with `precision` | without `over` |\n"
      "|---|---|---|---|---|\n";
  for (const AggregateRow& row : AggregateTable())
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} | {} | {} |\n", row.name,
                   TextOf(row.algebra), row.error, row.tiles == Tiles::kNone ? "no" : "yes",
                   row.tiles == Tiles::kOfAllTime ? "yes" : "no");
  page += "\n## Examples\n\nEach runs as a test, over these rows and the last hour, as of ";
  page += fmt::format("{}:\n\n```\n", kExampleAsOf);
  for (const std::string_view row : ExampleRows()) page += fmt::format("{}\n", row);
  page += "```\n\n| feature | answer |\n|---|---|\n";
  for (const AggregateRow& row : AggregateTable())
    fmt::format_to(std::back_inserter(page), "| `{}` | `{}` |\n", row.example, row.answer);
  return page;
}

std::vector<ReferencePage> ReferencePages() {
  return {{"pipeline-file.md", PipelineFileReference()},
          {"pipeline.schema.json", PipelineFileSchema()},
          {"expressions.md", ExpressionsReference()},
          {"aggregates.md", AggregatesReference()},
          {"errors.md", contract::ErrorsReference()}};
}

}  // namespace headrace::pipeline

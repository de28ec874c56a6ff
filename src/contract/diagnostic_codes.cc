#include "contract/diagnostic_codes.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/result.h"

namespace headrace::contract {
namespace {

using enum DiagnosticCode;

constexpr std::array kRows = {
    DiagnosticRow{
        kYamlSyntax, "Not YAML", "The file can't be read as YAML.",
        "Look at the marked place: a bracket, quote or indent is missing there or just before."},
    DiagnosticRow{kNotText, "Not text", "The file is not UTF-8 text, or holds a NUL byte.",
                  "Save it as UTF-8."},
    DiagnosticRow{kTooLarge, "Too large",
                  "The file is larger or nested deeper than the limits allow.",
                  "Split it, or remove what does not belong there."},
    DiagnosticRow{kYamlFeature, "YAML feature not allowed",
                  "Anchors, aliases, tags and a second document are refused: what is read must be "
                  "what is seen.",
                  "Write the value out."},
    DiagnosticRow{kDuplicateKey, "Key written twice",
                  "A map has the same key twice; one would be lost.", "Remove or rename one."},
    DiagnosticRow{kKeyNotText, "Key is not text", "A map's key is a list, a map or empty.",
                  "Write a name before the colon."},
    DiagnosticRow{kEmptyFile, "Empty file", "There is nothing in the file.",
                  "Start from examples/flights."},
    DiagnosticRow{
        kUnknownKey, "Unknown key", "The key means nothing here; nothing is ignored in silence.",
        "Correct its spelling, or remove it. docs/reference/pipeline-file.md lists the keys."},
    DiagnosticRow{kMissingKey, "Missing key", "A key that is needed is not there.", "Add it."},
    DiagnosticRow{kWrongShape, "Wrong shape",
                  "A list, a map or a text stands where something else belongs.",
                  "Write the shape that the message names."},
    DiagnosticRow{kWrongValue, "Wrong value", "The value is not one of those that the key takes.",
                  "Choose one of those that the message lists."},
    DiagnosticRow{kBadNumber, "Not a number",
                  "The value is no number of the wanted kind and range.",
                  "Write a number, with the unit that the message names."},
    DiagnosticRow{kBadDuration, "Not a duration", "The value is no span of time.",
                  "Write 250ms, 90s, 10m, 1h, 7d or 2w."},
    DiagnosticRow{kBadName, "Bad name",
                  "Names are letters, digits and underscores, and do not start with a digit.",
                  "Rename it."},
    DiagnosticRow{kContractVersion, "Not a contract of a version read here",
                  "Contracts are Open Data Contract Standard documents, apiVersion v3.1.x or "
                  "v3.2.x, kind DataContract.",
                  "Correct apiVersion and kind."},
    DiagnosticRow{kContractObject, "No such schema object",
                  "The contract's `schema` has no object, or none of the wanted name, or the "
                  "object has no properties.",
                  "Describe the event as a schema object with properties."},
    DiagnosticRow{kUnknownType, "Unknown type", "The logicalType or physicalType is not known.",
                  "Choose one that the message lists."},
    DiagnosticRow{kTypeNotHere, "Type not in this version",
                  "The standard has this type, this version does not hold it.",
                  "Give an object its `properties`; keep a list or a free object as JSON text with "
                  "physicalType: json; carry anything else as a string, or leave the field out."},
    DiagnosticRow{kTypeContradiction, "Types contradict",
                  "logicalType, physicalType and options name different types.",
                  "Make them agree."},
    DiagnosticRow{kUnknownRule, "Unknown rule",
                  "The rule is unknown, or does not apply to the field's type. A rule that can't "
                  "be kept is refused, not ignored.",
                  "Correct or remove it."},
    DiagnosticRow{kRuleContradiction, "Rules contradict",
                  "No value can keep all the rules of the field.", "Widen or remove one of them."},
    DiagnosticRow{kBadPattern, "Bad pattern",
                  "The pattern is not a regular expression of RE2's syntax.",
                  "Mend it. RE2 has no look-around and no back-references."},
    DiagnosticRow{kBadBound, "Bad bound", "A bound is not a value of the field's type.",
                  "Write a value of that type."},
    DiagnosticRow{kDuplicateField, "Field named twice", "Two properties have the same name.",
                  "Rename one."},
    DiagnosticRow{kReservedName, "Reserved name",
                  "_epoch, _row and _known_at are columns that Headrace adds to tables.",
                  "Rename the field."},
    DiagnosticRow{kRuleNotEnforced, "Rule not enforced at ingest",
                  "A warning: the rule is about many rows (uniqueness, counts, SQL), and events "
                  "are checked one by one.",
                  "Nothing; check it in the table with a tool for it."},
    DiagnosticRow{kFileVersion, "Version of the file format",
                  "`headrace:` names a format that this version can't read.",
                  "Write `headrace: 1`."},
    DiagnosticRow{kNotInThisVersion, "Not in this version",
                  "The design has it, this version does not do it yet; ignoring it would give "
                  "other numbers than asked.",
                  "Remove it, or wait for a version that has it."},
    DiagnosticRow{kPromiseInfeasible, "Promise can't be kept",
                  "What is spent outside Headrace uses the whole budget.",
                  "Raise the budget or spend less outside."},
    DiagnosticRow{kPromiseShape, "Promise not understood",
                  "A budget is one percentile and a time: {p99: 200ms}.", "Write it like that."},
    DiagnosticRow{kMemoryExceeded, "Views do not fit in memory",
                  "At the stated rate the rows of the longest windows need more than `memory`.",
                  "Shorten windows, raise `memory`, or correct the rate."},
    DiagnosticRow{kUnknownStream, "Unknown stream", "The name is not one of the file's streams.",
                  "Correct it."},
    DiagnosticRow{kUnknownView, "Unknown view", "The name is not one of the file's views.",
                  "Correct it."},
    DiagnosticRow{kUnknownFeature, "Unknown feature",
                  "No view, window or on_request gives a feature of that name.",
                  "Correct it: windowed features end in their window, as spend_1h."},
    DiagnosticRow{kUnknownService, "Unknown service", "The name is not one of the file's services.",
                  "Correct it."},
    DiagnosticRow{kUnknownColumn, "Unknown column",
                  "The contract of the stream has no field of that name.",
                  "Correct the name or add the field to the contract."},
    DiagnosticRow{kContractContradictsView, "Contract contradicts the view",
                  "The contract gives a field a type that the view can't use as it does.",
                  "Change the contract's type or the expression (CAST)."},
    DiagnosticRow{kTimeField, "Event time",
                  "The event time must be a required timestamp field of the contract.",
                  "Name such a field, or make it required."},
    DiagnosticRow{kExpressionSyntax, "Expression not understood", "The text is not an expression.",
                  "docs/reference/expressions.md has the grammar."},
    DiagnosticRow{kExpressionType, "Types do not fit",
                  "An operator or function can't take values of these types.",
                  "Convert one with CAST, or use another function."},
    DiagnosticRow{kUnknownFunction, "Unknown function", "There is no function of that name.",
                  "docs/reference/expressions.md lists them."},
    DiagnosticRow{kUnknownAggregate, "Unknown aggregate", "There is no aggregate of that name.",
                  "docs/reference/aggregates.md lists them."},
    DiagnosticRow{kAggregateArgument, "Aggregate argument",
                  "The aggregate can't take this argument.",
                  "docs/reference/aggregates.md says what each takes."},
    DiagnosticRow{kFeatureText, "Feature not understood",
                  "A feature is one aggregate: sum(amount) where status = 'paid'.",
                  "Write it like that; sums of aggregates belong under on_request."},
    DiagnosticRow{
        kWindow, "Windows",
        "A window is a positive span of time or a number of rows, each once, none over ten "
        "years or 10,000 rows; some features and keys need windows of some kind.",
        "Correct the window, or put the feature into a view of its own."},
    DiagnosticRow{
        kLifetimeView, "View without windows",
        "Without `over` a view counts from the beginning: rows are added up and not kept. "
        "Aggregates that need each row, or a window's length, are not bounded there.",
        "Add `over`, or leave the feature out; docs/reference/aggregates.md says which "
        "aggregates go without."},
    DiagnosticRow{kNameTaken, "Name taken",
                  "Two things that are asked for by name have the same one.", "Rename one."},
    DiagnosticRow{
        kCommaInFlowMap, "A comma ended the text",
        "Inside {braces} YAML ends a plain text at a comma, so the expression was cut in two.",
        "Quote it: {p90: \"quantile(delay, 0.9)\"}."},
    DiagnosticRow{kKeyField, "Key field", "A key is made of fields that identify: no floats.",
                  "Choose other fields."},
    DiagnosticRow{kConditionNotBool, "Not a condition", "`where` and share() want true or false.",
                  "Compare with something."},
    DiagnosticRow{kArrived, "Arrival",
                  "`arrived` is a timestamp field, or one plus a duration: paid_at + 3s.",
                  "Write it like that."},
    DiagnosticRow{kContractUnreadable, "Contract can't be read",
                  "The contract's file is not there or can't be read.",
                  "Correct the path; it is relative to the pipeline file."},
    DiagnosticRow{kFunctionNotHere, "Function not in this version",
                  "Other engines have it, and here it would not answer the same at every replay: "
                  "now() and random() never do, tanh, sinh, cosh, cbrt, gamma and lgamma differ "
                  "between CPUs in the C library.",
                  "Compute it in the model, or before the event is sent."},
    DiagnosticRow{kNothingToServe, "Service without features",
                  "A service answers at least one feature.", "List some."},
    DiagnosticRow{kHistoryNotRead, "History is not read by the engine",
                  "A warning: this version does not load history.files by itself.",
                  "Feed the files with `headrace ingest`."},
    DiagnosticRow{kTooMany, "Too many",
                  "A named limit on the number of things in the file is passed.", "Use fewer."},
    DiagnosticRow{kZOrder, "Z-order",
                  "A table is to be put in an order by columns that no reader of it filters on: "
                  "every rewriting would cost, and nobody would read less.",
                  "Name columns of a view's `by` or `where`, of a join, or of a consumer's "
                  "`pattern`; or let a consumer say its pattern; or leave `z_order` out."},
    DiagnosticRow{kDerivedStream, "Derived stream",
                  "A stream with `from` is made of another one: it has that one's contract, source "
                  "and time, and keeps its event time.",
                  "Say `from` with derive, where, select or drop; or leave `from` out."},
    DiagnosticRow{kJoin, "Join", "The streams can't be joined in this way.",
                  "docs/concepts/streams.md says what can be joined to what."},
};

constexpr std::string_view kHead =
    "# Error codes\n\n"
    "Every complaint about a pipeline file or a contract has a code, a place and a way out. "
    "`headrace check` prints them;\n"
    "`headrace serve` refuses to start while there is one. This page is generated from "
    "`src/contract/diagnostic_codes.cc`\n"
    "and `src/base/error.cc`.\n\n";

}  // namespace

std::span<const DiagnosticRow> DiagnosticTable() { return kRows; }

const DiagnosticRow& RowOf(DiagnosticCode code) {
  const auto row =
      std::lower_bound(kRows.begin(), kRows.end(), code,
                       [](const DiagnosticRow& r, DiagnosticCode c) { return r.code < c; });
  HR_CHECK(row != kRows.end() && row->code == code, "diagnostic code without a row");
  return *row;
}

std::string CodeText(DiagnosticCode code) {
  return fmt::format("HR{:04}", static_cast<unsigned>(code));
}

std::string CodeText(base::ErrorCode code) {
  return fmt::format("HR09{:02}", static_cast<unsigned>(code));
}

std::string ErrorsReference() {
  std::string page(kHead);
  page += "## In files: HR0101 to HR0299\n\n";
  for (const DiagnosticRow& row : kRows) {
    fmt::format_to(std::back_inserter(page), "### {}\n\n**{}.** {} *What to do:* {}\n\n",
                   CodeText(row.code), row.title, row.says, row.mend);
  }
  page += "## While running: HR0900 and up\n\n";
  page +=
      "The clause is for the code; an error that knows better says so: on the command line behind "
      "`next:`, over HTTP in `context.next`.\n\n";
  page +=
      "| code | name | what the caller should do | HTTP | exit code | Python "
      "|\n|---|---|---|---|---|---|\n";
  for (const base::ErrorCodeRow& row : base::ErrorCodes()) {
    fmt::format_to(std::back_inserter(page), "| {} | {} | {} | {} | {} | `{}` |\n",
                   CodeText(row.code), row.name, row.caller_should, row.http_status, row.exit_code,
                   row.python_exception);
  }
  return page;
}

}  // namespace headrace::contract

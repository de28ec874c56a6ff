#include <gtest/gtest.h>

#include <random>

#include "contract/contract.h"
#include "contract/diagnostic.h"
#include "contract/diagnostic_codes.h"

namespace headrace::contract {
namespace {

std::string Rendered(std::string_view text) {
  std::string all;
  for (const Diagnostic& d : Contract::Parse("c.yaml", text, "").diagnostics)
    all += Render(d, text);
  return all;
}

// One property in an otherwise good contract; it stands in line 10.
std::string Property(std::string_view property) {
  return "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n "
         " - name: c\n"
         "    logicalType: object\n    properties:\n      - " +
         std::string(property) + "\n";
}

struct Case {
  std::string_view property;
  std::string_view rendered;
};

TEST(ContractDiagnostics, RulesThatCannotBeKept) {
  const Case cases[] = {
      {"{name: x, logicalType: integer, logicalTypeOptions: {minimun: 1}}",
       "error[HR0135] c.yaml:10:62  field x: no rule `minimun`\n"
       "  10 |       - {name: x, logicalType: integer, logicalTypeOptions: {minimun: 1}}\n"
       "                                                                    ^^^^^^^  did you mean: "
       "minimum?\n"},
      {"{name: x, logicalType: integer, logicalTypeOptions: {minimum: 5, maximum: 1}}",
       "error[HR0136] c.yaml:10:9  field x: the minimum is above the maximum\n"
       "  10 |       - {name: x, logicalType: integer, logicalTypeOptions: {minimum: 5, maximum: "
       "1}}\n"
       "               ^\n"},
      {"{name: x, logicalType: integer, logicalTypeOptions: {pattern: a}}",
       "error[HR0135] c.yaml:10:62  field x: `pattern` does not apply to type int64\n"
       "  10 |       - {name: x, logicalType: integer, logicalTypeOptions: {pattern: a}}\n"
       "                                                                    ^^^^^^^\n"},
      {"{name: x, logicalType: string, logicalTypeOptions: {pattern: '(a'}}",
       "error[HR0137] c.yaml:10:70  field x: `pattern`: missing ): (a\n"
       "  10 |       - {name: x, logicalType: string, logicalTypeOptions: {pattern: '(a'}}\n"
       "                                                                            ^^^^  RE2 has "
       "no look-around and no back-references\n"},
      {"{name: x, logicalType: timestamp, logicalTypeOptions: {minimum: noon}}",
       "error[HR0138] c.yaml:10:73  field x: `minimum` is `noon`, which is no timestamp\n"
       "  10 |       - {name: x, logicalType: timestamp, logicalTypeOptions: {minimum: noon}}\n"
       "                                                                               ^^^^\n"},
      {"{name: x, logicalType: string, enum: [ab, abc], logicalTypeOptions: {maxLength: 2}}",
       "error[HR0136] c.yaml:10:51  field x: the listed value `abc` breaks the field's length or "
       "pattern\n"
       "  10 |       - {name: x, logicalType: string, enum: [ab, abc], logicalTypeOptions: "
       "{maxLength: 2}}\n"
       "                                                         ^^^\n"},
      {"{name: x, logicalType: string, enum: []}",
       "error[HR0136] c.yaml:10:46  field x: `enum` lists no value\n"
       "  10 |       - {name: x, logicalType: string, enum: []}\n"
       "                                                    ^  leave it out, or list what may "
       "come\n"},
      {"{name: x, logicalType: integer, quality: [{metric: invalidValues, mustBe: 0, arguments: "
       "{validValues: []}}]}",
       "error[HR0136] c.yaml:10:111  field x: `validValues` lists no value\n"
       "  10 |       - {name: x, logicalType: integer, quality: [{metric: invalidValues, mustBe: "
       "0, arguments: {validValues: []}}]}\n"
       "                                                                                           "
       "                          ^  leave it out, or list what may come\n"},
      {"{name: x, logicalType: string, enum: [a], quality: [{metric: invalidValues, mustBe: 0, "
       "arguments: {validValues: [b, c]}}]}",
       "error[HR0136] c.yaml:10:121  field x: no value is in all of its 2 lists\n"
       "  10 |       - {name: x, logicalType: string, enum: [a], quality: [{metric: invalidValues, "
       "mustBe: 0, arguments: {validValues: [b, c]}}]}\n"
       "                                                                                           "
       "                                    ^  what comes must be in each of them\n"},
      {"{name: x, logicalType: string, physicalType: bytes, enum: [aGk=, hi]}",
       "error[HR0113] c.yaml:10:74  field x: `enum` lists `hi`, which is no base64\n"
       "  10 |       - {name: x, logicalType: string, physicalType: bytes, enum: [aGk=, hi]}\n"
       "                                                                                ^^  bytes "
       "are written as base64, as in events\n"},
      {"{name: x, logicalType: string, enum: [AB], logicalTypeOptions: {pattern: 'A.'}, quality: "
       "[{metric: invalidValues, mustBe: 0, arguments: {pattern: '.'}}]}",
       "error[HR0136] c.yaml:10:47  field x: the listed value `AB` breaks the field's length or "
       "pattern\n"
       "  10 |       - {name: x, logicalType: string, enum: [AB], logicalTypeOptions: {pattern: "
       "'A.'}, quality: [{metric: invalidValues, mustBe: 0, arguments: {pattern: '.'}}]\n"
       "                                                     ^^\n"},
      {"{name: x, logicalType: string, quality: [{metric: invalidValues, mustBe: 0, arguments: "
       "{}}]}",
       "warning[HR0141] c.yaml:10:96  field x: `invalidValues` without validValues and pattern is "
       "not enforced at ingest\n"
       "  10 |       - {name: x, logicalType: string, quality: [{metric: invalidValues, mustBe: 0, "
       "arguments: {}}]}\n"
       "                                                                                           "
       "           ^\n"},
      {"{name: x, logicalType: integer, logicalTypeOptions: {exclusiveMinimum: true}}",
       "error[HR0138] c.yaml:10:80  field x: `exclusiveMinimum` is a value, not a switch\n"
       "  10 |       - {name: x, logicalType: integer, logicalTypeOptions: {exclusiveMinimum: "
       "true}}\n"
       "                                                                                      ^^^^ "
       " exclusiveMinimum: 0 means more than 0\n"},
      {"{name: x, logicalType: text}",
       "error[HR0132] c.yaml:10:32  field x: no logicalType `text`\n"
       "  10 |       - {name: x, logicalType: text}\n"
       "                                      ^^^^  one of: string, integer, number, boolean, "
       "date, timestamp\n"},
      {"{name: x, logicalType: array}",
       "error[HR0133] c.yaml:10:32  field x: logicalType array is not in this version\n"
       "  10 |       - {name: x, logicalType: array}\n"
       "                                      ^^^^^  physicalType: json keeps it as JSON text\n"},
      {"{name: x, logicalType: object}",
       "error[HR0133] c.yaml:10:32  field x: logicalType object is not in this version\n"
       "  10 |       - {name: x, logicalType: object}\n"
       "                                      ^^^^^^  give its `properties`, which become fields; "
       "or "
       "keep it as text with physicalType: json\n"},
      {"{name: x, logicalType: object, properties: []}",
       "error[HR0131] c.yaml:10:52  field x: an object without properties\n"
       "  10 |       - {name: x, logicalType: object, properties: []}\n"
       "                                                          ^\n"},
      {"{name: x, logicalType: array, physicalType: json, items: {logicalType: string}}",
       "warning[HR0141] c.yaml:10:66  field x: `items` is not enforced at ingest\n"
       "  10 |       - {name: x, logicalType: array, physicalType: json, items: {logicalType: "
       "string}}\n"
       "                                                                        ^\n"},
      {"{name: x, logicalType: object, properties: [{name: a, logicalType: time}]}",
       "error[HR0133] c.yaml:10:76  field x_a: logicalType time is not in this version\n"
       "  10 |       - {name: x, logicalType: object, properties: [{name: a, logicalType: time}]}\n"
       "                                                                                  ^^^^  "
       "carry "
       "it as a string\n"},
      {"{name: x, logicalType: integer, physicalType: float64}",
       "error[HR0134] c.yaml:10:55  field x: physicalType float64 contradicts logicalType integer\n"
       "  10 |       - {name: x, logicalType: integer, physicalType: float64}\n"
       "                                                             ^^^^^^^\n"},
      {"{name: _row, logicalType: integer}",
       "error[HR0140] c.yaml:10:16  `_row` is a column that Headrace adds to tables\n"
       "  10 |       - {name: _row, logicalType: integer}\n"
       "                      ^^^^\n"},
      {"{name: x, logicalType: integer, requierd: true}",
       "error[HR0110] c.yaml:10:41  field x: no key `requierd`\n"
       "  10 |       - {name: x, logicalType: integer, requierd: true}\n"
       "                                               ^^^^^^^^  did you mean: required?\n"},
      {"{name: x, logicalType: string, unique: true}",
       "warning[HR0141] c.yaml:10:48  field x: `unique` is not enforced at ingest\n"
       "  10 |       - {name: x, logicalType: string, unique: true}\n"
       "                                                      ^^^^\n"},
      {"{name: x, logicalType: string, quality: [{metric: rowCount, mustBe: 0}]}",
       "warning[HR0141] c.yaml:10:50  field x: `rowCount` is not enforced at ingest\n"
       "  10 |       - {name: x, logicalType: string, quality: [{metric: rowCount, mustBe: 0}]}\n"
       "                                                        ^\n"},
      {"{name: x, logicalType: string, quality: [{metric: oddValues, mustBe: 0}]}",
       "error[HR0113] c.yaml:10:59  field x: `metric` can't be `oddValues`\n"
       "  10 |       - {name: x, logicalType: string, quality: [{metric: oddValues, mustBe: 0}]}\n"
       "                                                                 ^^^^^^^^^  one of: "
       "nullValues, missingValues, invalidValues, "
       "duplicateValues, rowCount\n"},
      {"{name: x, logicalType: string, required: yes}",
       "error[HR0113] c.yaml:10:50  `required` can't be `yes`\n"
       "  10 |       - {name: x, logicalType: string, required: yes}\n"
       "                                                        ^^^  one of: true, false\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(Rendered(Property(c.property)), c.rendered) << c.property;
}

// What would change the meaning of a value, or refuse one, and is not done here.
TEST(ContractDiagnostics, OptionsThatAreNotKept) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"{name: x, logicalType: timestamp, logicalTypeOptions: {defaultTimezone: UTC}}", ""},
      {"{name: x, logicalType: timestamp, logicalTypeOptions: {defaultTimezone: Europe/Berlin}}",
       "field x: `defaultTimezone` is `Europe/Berlin`: times without a zone are read as UTC"},
      {"{name: x, logicalType: timestamp, logicalTypeOptions: {timezone: no}}", "error[HR0113]"},
      {"{name: x, logicalType: timestamp, physicalType: timestamp, logicalTypeOptions: {timezone: "
       "false}}",
       "physicalType timestamp contradicts its logicalTypeOptions, which say timestamp_ntz"},
      {"{name: x, logicalType: integer, logicalTypeOptions: {format: u16}}", ""},
      {"{name: x, logicalType: integer, logicalTypeOptions: {format: u64}}",
       "field x: `format` is `u64`, which is none here"},
      {"{name: x, logicalType: number, logicalTypeOptions: {format: i32}}",
       "field x: `format` is `i32`, which is none here"},
      {"{name: x, logicalType: string, logicalTypeOptions: {format: email}}", ""},
      {"{name: o, logicalType: object, quality: [{metric: nullValues, mustBe: 0}], properties: "
       "[{name: x, logicalType: string}]}",
       "warning[HR0141] c.yaml:10:49  field o: `quality` is not enforced at ingest"},
      {"{name: o, logicalType: object, logicalTypeOptions: {required: [x]}, properties: [{name: x, "
       "logicalType: string}]}",
       "field o: `logicalTypeOptions` is not enforced at ingest"}};
  for (const auto& [property, says] : cases) {
    const std::string rendered = Rendered(Property(property));
    if (says.empty())
      EXPECT_EQ(rendered, "") << property;
    else
      EXPECT_NE(rendered.find(says), std::string::npos) << property << "\n" << rendered;
  }
}

TEST(ContractDiagnostics, FilesThatAreNoContract) {
  EXPECT_EQ(Rendered(""), "error[HR0107] c.yaml  the file is empty\n");
  EXPECT_EQ(
      Rendered("a: [1"),
      "error[HR0101] c.yaml:1:1  not YAML: end of sequence flow not found\n  1 | a: [1\n      ^\n");
  EXPECT_EQ(
      Rendered("a: 1\na: 2\n"),
      "error[HR0105] c.yaml:2:1  `a` is written twice, first in line 1\n  2 | a: 2\n      ^\n");
  EXPECT_EQ(Rendered("a: &x 1\nb: *x\n").substr(0, 46),
            "error[HR0104] c.yaml:1:4  anchors are not allo");
  EXPECT_EQ(Rendered("a: !!int 1\n").substr(0, 39), "error[HR0104] c.yaml:1:4  tags are not ");
  EXPECT_EQ(Rendered("a: 1\n---\nb: 2\n"),
            "error[HR0104] c.yaml  the file holds more than one document\n");
  EXPECT_EQ(Rendered(std::string_view("a: \0", 4)).substr(0, 46),
            "error[HR0102] c.yaml  the file is not UTF-8 te");
  EXPECT_EQ(Rendered("\xff: 1").substr(0, 13), "error[HR0102]");
  EXPECT_EQ(Rendered(std::string(2 << 20, ' ')),
            "error[HR0103] c.yaml  the file has 2097152 bytes; at most 1048576 are read\n");
  EXPECT_EQ(Rendered(std::string(30, '[') + std::string(30, ']')).substr(0, 13), "error[HR0103]");
  EXPECT_EQ(Rendered(std::string(400, '[')).substr(0, 5), "error");
  EXPECT_EQ(Rendered("[1]: 2\n").substr(0, 13), "error[HR0106]");
  EXPECT_EQ(
      Rendered("- 1\n"),
      "error[HR0112] c.yaml:1:1  a contract must be a map, here is a list\n  1 | - 1\n      ^\n");
}

TEST(ContractDiagnostics, VersionsAndObjects) {
  const std::string good = Property("{name: x, logicalType: string}");
  const auto with = [&](std::string_view old, std::string_view what) {
    std::string text = good;
    return text.replace(text.find(old), old.size(), what);
  };
  EXPECT_EQ(Rendered(good), "");
  EXPECT_EQ(Rendered(with("v3.1.0", "v2.2.0")).substr(0, 64),
            "error[HR0130] c.yaml:1:13  apiVersion `v2.2.0` is not read here\n");
  EXPECT_EQ(Rendered(with("id: c\n", "")).substr(0, 50),
            "error[HR0111] c.yaml:1:1  contract: `id` is missin");
  EXPECT_EQ(Contract::Parse("c.yaml", good, "d").diagnostics.at(0).message,
            "`schema` has no object `d`");
  EXPECT_NE(Contract::Parse("c.yaml", good, "c").contract, nullptr);
}

TEST(Diagnostic, RendersLongLinesAndControlCharactersSafely) {
  Diagnostic d{.code = "HR0101",
               .file = "f",
               .line = 1,
               .column = 301,
               .length = 2,
               .message = "bad\x1b[31m"};
  const std::string text = std::string(300, 'x') + "!!" + std::string(300, 'y');
  const std::string rendered = Render(d, text);
  EXPECT_EQ(rendered.find('\x1b'), std::string::npos);
  const size_t line = rendered.find("  1 | ");
  const size_t caret = rendered.find('^');
  EXPECT_EQ(rendered[line + (caret - rendered.rfind('\n', caret)) - 1], '!');
  Diagnostic wide{
      .code = "HR0101", .file = "f", .line = 1, .column = 6, .length = 1, .message = "m"};
  EXPECT_EQ(Render(wide, "\xc3\xbc\xc3\xbc!x"), "error[HR0101] f:1:6  m\n  1 | üü!x\n         ^\n")
      << "carets count letters, columns bytes";
}

TEST(Diagnostic, NearestNames) {
  const std::vector<std::string> names = {"amount", "merchant", "paid_at", "count", "mount"};
  EXPECT_EQ(NearestNames("ammount", names), (std::vector<std::string>{"amount", "mount"}));
  EXPECT_EQ(NearestNames("AMOUNT", names), (std::vector<std::string>{"amount", "mount", "count"}));
  EXPECT_EQ(NearestNames("piad_at", names), (std::vector<std::string>{"paid_at"}))
      << "neighbours swapped";
  EXPECT_TRUE(NearestNames("zzz", names).empty());
  const std::vector<std::string> joined = {"id", "amount", "refunds.refund_id", "refunds.amount"};
  EXPECT_EQ(NearestNames("refund_id", joined), (std::vector<std::string>{"refunds.refund_id"}));
  EXPECT_EQ(NearestNames("ammount", joined),
            (std::vector<std::string>{"amount", "refunds.amount"}));
}

TEST(DiagnosticCodes, TableIsSortedAndComplete) {
  for (size_t i = 1; i < DiagnosticTable().size(); ++i)
    EXPECT_LT(DiagnosticTable()[i - 1].code, DiagnosticTable()[i].code);
  for (const DiagnosticRow& row : DiagnosticTable()) {
    EXPECT_EQ(&RowOf(row.code), &row);
    EXPECT_TRUE(row.says.ends_with('.') && row.mend.ends_with('.')) << CodeText(row.code);
  }
  EXPECT_EQ(CodeText(DiagnosticCode::kUnknownColumn), "HR0214");
  EXPECT_EQ(CodeText(base::ErrorCode::kNotFound), "HR0901");
}

// Whatever stands in the file, the answer is a contract or a reason.
TEST(ContractProperty, AnyBytesParseOrSayWhy) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 3;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::string good = Property(
      "{name: x, logicalType: string, enum: [{value: a}], logicalTypeOptions: {pattern: '[a-z]+', "
      "maxLength: 3}}");
  constexpr std::string_view kBytes = "{}[]:,-'\"&*!|>#%@ \n\t?~a0";
  for (int round = 0; round < 3000; ++round) {
    std::string text = good;
    for (size_t i = 0; i < 1 + random() % 6; ++i) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, random() % 10);
      else if (random() % 2 == 0)
        text.insert(at, 1, kBytes[random() % kBytes.size()]);
      else
        text[at] =
            random() % 4 == 0 ? static_cast<char>(random()) : kBytes[random() % kBytes.size()];
      if (text.empty()) text = " ";
    }
    const ParsedContract parsed = Contract::Parse("c.yaml", text, "");
    const bool error = std::any_of(parsed.diagnostics.begin(), parsed.diagnostics.end(),
                                   [](const auto& d) { return d.severity == Severity::kError; });
    ASSERT_EQ(parsed.contract == nullptr, error) << text;
    for (const Diagnostic& d : parsed.diagnostics) ASSERT_FALSE(Render(d, text).empty());
  }
}

}  // namespace
}  // namespace headrace::contract

#include "pipeline/expressions/json_path.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

namespace headrace::pipeline {
namespace {

std::string At(std::string_view document, std::string_view path) {
  const auto compiled = JsonPath::Compile(path);
  if (!compiled) return "error: " + compiled.error();
  JsonValue value;
  if (!FindInJson(document, *compiled, &value)) return "malformed";
  return value.kind == JsonKind::kAbsent ? "absent" : std::string(value.text);
}

TEST(JsonPath, LeadsToValues) {
  constexpr std::string_view kDocument =
      R"( {"a": {"b": [1, {"c": "x"}, []]}, "b c": true, "d\u00e9": null, "a.b": 5} )";
  EXPECT_EQ(At(kDocument, "$.a.b[0]"), "1");
  EXPECT_EQ(At(kDocument, "$.a.b[1].c"), "\"x\"");
  EXPECT_EQ(At(kDocument, "$.a.b[#-1]"), "[]");
  EXPECT_EQ(At(kDocument, "$.a.b[#-3]"), "1");
  EXPECT_EQ(At(kDocument, "$.a.b[#-4]"), "absent");
  EXPECT_EQ(At(kDocument, "$.a.b[3]"), "absent");
  EXPECT_EQ(At(kDocument, "$.\"b c\""), "true");
  EXPECT_EQ(At(kDocument, "b c"), "true");
  EXPECT_EQ(At(kDocument, "$.dé"), "null");
  EXPECT_EQ(At(kDocument, "$.\"a.b\""), "5");
  EXPECT_EQ(At(kDocument, "$.a[0]"), "absent") << "an object has no elements";
  EXPECT_EQ(At("[[1,2],[3,4]]", "$[#-1][#-2]"), "3");
  EXPECT_EQ(At(R"({"a": 1, "a": 2})", "$.a"), "1") << "the first of two";
  EXPECT_EQ(At(R"({"a": {"x": 1}, "a": {"b": 2}})", "$.a.b"), "absent");
}

TEST(JsonPath, AMalformedDocumentIsSoWhereverThePathLeads) {
  for (const std::string_view document :
       {"", "{", "{\"a\": 1", "{\"a\": 1} x", "[1,]", "{\"a\": 01}", "{\"a\": 1.}",
        "{\"a\": \"\t\"}", "{\"a\": \"\\x\"}", "{\"a\": \"\\ud800\"}", "{\"a\" 1}", "{a: 1}", "nul",
        "+1", "- 1"})
    EXPECT_EQ(At(document, "$.a"), "malformed") << document;
  EXPECT_EQ(At(std::string(300, '[') + std::string(300, ']'), "$"), "malformed") << "too deep";
}

TEST(JsonPath, PathsSayWhatIsWrong) {
  EXPECT_EQ(At("1", "$.a["), "error: `[` of the path where [0] or [#-1] should be");
  EXPECT_EQ(At("1", "$."),
            "error: `.` of the path where a name (there are no wildcards) should be");
  EXPECT_EQ(At("1", "$.*"),
            "error: `.*` of the path where a name (there are no wildcards) should be");
  EXPECT_EQ(At("1", "$a"), "error: `a` of the path where .name or [0] should be");
  EXPECT_EQ(At("1", "/a"), "error: a JSON pointer; write a path as $.a.b[0]");
  EXPECT_EQ(At("1", ""), "error: the path is empty; write $ for the whole document");
}

TEST(JsonPath, EscapesAreUndone) {
  std::string out;
  AppendUnescaped(R"(a\"\\\/\b\f\n\r\t\u00fc\ud83d\ude42z)", out);
  EXPECT_EQ(out, "a\"\\/\b\f\n\r\tü🙂z");
}

std::string RandomJson(std::mt19937_64& random, int depth) {
  const auto pick = [&](std::initializer_list<const char*> of) {
    return std::string(of.begin()[random() % of.size()]);
  };
  if (depth == 0 || random() % 3 == 0)
    return pick({"1", "-0", "2.5e-3", "true", "false", "null", "\"\"", "\"a b\"", "\"\\u00fc\\n\"",
                 "\"\\ud83d\\ude42\"", "\"ü\"", "1E+2"});
  const bool object = random() % 2 == 0;
  std::string text = object ? "{" : "[";
  for (size_t i = random() % 4; i > 0; --i) {
    if (text.size() > 1) text += pick({",", ", ", " ,"});
    if (object) text += pick({"\"a\"", "\"b\"", "\"\\u0061\""}) + pick({":", ": "});
    text += RandomJson(random, depth - 1);
  }
  return text + (object ? "}" : "]");
}

// simdjson says what is JSON, for documents and for what a few changed bytes make of them.
TEST(JsonPathProperty, AgreesWithSimdjson) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 23;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  simdjson::dom::parser parser;
  const JsonPath path = *JsonPath::Compile("$.a[1]");
  size_t valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = RandomJson(random, 4);
    for (size_t i = random() % 3; i > 0; --i) {
      constexpr std::string_view kBytes = "{}[],:\"\\u01e.-+ tfn\na";
      text[random() % text.size()] = kBytes[random() % kBytes.size()];
    }
    simdjson::dom::element document;
    const auto error = parser.parse(text).get(document);
    if (error == simdjson::UTF8_ERROR) continue;
    JsonValue value;
    const bool good = FindInJson(text, path, &value);
    ASSERT_EQ(good, error == simdjson::SUCCESS) << text << " " << simdjson::error_message(error);
    if (!good) continue;
    ++valid;
    simdjson::dom::element expected;
    const auto at = document.at_pointer("/a/1").get(expected);
    const bool there = at == simdjson::SUCCESS && document["a"].is_array();
    ASSERT_EQ(value.kind != JsonKind::kAbsent, there) << text;
    if (!there) continue;
    simdjson::dom::parser other;
    ASSERT_EQ(simdjson::minify(other.parse(std::string(value.text))), simdjson::minify(expected))
        << text;
  }
  EXPECT_GT(valid, 5000U);
}

}  // namespace
}  // namespace headrace::pipeline

// Functions of JSON documents in texts. Numbers are given as they are written. A malformed document
// gives NULL and is counted; a path that leads nowhere gives NULL and is not.
#include <algorithm>

#include "pipeline/expressions/binding.h"
#include "pipeline/expressions/json_path.h"

namespace headrace::pipeline {
namespace {

using Text = std::string_view;

struct PathData : StepData {
  explicit PathData(JsonPath given) : path(std::move(given)) {}
  JsonPath path;
};

// The path of argument 1, or the whole document. A number is an element.
std::expected<std::shared_ptr<const PathData>, ExpressionError> PathArgument(Binder& binder,
                                                                             const Call& call) {
  std::string text = "$";
  if (call.arguments.size() > 1) {
    const Step& step = binder.step(call.arguments[1]);
    if (IsInt(step.type) && step.kind == Step::Kind::kConstant && !step.constant.is_null() &&
        step.constant.as_int() >= 0) {
      text = "$[" + std::to_string(step.constant.as_int()) + "]";
    } else {
      HR_TRY(text, ConstantText(binder, call, 1, "the path"));
    }
  }
  auto path = JsonPath::Compile(text);
  if (!path) return Binder::Fail(*call.syntax.children[1], path.error());
  return std::make_shared<const PathData>(std::move(*path));
}

// The JSON without blanks outside of strings.
uint8_t Compact(const JsonValue& value, Frame& frame, Text* out) {
  *out = value.text;
  if (!value.has_blanks) return kIsPresent;
  thread_local std::string compact;
  compact.clear();
  AppendCompact(value, compact);
  MadeText text(frame);
  text.Add(compact);
  return text.Finish(out);
}

struct ExtractJson {
  static uint8_t Do(const RowContext& context, Text document, Text* out) {
    JsonValue value;
    if (!FindInJson(document, context.data<PathData>().path, &value)) return kIsError;
    return value.kind == JsonKind::kAbsent ? kIsNull : Compact(value, context.frame, out);
  }
};

struct ExtractText {
  static uint8_t Do(const RowContext& context, Text document, Text* out) {
    JsonValue value;
    if (!FindInJson(document, context.data<PathData>().path, &value)) return kIsError;
    if (value.kind == JsonKind::kAbsent || value.kind == JsonKind::kNull) return kIsNull;
    if (value.kind != JsonKind::kString) return Compact(value, context.frame, out);
    const Text inside = value.text.substr(1, value.text.size() - 2);
    *out = inside;
    if (!value.has_escapes) return kIsPresent;
    thread_local std::string unescaped;
    unescaped.clear();
    AppendUnescaped(inside, unescaped);
    MadeText text(context.frame);
    text.Add(unescaped);
    return text.Finish(out);
  }
};

struct ArrayLength {
  static uint8_t Do(const RowContext& context, Text document, int64_t* out) {
    JsonValue value;
    if (!FindInJson(document, context.data<PathData>().path, &value)) return kIsError;
    *out = value.kind == JsonKind::kArray ? value.elements : 0;
    return value.kind == JsonKind::kAbsent ? kIsNull : kIsPresent;
  }
};

// What is no array has no elements to look at.
struct ArrayContains {
  static uint8_t Do(const RowContext& /*context*/, Text document, Text wanted, uint8_t* out) {
    thread_local std::vector<JsonValue> elements;
    const JsonList list = ElementsOfJson(document, elements);
    *out = std::ranges::any_of(elements, [&](const JsonValue& e) { return IsText(e, wanted); });
    if (list == JsonList::kMalformed) return kIsError;
    return list == JsonList::kArray ? kIsPresent : kIsNull;
  }

 private:
  static bool IsText(const JsonValue& element, Text wanted) {
    if (element.kind == JsonKind::kNull) return false;
    const bool string = element.kind == JsonKind::kString;
    const Text inside = string ? element.text.substr(1, element.text.size() - 2) : element.text;
    if (string ? !element.has_escapes : !element.has_blanks) return inside == wanted;
    thread_local std::string text;
    text.clear();
    if (string) {
      AppendUnescaped(inside, text);
    } else {
      AppendCompact(element, text);
    }
    return text == wanted;
  }
};

struct IsValid {
  static uint8_t Do(const RowContext& context, Text document, uint8_t* out) {
    JsonValue value;
    *out = FindInJson(document, context.data<PathData>().path, &value) ? 1 : 0;
    return kIsPresent;
  }
};

template <typename Op, typename R, const ValueType& kResult>
Bound BindJson(Binder& binder, const Call& call) {
  HR_TRY(auto path, PathArgument(binder, call));
  return BindTo(binder, call, &Map<Op, R, Text>, kResult, {kTextType}, std::move(path));
}

Bound BindArrayContains(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<ArrayContains, uint8_t, Text, Text>, kBoolType,
                {kTextType, kTextType});
}

constexpr std::array kFunctions = {
    FunctionRow{"json_array_contains", "json_array_contains(json, text)",
                "Whether an element is the text; one that is no string as its JSON, `null` never. "
                "NULL of what is no array.",
                "json_array_contains('[\"gift\", 7]', 'gift')", "true", 2, 2, &BindArrayContains},
    FunctionRow{"json_array_length", "json_array_length(json [, 'path'])",
                "How many elements; 0 of what is no array, NULL when the path leads nowhere.",
                "json_array_length('{\"a\": [1, 2]}', '$.a')", "2", 1, 2,
                &BindJson<ArrayLength, int64_t, kIntType>},
    FunctionRow{"json_extract", "json_extract(json, 'path')",
                "As `json -> 'path'`: the JSON at the path, without blanks between tokens; numbers "
                "as they are written. A path is $.a.b[0], with .\"any name\" and [#-1] for the "
                "last; a bare name or a number is one step.",
                "json_extract('{\"a\": {\"b\": [1, 2.50]}}', '$.a.b')", "\"[1,2.50]\"", 2, 2,
                &BindJson<ExtractJson, Text, kTextType>},
    FunctionRow{"json_extract_string", "json_extract_string(json, 'path')",
                "As `json ->> 'path'`: a string without its quotes, other values as JSON; null "
                "gives NULL. CAST makes a number of it.",
                "json_extract_string('{\"a\": [\"x\\ny\"]}', '$.a[0]')", "\"x\\ny\"", 2, 2,
                &BindJson<ExtractText, Text, kTextType>},
    FunctionRow{"json_valid", "json_valid(text)", "Whether it is a JSON document (RFC 8259).",
                "json_valid('{\"a\": 1')", "false", 1, 1, &BindJson<IsValid, uint8_t, kBoolType>},
};

}  // namespace

std::span<const FunctionRow> JsonFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

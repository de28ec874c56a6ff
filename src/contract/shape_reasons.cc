#include "contract/shape_reasons.h"

#include <fmt/format.h>
#include <simdjson.h>

namespace headrace::contract {

using columns::Type;

std::string Wants(Type type) {
  switch (type) {
    case Type::kBool: return "true or false";
    case Type::kInt32:
    case Type::kInt64: return fmt::format("a whole number ({})", NameOf(type));
    case Type::kFloat32:
    case Type::kFloat64: return fmt::format("a number ({})", NameOf(type));
    case Type::kString: return "text";
    case Type::kBytes: return "bytes as base64 text";
    case Type::kDate: return "a date such as \"2001-01-31\"";
    case Type::kTimestamp: return "a time such as \"2001-01-31T09:15:00Z\"";
    case Type::kTimestampNtz: return "a time without a zone, such as \"2001-01-31T09:15:00\"";
  }
  return "something else";
}

std::string Wants(Member::Kind kind, Type type) {
  switch (kind) {
    case Member::Kind::kArrayText: return "a list";
    case Member::Kind::kObjectText:
    case Member::Kind::kObject: return "an object";
    case Member::Kind::kValue: break;
  }
  return Wants(type);
}

std::string_view WhyNotJson(int error) {
  switch (error) {
    case simdjson::INCORRECT_TYPE: return R"(it is to look like {"name": value, ...})";
    case simdjson::EMPTY: return "there is nothing";
    case simdjson::UTF8_ERROR: return "it is no UTF-8";
    case simdjson::UNCLOSED_STRING: return "a text has no closing quote";
    case simdjson::STRING_ERROR: return "a text has a \\ before what can't follow one";
    case simdjson::UNESCAPED_CHARS:
      return "a text has a control character: write a line break as \\n, a tab as \\t";
    case simdjson::DEPTH_ERROR: return "it is nested too deep, or a bracket is not closed";
    case simdjson::CAPACITY: return "it is too long";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT: return "it ends before its last bracket";
    default:
      return "a quote, comma, colon or bracket is missing or too many, or a word is none of JSON's "
             "(NaN, None)";
  }
}

RuleFailure WrongKind(std::string_view name, std::string_view wants, std::string_view got) {
  return {"type", fmt::format("`{}` wants {}, but got {}", name, wants, got)};
}

RuleFailure Missing(std::string_view name, std::string_view wants) {
  return {"required", fmt::format("`{}` is missing: send {}", name, wants)};
}

RuleFailure NotKept(std::string_view name, int error) {
  return {"type", fmt::format("`{}` holds no JSON that can be kept: {}", name, WhyNotJson(error))};
}

}  // namespace headrace::contract

#pragma once
// Values as the tests in Python compare them: dates and times as their integers, bytes as
// hexadecimal digits, NaN and infinities as texts.

#include <fmt/format.h>

#include <string>

#include "columns/value.h"

namespace headrace::tests {

inline std::string PlainJson(const columns::Value& value) {
  using columns::Type;
  if (value.is_null()) return "null";
  if (columns::IsList(value.type())) {
    std::string out;
    for (const columns::Value& element : value.as_list())
      out += (out.empty() ? "" : ",") + PlainJson(element);
    return "[" + out + "]";
  }
  switch (value.type()) {
    case Type::kDate:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return std::to_string(value.as_int());
    case Type::kBytes: {
      std::string digits;
      for (const char c : value.as_text())
        digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
      return '"' + digits + '"';
    }
    default: return value.ToJson();
  }
}

}  // namespace headrace::tests

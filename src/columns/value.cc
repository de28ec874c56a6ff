#include "columns/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/base64.h"
#include "base/time.h"
#include "columns/number_text.h"

namespace headrace::columns {

namespace {

using base::ErrorCode;
using base::Fail;

void AppendDouble(std::string& out, double v) {
  if (std::isnan(v)) {
    out += "\"NaN\"";
  } else if (std::isinf(v)) {
    out += v > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    std::array<char, kNumberBytes> text;
    out.append(text.data(), WriteJsonNumber(text.data(), v));
  }
}

void AppendInt(std::string& out, Type type, int64_t v) {
  switch (type) {
    case Type::kTimestamp: out += '"' + base::FormatTimestamp({v}) + '"'; return;
    case Type::kTimestampNtz: {
      std::string text = base::FormatTimestamp({v});
      text.pop_back();  // the Z: it has no zone
      out += '"' + text + '"';
      return;
    }
    case Type::kDate: {
      const base::CivilDate date = base::CivilFromDays(v);
      fmt::format_to(std::back_inserter(out), "\"{:04}-{:02}-{:02}\"", date.year, date.month,
                     date.day);
      return;
    }
    default: {
      const fmt::format_int text(v);
      out.append(text.data(), text.size());
      return;
    }
  }
}

// The length of the valid UTF-8 sequence at the front of `text`, 0 when there is none (RFC 3629).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t a = byte(0);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    const bool ok =
        tail(1) && tail(2) && !(a == 0xE0 && byte(1) < 0xA0) && !(a == 0xED && byte(1) > 0x9F);
    return ok ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool ok = tail(1) && tail(2) && tail(3) && !(a == 0xF0 && byte(1) < 0x90) &&
                    !(a == 0xF4 && byte(1) > 0x8F);
    return ok ? 4 : 0;
  }
  return 0;
}

// How many bytes at the front stand for themselves in a JSON string.
size_t PlainBytes(std::string_view text) {
  const auto special = [](char c) {
    return static_cast<signed char>(c) < 0x20 || c == '"' || c == '\\';  // bytes over 0x7f too
  };
  return static_cast<size_t>(std::ranges::find_if(text, special) - text.begin());
}

base::Result<int64_t> ParseInt(Type type, std::string_view text) {
  int64_t v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  const bool narrow = type == Type::kInt32 && (v < INT32_MIN || v > INT32_MAX);
  if (error != std::errc() || end != text.data() + text.size() || narrow)
    return Fail(ErrorCode::kInvalidInput, fmt::format("`{}` is no {}", text, NameOf(type)));
  return v;
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t plain = PlainBytes(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else if (length = Utf8Length(text); length == 0) {
      out += "\\ufffd";
      length = 1;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

Value::Value(Type type, std::string v)
    : Value(type, Kind::kText, {.text = new std::string(std::move(v))}) {}

Value Value::List(Type element, Elements elements) {
  return Value(ListOf(element), Kind::kList, {.list = new Elements(std::move(elements))});
}

Value::Held Value::CopyOnHeap() const {
  if (kind_ == Kind::kText) return {.text = new std::string(as_text())};
  return {.list = new Elements(as_list())};
}

void Value::FreeHeap() {
  if (kind_ == Kind::kText)
    delete held_.text;
  else
    delete held_.list;
}

bool Value::IsSameOnHeap(const Value& other) const {
  if (kind_ == Kind::kText) return as_text() == other.as_text();
  return std::ranges::equal(as_list(), other.as_list(),
                            [](const Value& a, const Value& b) { return a.SameBits(b); });
}

void AppendShortest(std::string& out, double v) {
  std::array<char, kNumberBytes> text;
  out.append(text.data(), WriteShortest(text.data(), v));
}

std::string Value::ToJson() const {
  std::string out;
  AppendJson(out);
  return out;
}

void Value::AppendJson(std::string& out) const {
  switch (kind_) {
    case Kind::kNull: out += "null"; return;
    case Kind::kBool: out += as_bool() ? "true" : "false"; return;
    case Kind::kInt: return AppendInt(out, type_, as_int());
    case Kind::kDouble: return AppendDouble(out, as_double());  // float32 is widened, as Feast does
    case Kind::kText:
      if (type_ != Type::kBytes) return AppendJsonString(out, as_text());
      out += '"';
      base::AppendBase64(out, as_text());
      out += '"';
      return;
    case Kind::kList:
      out += '[';
      for (size_t i = 0; i < as_list().size(); ++i) {
        if (i > 0) out += ',';
        as_list()[i].AppendJson(out);
      }
      out += ']';
      return;
  }
}

base::Result<Value> Value::FromText(Type type, std::string_view text) {
  switch (type) {
    case Type::kBool:
      if (text == "true" || text == "false") return Bool(text == "true");
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("`{}` is no bool: write true or false", text));
    case Type::kInt32:
    case Type::kInt64: {
      HR_TRY(const int64_t v, ParseInt(type, text));
      return Value(type, v);
    }
    case Type::kFloat32:
    case Type::kFloat64: {
      double v = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
      const double kept = type == Type::kFloat32 ? double{static_cast<float>(v)} : v;
      const bool too_large = std::isinf(kept) && !std::isinf(v);
      if (error != std::errc() || end != text.data() + text.size() || too_large)
        return Fail(ErrorCode::kInvalidInput, fmt::format("`{}` is no {}", text, NameOf(type)));
      return Value(type, kept);
    }
    case Type::kString:
    case Type::kBytes: return Value(type, std::string(text));
    case Type::kDate: {
      HR_TRY(const base::Timestamp t, base::ParseTimestamp(text));
      if (text.size() != 10)
        return Fail(ErrorCode::kInvalidInput,
                    fmt::format("`{}` is no date: write 2001-01-31", text));
      return Value(type, t.us / 86'400'000'000);
    }
    case Type::kTimestamp:
    case Type::kTimestampNtz: {
      HR_TRY(const base::Timestamp t, base::ParseTimestamp(text));
      return Value(type, t.us);
    }
  }
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("a {} can't be written as one text", NameOf(type)));
}

}  // namespace headrace::columns

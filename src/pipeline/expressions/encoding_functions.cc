// Texts as other texts: base64, hexadecimal, percent encoding, and the parts of a URL (RFC 3986,
// appendix B).
#include <fmt/format.h>

#include <algorithm>

#include "base/hex.h"
#include "pipeline/expressions/binding.h"
#include "pipeline/expressions/code_points.h"

namespace headrace::pipeline {
namespace {

using base::HexDigit;
using Text = std::string_view;

constexpr Text kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr Text kHexDigits = "0123456789ABCDEF";

struct ToBase64 {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    MadeText text(context.frame);
    for (size_t i = 0; i < a.size(); i += 3) {
      const size_t n = std::min<size_t>(3, a.size() - i);
      uint32_t group = 0;
      for (size_t j = 0; j < 3; ++j)
        group = group << 8 | (j < n ? static_cast<uint8_t>(a[i + j]) : 0U);
      for (size_t j = 0; j < 4; ++j)
        text.Add(j <= n ? kBase64Digits[group >> (18 - 6 * j) & 63] : '=');
    }
    return text.Finish(out);
  }
};

struct FromBase64 {
  static int Digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  }
  // Whole groups of four, the last one padded.
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    if (a.size() % 4 != 0) return kIsError;
    MadeText text(context.frame);
    for (size_t i = 0; i < a.size(); i += 4) {
      const bool last = i + 4 == a.size();
      const size_t padding = last ? (a[i + 3] == '=' ? 1 : 0) + (a[i + 2] == '=' ? 1 : 0) : 0;
      uint32_t group = 0;
      for (size_t j = 0; j < 4; ++j) {
        const int digit = j < 4 - padding ? Digit(a[i + j]) : a[i + j] == '=' ? 0 : -1;
        if (digit < 0) return kIsError;
        group = group << 6 | static_cast<uint32_t>(digit);
      }
      for (size_t j = 0; j < 3 - padding; ++j)
        text.Add(static_cast<char>(group >> (16 - 8 * j) & 0xFF));
    }
    return text.Finish(out);
  }
};

struct ToHex {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    MadeText text(context.frame);
    for (const char c : a) {
      text.Add(kHexDigits[static_cast<uint8_t>(c) >> 4]);
      text.Add(kHexDigits[static_cast<uint8_t>(c) & 15]);
    }
    return text.Finish(out);
  }
};

// An odd number of digits has a 0 in front.
struct FromHex {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    MadeText text(context.frame);
    int byte = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const int digit = HexDigit(a[i]);
      if (digit < 0) return kIsError;
      byte = byte << 4 | digit;
      if ((a.size() - i) % 2 == 0) continue;
      text.Add(static_cast<char>(byte));
      byte = 0;
    }
    return text.Finish(out);
  }
};

struct Same {
  static uint8_t Do(const RowContext&, Text a, Text* out) { return *out = a, kIsPresent; }
};

// The length of the valid UTF-8 sequence in front (RFC 3629), 0 when there is none.
size_t ValidBytes(Text a) {
  const size_t bytes = FirstBytes(a);
  const uint32_t point = FirstCodePoint(a);
  char again[4];
  if (bytes > 4 || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) return 0;
  return WriteCodePoint(point, again) == bytes && Text(again, bytes) == a.substr(0, bytes) ? bytes
                                                                                           : 0;
}
struct Decode {
  static uint8_t Do(const RowContext&, Text a, Text* out) {
    *out = a;
    while (!a.empty()) {
      const size_t bytes = ValidBytes(a);
      if (bytes == 0) return kIsError;
      a.remove_prefix(bytes);
    }
    return kIsPresent;
  }
};

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}
struct UrlEncode {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    MadeText text(context.frame);
    for (const char c : a) {
      if (IsUnreserved(c)) {
        text.Add(c);
        continue;
      }
      text.Add('%');
      text.Add(kHexDigits[static_cast<uint8_t>(c) >> 4]);
      text.Add(kHexDigits[static_cast<uint8_t>(c) & 15]);
    }
    return text.Finish(out);
  }
};
// A % without two digits stays; what is no UTF-8 afterwards is an error.
struct UrlDecode {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    MadeText text(context.frame);
    for (size_t i = 0; i < a.size(); ++i) {
      const bool code =
          a[i] == '%' && i + 2 < a.size() && HexDigit(a[i + 1]) >= 0 && HexDigit(a[i + 2]) >= 0;
      text.Add(code ? static_cast<char>(HexDigit(a[i + 1]) << 4 | HexDigit(a[i + 2])) : a[i]);
      if (code) i += 2;
    }
    const uint8_t null = text.Finish(out);
    return null == kIsPresent ? Decode::Do(context, *out, out) : null;
  }
};

enum class UrlPart : uint8_t {
  kProtocol,
  kAuthority,
  kUserInfo,
  kHost,
  kPath,
  kFile,
  kQuery,
  kRef,
};
constexpr std::array<std::pair<Text, UrlPart>, 8> kUrlParts = {{
    {"PROTOCOL", UrlPart::kProtocol},
    {"AUTHORITY", UrlPart::kAuthority},
    {"USERINFO", UrlPart::kUserInfo},
    {"HOST", UrlPart::kHost},
    {"PATH", UrlPart::kPath},
    {"FILE", UrlPart::kFile},
    {"QUERY", UrlPart::kQuery},
    {"REF", UrlPart::kRef},
}};

struct WantedPart : StepData {
  UrlPart part = UrlPart::kHost;
  bool has_key = false;
  std::string key;  // of the query
};

// Cuts [0, before the first of `ends`) off the front.
Text TakeUntil(Text& rest, Text ends) {
  const Text taken = rest.substr(0, rest.find_first_of(ends));
  rest.remove_prefix(taken.size());
  return taken;
}

struct ParseUrl {
  static uint8_t Part(bool there, Text value, Text* out) {
    *out = value;
    return there ? kIsPresent : kIsNull;
  }
  static uint8_t OfAuthority(Text authority, bool there, UrlPart part, Text* out) {
    if (part == UrlPart::kAuthority) return Part(there && !authority.empty(), authority, out);
    const size_t at = authority.rfind('@');
    const Text user = at == Text::npos ? Text() : authority.substr(0, at);
    if (part == UrlPart::kUserInfo) return Part(at != Text::npos, user, out);
    Text host = at == Text::npos ? authority : authority.substr(at + 1);
    const size_t bracket = host.rfind(']');  // of an IPv6 address
    const size_t colon = host.find(':', bracket == Text::npos ? 0 : bracket);
    host = host.substr(0, colon);
    return Part(!host.empty(), host, out);
  }
  static uint8_t OfQuery(const WantedPart& wanted, Text query, bool there, Text* out) {
    if (!wanted.has_key) return Part(there, query, out);
    while (!query.empty()) {
      const Text pair = TakeUntil(query, "&");
      query.remove_prefix(std::min<size_t>(1, query.size()));
      const size_t equals = pair.find('=');
      if (equals != Text::npos && pair.substr(0, equals) == wanted.key)
        return Part(true, pair.substr(equals + 1), out);
    }
    return kIsNull;
  }
  static uint8_t Do(const RowContext& context, Text url, Text* out) {
    const auto& wanted = context.data<WantedPart>();
    const auto bad = [](char c) {
      return (c >= 0 && c <= 0x20) || c == 0x7F || Text("<>\"{}|\\^`").find(c) != Text::npos;
    };
    if (std::any_of(url.begin(), url.end(), bad)) return kIsError;
    Text rest = url;
    const Text scheme = rest.substr(0, rest.find_first_of(":/?#"));
    const bool has_scheme =
        !scheme.empty() && scheme.size() < rest.size() && rest[scheme.size()] == ':';
    if (has_scheme) rest.remove_prefix(scheme.size() + 1);
    const bool has_authority = rest.starts_with("//");
    Text authority;
    if (has_authority) {
      rest.remove_prefix(2);
      authority = TakeUntil(rest, "/?#");
    }
    const Text file = rest.substr(0, rest.find('#'));
    const Text path = TakeUntil(rest, "?#");
    const bool has_query = rest.starts_with('?');
    if (has_query) rest.remove_prefix(1);
    const Text query = has_query ? TakeUntil(rest, "#") : Text();
    const bool has_ref = rest.starts_with('#');
    switch (wanted.part) {
      case UrlPart::kProtocol: return Part(has_scheme, scheme, out);
      case UrlPart::kPath: return Part(true, path, out);
      case UrlPart::kFile: return Part(true, file, out);
      case UrlPart::kQuery: return OfQuery(wanted, query, has_query, out);
      case UrlPart::kRef: return Part(has_ref, has_ref ? rest.substr(1) : Text(), out);
      default: return OfAuthority(authority, has_authority, wanted.part, out);
    }
  }
};

Bound BindParseUrl(Binder& binder, const Call& call) {
  HR_TRY(const std::string name, ConstantText(binder, call, 1, "the part"));
  const auto found = std::find_if(kUrlParts.begin(), kUrlParts.end(),
                                  [&](const auto& part) { return part.first == name; });
  if (found == kUrlParts.end()) {
    std::vector<std::string> names;
    for (const auto& part : kUrlParts) names.emplace_back(part.first);
    return FailWithCandidates(
        *call.syntax.children[1],
        fmt::format("no part '{}'; the parts are {}", name, fmt::join(names, ", ")), name, names);
  }
  auto wanted = std::make_shared<WantedPart>();
  wanted->part = found->second;
  if (call.arguments.size() == 3) {
    if (wanted->part != UrlPart::kQuery)
      return Binder::Fail(*call.syntax.children[2], "only QUERY has keys");
    HR_TRY(wanted->key, ConstantText(binder, call, 2, "the key"));
    wanted->has_key = true;
  }
  return BindTo(binder, call, &Map<ParseUrl, Text, Text>, kTextType, {kTextType}, wanted);
}

template <typename Op, const ValueType& kResult>
Bound BindOfBytes(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t a, TextOrBytes(binder, call, 0));
  return binder.Emit(call.syntax, &Map<Op, Text, Text>, kResult, {a});
}
template <typename Op, const ValueType& kWanted, const ValueType& kResult>
Bound BindOf(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Op, Text, Text>, kResult, {kWanted});
}

constexpr std::array kFunctions = {
    FunctionRow{"base64", "base64(text or bytes)", "Base64 with padding.", "base64('SEA')",
                "\"U0VB\"", 1, 1, &BindOfBytes<ToBase64, kTextType>, "to_base64"},
    FunctionRow{"decode", "decode(bytes)", "The text that the bytes are; NULL if no UTF-8.",
                "decode(from_base64('U0VB'))", "\"SEA\"", 1, 1,
                &BindOf<Decode, kBytesType, kTextType>},
    FunctionRow{"encode", "encode(text)", "Its UTF-8 as bytes.", "hex(encode('ü'))", "\"C3BC\"", 1,
                1, &BindOf<Same, kTextType, kBytesType>},
    FunctionRow{"from_base64", "from_base64(text)", "The bytes; NULL if it is no base64.",
                "from_base64('U0VB')", "\"U0VB\"", 1, 1, &BindOf<FromBase64, kTextType, kBytesType>,
                "unbase64"},
    FunctionRow{"hex", "hex(text or bytes)", "Two digits a byte, A to F large.", "hex('SEA')",
                "\"534541\"", 1, 1, &BindOfBytes<ToHex, kTextType>, "to_hex"},
    FunctionRow{"parse_url", "parse_url(url, 'PART' [, 'key'])",
                "PROTOCOL, AUTHORITY, USERINFO, HOST, PATH, FILE, QUERY or REF, or the value of a "
                "key of the query; NULL when it has none, as in Spark. Nothing is decoded. A blank "
                "or another byte that no URL has gives NULL, and counts as failed.",
                "parse_url('https://a.example:8080/p?x=1&y=2', 'HOST')", "\"a.example\"", 2, 3,
                &BindParseUrl},
    FunctionRow{"unhex", "unhex(text)", "The bytes; NULL if it is no hexadecimal.",
                "decode(unhex('534541'))", "\"SEA\"", 1, 1, &BindOf<FromHex, kTextType, kBytesType>,
                "from_hex"},
    FunctionRow{"url_decode", "url_decode(text)",
                "%41 becomes A; + stays. NULL when no UTF-8 comes out.", "url_decode('a%20b')",
                "\"a b\"", 1, 1, &BindOf<UrlDecode, kTextType, kTextType>},
    FunctionRow{"url_encode", "url_encode(text)", "All but letters, digits and -._~ becomes %XX.",
                "url_encode('a b')", "\"a%20b\"", 1, 1, &BindOf<UrlEncode, kTextType, kTextType>},
};

}  // namespace

std::span<const FunctionRow> EncodingFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

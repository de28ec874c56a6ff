// Functions of texts. Where DuckDB has one of the same name its results are ours, but for letters
// beyond ASCII in upper and lower (no table of Unicode's, which changes every year, can change a
// result) and for reverse, which turns code points.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "pipeline/expressions/binding.h"
#include "pipeline/expressions/code_points.h"

namespace headrace::pipeline {
namespace {

using columns::Value;
using Text = std::string_view;

// Each argument as a text; then the kernel of the function's name.
Bound BindText(Binder& binder, const Call& call, ValueType result) {
  std::vector<uint32_t> arguments;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    HR_TRY(const uint32_t text,
           binder.Convert(*call.syntax.children[i], call.arguments[i], kTextType));
    arguments.push_back(text);
  }
  return binder.Emit(call.syntax, TextKernel(call.function), result, std::move(arguments));
}
Bound BindTextToText(Binder& binder, const Call& call) { return BindText(binder, call, kTextType); }
Bound BindTextToInt(Binder& binder, const Call& call) { return BindText(binder, call, kIntType); }
Bound BindTextToBool(Binder& binder, const Call& call) { return BindText(binder, call, kBoolType); }

// NULLs count as empty texts.
Bound BindConcat(Binder& binder, const Call& call) {
  uint32_t result = binder.Constant(kTextType, Value::String(""));
  const uint32_t empty = result;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    HR_TRY(uint32_t text, binder.Convert(*call.syntax.children[i], call.arguments[i], kTextType));
    HR_TRY(text,
           binder.Emit(call.syntax, CoalesceKernel(MachineType::kText), kTextType, {text, empty}));
    HR_TRY(result, binder.Emit(call.syntax, TextKernel("concat"), kTextType, {result, text}));
  }
  return result;
}

// NULLs are left out, with their separator; a NULL separator gives NULL.
void JoinWith(const Step& step, Frame& frame) {
  const auto separator = frame.In<Text>(step.arguments[0]);
  const uint8_t* null = frame.Nulls(step.arguments[0]);
  Text* out = frame.Out<Text>(step.self);
  uint8_t* nulls = frame.OwnNulls(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    nulls[row] = null == nullptr ? kIsPresent : null[row];
    out[row] = {};
    if (nulls[row] != kIsPresent) continue;
    MadeText text(frame);
    bool first = true;
    for (size_t i = 1; i < step.arguments.size(); ++i) {
      const uint8_t* part_null = frame.Nulls(step.arguments[i]);
      if (part_null != nullptr && part_null[row] != kIsPresent) continue;
      if (!first) text.Add(separator[row]);
      text.Add(frame.In<Text>(step.arguments[i])[row]);
      first = false;
    }
    nulls[row] = text.Finish(out + row);
  }
}
Bound BindJoinWith(Binder& binder, const Call& call) {
  std::vector<uint32_t> arguments;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    HR_TRY(const uint32_t text,
           binder.Convert(*call.syntax.children[i], call.arguments[i], kTextType));
    arguments.push_back(text);
  }
  return binder.Emit(call.syntax, &JoinWith, kTextType, std::move(arguments));
}

Bound BindSubstring(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t text,
         binder.Convert(*call.syntax.children[0], call.arguments[0], kTextType));
  HR_TRY(const uint32_t start,
         binder.Convert(*call.syntax.children[1], call.arguments[1], kIntType));
  uint32_t length = 0;
  if (call.arguments.size() == 3) {
    HR_TRY(length, binder.Convert(*call.syntax.children[2], call.arguments[2], kIntType));
  } else {
    length = binder.Constant(kIntType, Value::Int64(std::numeric_limits<int64_t>::max()));
  }
  return binder.Emit(call.syntax, TextKernel("substr"), kTextType, {text, start, length});
}

// How many code points of the front are meant: n, or all but -n.
size_t FrontBytes(Text a, int64_t n) {
  constexpr int64_t kFar = 1LL << 40;
  if (n >= 0) return OffsetOf(a, std::min(n, kFar));
  return OffsetOf(a, CountOf(a) + std::max(n, -kFar));
}
struct Left {
  static uint8_t Do(const RowContext&, Text a, int64_t n, Text* out) {
    *out = a.substr(0, FrontBytes(a, n));
    return kIsPresent;
  }
};
struct Right {
  static uint8_t Do(const RowContext&, Text a, int64_t n, Text* out) {
    constexpr int64_t kFar = 1LL << 40;
    const int64_t skipped =
        n < 0 ? std::min(-std::max(n, -kFar), kFar) : CountOf(a) - std::min(n, kFar);
    *out = a.substr(OffsetOf(a, skipped));
    return kIsPresent;
  }
};

enum class Side : uint8_t { kLeft, kRight, kBoth };

// To a length in code points: what is longer is cut at its end, what is shorter padded.
template <Side kSide>
struct Pad {
  static uint8_t Do(const RowContext& context, Text a, int64_t length, Text pad, Text* out) {
    const int64_t has = CountOf(a);
    if (length > static_cast<int64_t>(kMadeTextBytesMax)) return kIsError;
    if (length <= has) {
      *out = a.substr(0, OffsetOf(a, length));
      return kIsPresent;
    }
    if (pad.empty()) return kIsError;
    MadeText text(context.frame);
    if (kSide == Side::kRight) text.Add(a);
    Text rest = pad;
    for (int64_t missing = length - has; missing > 0; --missing) {
      if (rest.empty()) rest = pad;
      const size_t bytes = FirstBytes(rest);
      text.Add(rest.substr(0, bytes));
      rest.remove_prefix(bytes);
    }
    if (kSide == Side::kLeft) text.Add(a);
    return text.Finish(out);
  }
};

// The code points of Unicode's category Zs.
constexpr Text kBlanks =
    " \u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F"
    "\u3000";

// Without any of `characters` at the ends.
template <Side kSide>
struct Strip {
  static uint8_t Do(const RowContext&, Text a, Text characters, Text* out) {
    if (kSide != Side::kRight)
      while (!a.empty() && characters.find(a.substr(0, FirstBytes(a))) != Text::npos)
        a.remove_prefix(FirstBytes(a));
    if (kSide != Side::kLeft)
      while (!a.empty() && characters.find(a.substr(a.size() - LastBytes(a))) != Text::npos)
        a.remove_suffix(LastBytes(a));
    *out = a;
    return kIsPresent;
  }
};
template <Side kSide>
Bound BindStrip(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t text,
         binder.Convert(*call.syntax.children[0], call.arguments[0], kTextType));
  uint32_t characters = 0;
  if (call.arguments.size() == 2) {
    HR_TRY(characters, binder.Convert(*call.syntax.children[1], call.arguments[1], kTextType));
  } else {
    characters = binder.Constant(kTextType, Value::String(std::string(kBlanks)));
  }
  return binder.Emit(call.syntax, &Map<Strip<kSide>, Text, Text, Text>, kTextType,
                     {text, characters});
}

struct Replace {
  static uint8_t Do(const RowContext& context, Text a, Text from, Text to, Text* out) {
    *out = a;
    if (from.empty() || a.find(from) == Text::npos) return kIsPresent;
    MadeText text(context.frame);
    for (size_t at = 0;;) {
      const size_t found = a.find(from, at);
      text.Add(a.substr(at, found - at));
      if (found == Text::npos) return text.Finish(out);
      text.Add(to);
      at = found + from.size();
    }
  }
};

// The part before, between or after separators: 1 is the first, -1 the last.
struct SplitPart {
  static size_t NextEnd(Text a, Text separator, size_t at) {
    if (!separator.empty()) return std::min(a.find(separator, at), a.size());
    return at + FirstBytes(a.substr(at));  // each code point is a part
  }
  static int64_t Parts(Text a, Text separator) {
    if (separator.empty()) return CountOf(a);
    int64_t n = 1;
    for (size_t at = a.find(separator); at != Text::npos;
         at = a.find(separator, at + separator.size()))
      ++n;
    return n;
  }
  static uint8_t Do(const RowContext&, Text a, Text separator, int64_t index, Text* out) {
    *out = {};
    if (index < 0) index = index < -(1LL << 40) ? 0 : Parts(a, separator) + 1 + index;
    if (index <= 0) return kIsPresent;
    for (size_t at = 0; at <= a.size(); --index) {
      const size_t end = NextEnd(a, separator, at);
      if (index == 1) {
        *out = a.substr(at, end - at);
        return kIsPresent;
      }
      if (separator.empty() && end == a.size()) break;
      at = end + separator.size();
      if (end == a.size()) break;
    }
    return kIsPresent;
  }
};

// In code points from 1; 0 when it is not there.
struct PositionOf {
  static uint8_t Do(const RowContext&, Text a, Text part, int64_t* out) {
    const size_t found = a.find(part);
    *out = found == Text::npos ? 0 : CountOf(a.substr(0, found)) + 1;
    return kIsPresent;
  }
};

struct Reverse {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    char* text = context.frame.Text(a.size());
    if (text == nullptr) return kIsError;
    *out = {text, a.size()};
    for (size_t end = a.size(); !a.empty();) {
      const size_t bytes = FirstBytes(a);
      end -= bytes;
      std::copy_n(a.begin(), bytes, text + end);
      a.remove_prefix(bytes);
    }
    return kIsPresent;
  }
};

struct Repeat {
  static uint8_t Do(const RowContext& context, Text a, int64_t times, Text* out) {
    *out = {};
    if (times <= 0 || a.empty()) return kIsPresent;
    if (times > static_cast<int64_t>(kMadeTextBytesMax)) return kIsError;
    MadeText text(context.frame);
    for (; times > 0; --times) text.Add(a);
    return text.Finish(out);
  }
};

// Each code point that stands in `from` becomes the one in the same place of `to`, or goes.
struct Translate {
  static uint8_t Do(const RowContext& context, Text a, Text from, Text to, Text* out) {
    MadeText text(context.frame);
    while (!a.empty()) {
      const Text point = a.substr(0, FirstBytes(a));
      a.remove_prefix(point.size());
      const size_t found = from.find(point);
      if (found == Text::npos) {
        text.Add(point);
        continue;
      }
      const Text rest = to.substr(OffsetOf(to, CountOf(from.substr(0, found))));
      text.Add(rest.substr(0, FirstBytes(rest)));
    }
    return text.Finish(out);
  }
};

struct CodePoint {
  static uint8_t Do(const RowContext&, Text a, int64_t* out) {
    *out = FirstCodePoint(a);
    return kIsPresent;
  }
};
struct CharacterOf {
  static uint8_t Do(const RowContext& context, int64_t point, Text* out) {
    const bool good = point >= 0 && point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
    if (!good) return kIsError;
    char* text = context.frame.Text(4);
    *out = {text, WriteCodePoint(static_cast<uint32_t>(point), text)};
    return kIsPresent;
  }
};

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c < 0;
}
struct InitCap {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    char* text = context.frame.Text(a.size());
    if (text == nullptr) return kIsError;
    bool inside = false;
    for (size_t i = 0; i < a.size(); ++i) {
      char c = a[i];
      if (!inside && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      if (inside && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      inside = IsLetterOrDigit(c);
      text[i] = c;
    }
    *out = {text, a.size()};
    return kIsPresent;
  }
};

// The least number of bytes to put in, take out or change (Wagner and Fischer, one row of the
// table).
constexpr size_t kDistanceBytesMax = 256;
struct Levenshtein {
  static uint8_t Do(const RowContext&, Text a, Text b, int64_t* out) {
    if (a.size() > kDistanceBytesMax || b.size() > kDistanceBytesMax) return kIsError;
    std::array<uint16_t, kDistanceBytesMax + 1> row{};
    for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<uint16_t>(j);
    for (size_t i = 1; i <= a.size(); ++i) {
      uint16_t diagonal = row[0];
      row[0] = static_cast<uint16_t>(i);
      for (size_t j = 1; j <= b.size(); ++j) {
        const uint16_t above = row[j];
        const int changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
        row[j] = static_cast<uint16_t>(std::min({changed, above + 1, row[j - 1] + 1}));
        diagonal = above;
      }
    }
    *out = row[b.size()];
    return kIsPresent;
  }
};

template <typename Op, typename R, const ValueType& kResult>
Bound BindTexts2(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Op, R, Text, Text>, kResult, {kTextType, kTextType});
}
template <typename Op>
Bound BindTextAndInt(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Op, Text, Text, int64_t>, kTextType, {kTextType, kIntType});
}
template <typename Op>
Bound BindText1(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Op, Text, Text>, kTextType, {kTextType});
}
template <typename Op>
Bound BindTexts3(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Op, Text, Text, Text, Text>, kTextType,
                {kTextType, kTextType, kTextType});
}
template <Side kSide>
Bound BindPad(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<Pad<kSide>, Text, Text, int64_t, Text>, kTextType,
                {kTextType, kIntType, kTextType});
}
Bound BindSplitPart(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<SplitPart, Text, Text, Text, int64_t>, kTextType,
                {kTextType, kTextType, kIntType});
}
Bound BindCodePoint(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<CodePoint, int64_t, Text>, kIntType, {kTextType});
}
Bound BindCharacterOf(Binder& binder, const Call& call) {
  return BindTo(binder, call, &Map<CharacterOf, Text, int64_t>, kTextType, {kIntType});
}

constexpr std::array kFunctions = {
    FunctionRow{"ascii", "ascii(text)", "The first code point's number; of an empty text 0.",
                "ascii('Ω')", "937", 1, 1, &BindCodePoint, "ord unicode"},
    FunctionRow{"chr", "chr(number)", "The code point of a number; NULL when there is none.",
                "chr(937)", "\"Ω\"", 1, 1, &BindCharacterOf},
    FunctionRow{"concat", "concat(text, ...)",
                "The texts joined; NULL counts as empty (`||` gives NULL instead).",
                "concat('SEA', '-', NULL, 'SFO')", "\"SEA-SFO\"", 1, kArgumentsMax, &BindConcat},
    FunctionRow{"concat_ws", "concat_ws(separator, text, ...)",
                "The texts with the separator between them; NULLs are left out.",
                "concat_ws('-', 'SEA', NULL, 'SFO')", "\"SEA-SFO\"", 2, kArgumentsMax,
                &BindJoinWith},
    FunctionRow{"contains", "contains(text, part)", "Whether the part is in the text.",
                "contains('flight', 'lig')", "true", 2, 2, &BindTextToBool},
    FunctionRow{"ends_with", "ends_with(text, end)", "Whether the text ends so.",
                "ends_with('flight', 'ht')", "true", 2, 2, &BindTextToBool, "suffix"},
    FunctionRow{"initcap", "initcap(text)",
                "Each word's first letter large, the others small; A to Z alone.",
                "initcap('port of SEATTLE')", "\"Port Of Seattle\"", 1, 1, &BindText1<InitCap>},
    FunctionRow{"left", "left(text, n)",
                "The first n code points; all but the last -n when n is below 0.",
                "left('flight', 2)", "\"fl\"", 2, 2, &BindTextAndInt<Left>},
    FunctionRow{"length", "length(text)", "Code points.", "length('Zürich')", "6", 1, 1,
                &BindTextToInt, "char_length character_length len"},
    FunctionRow{"levenshtein", "levenshtein(a, b)",
                "How many bytes to put in, take out or change; NULL when a text has more than 256.",
                "levenshtein('flight', 'fright')", "1", 2, 2,
                &BindTexts2<Levenshtein, int64_t, kIntType>},
    FunctionRow{"lower", "lower(text)", "A to Z become a to z; other letters stay.", "lower('SEA')",
                "\"sea\"", 1, 1, &BindTextToText, "lcase"},
    FunctionRow{"lpad", "lpad(text, length, pad)",
                "Padded in front to so many code points; a longer text loses its end. An empty pad "
                "gives NULL.",
                "lpad('7', 3, '0')", "\"007\"", 3, 3, &BindPad<Side::kLeft>},
    FunctionRow{"ltrim", "ltrim(text [, characters])",
                "Without blanks (Unicode's Zs), or any of the characters, in front.",
                "ltrim('--a-', '-')", "\"a-\"", 1, 2, &BindStrip<Side::kLeft>},
    FunctionRow{"repeat", "repeat(text, n)", "The text n times.", "repeat('ab', 3)", "\"ababab\"",
                2, 2, &BindTextAndInt<Repeat>},
    FunctionRow{"replace", "replace(text, from, to)",
                "Every `from` becomes `to`; an empty `from` changes nothing.",
                "replace('a-b-c', '-', '+')", "\"a+b+c\"", 3, 3, &BindTexts3<Replace>},
    FunctionRow{
        "reverse", "reverse(text)",
        "Its code points from the last to the first (DuckDB keeps accents with their letters).",
        "reverse('flight')", "\"thgilf\"", 1, 1, &BindText1<Reverse>},
    FunctionRow{"right", "right(text, n)",
                "The last n code points; all but the first -n when n is below 0.",
                "right('flight', 2)", "\"ht\"", 2, 2, &BindTextAndInt<Right>},
    FunctionRow{"rpad", "rpad(text, length, pad)",
                "Padded at the end to so many code points; a longer text loses its end. An empty "
                "pad gives NULL.",
                "rpad('7', 3, '0')", "\"700\"", 3, 3, &BindPad<Side::kRight>},
    FunctionRow{"rtrim", "rtrim(text [, characters])",
                "Without blanks (Unicode's Zs), or any of the characters, at the end.",
                "rtrim('--a-', '-')", "\"--a\"", 1, 2, &BindStrip<Side::kRight>},
    FunctionRow{"split_part", "split_part(text, separator, n)",
                "The n-th part, 1 the first, -1 the last; empty when there is none.",
                "split_part('a,b,c', ',', -1)", "\"c\"", 3, 3, &BindSplitPart},
    FunctionRow{"starts_with", "starts_with(text, start)", "Whether the text starts so.",
                "starts_with('flight', 'fl')", "true", 2, 2, &BindTextToBool},
    FunctionRow{"strpos", "strpos(text, part)",
                "Where the part begins, in code points from 1; 0 when it is not there. Also "
                "`position(part IN text)`.",
                "strpos('flight', 'ig')", "3", 2, 2, &BindTexts2<PositionOf, int64_t, kIntType>,
                "instr"},
    FunctionRow{
        "substr", "substr(text, start, length)",
        "Code points from `start` (1 is the first, -1 the last), to the end without a length; a "
        "negative length takes those before the start.",
        "substr('flight', 2, 3)", "\"lig\"", 2, 3, &BindSubstring, "substring"},
    FunctionRow{
        "translate", "translate(text, from, to)",
        "Each code point that stands in `from` becomes the one at the same place of `to`, or goes.",
        "translate('12.5', '.1', ',0')", "\"02,5\"", 3, 3, &BindTexts3<Translate>},
    FunctionRow{"trim", "trim(text [, characters])",
                "Without blanks (Unicode's Zs), or any of the characters, at both ends.",
                "trim('  SEA ')", "\"SEA\"", 1, 2, &BindStrip<Side::kBoth>},
    FunctionRow{"upper", "upper(text)", "a to z become A to Z; other letters stay.", "upper('sea')",
                "\"SEA\"", 1, 1, &BindTextToText, "ucase"},
};

}  // namespace

std::span<const FunctionRow> TextFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

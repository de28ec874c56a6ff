// Regular expressions by RE2, in time linear in the text. Pattern, options and group are constants,
// compiled once.
#include <fmt/format.h>
#include <re2/re2.h>

#include "pipeline/expressions/binding.h"

namespace headrace::pipeline {
namespace {

using Text = std::string_view;

re2::StringPiece PieceOf(Text text) { return {text.data(), text.size()}; }

constexpr int kGroupsMax = 10;

struct Pattern : StepData {
  Pattern(const std::string& text, const RE2::Options& options) : re(text, options) {}
  RE2 re;
  bool everywhere = false;  // regexp_replace with 'g'
  int group = 0;            // regexp_extract
  std::string rewrite;      // regexp_replace
};

using PatternResult = std::expected<std::shared_ptr<Pattern>, ExpressionError>;

// The pattern of argument 1 with the options of argument `options`, if there is such an argument.
PatternResult CompilePattern(Binder& binder, const Call& call, size_t options,
                             std::string_view allowed) {
  HR_TRY(const std::string text, ConstantText(binder, call, 1, "the pattern"));
  RE2::Options re_options;
  re_options.set_log_errors(false);
  re_options.set_max_mem(8 << 20);
  bool everywhere = false;
  if (options < call.arguments.size()) {
    HR_TRY(const std::string letters, ConstantText(binder, call, options, "the options"));
    for (const char c : letters) {
      if (allowed.find(c) == Text::npos)
        return Binder::Fail(*call.syntax.children[options],
                            fmt::format("the options are letters of '{}', not '{}'", allowed, c));
      if (c == 'i') re_options.set_case_sensitive(false);
      if (c == 'c') re_options.set_case_sensitive(true);
      if (c == 's') re_options.set_dot_nl(true);
      if (c == 'g') everywhere = true;
    }
  }
  auto pattern = std::make_shared<Pattern>(text, re_options);
  if (!pattern->re.ok())
    return Binder::Fail(*call.syntax.children[1],
                        fmt::format("no regular expression: {}", pattern->re.error()));
  pattern->everywhere = everywhere;
  return pattern;
}

template <RE2::Anchor kAnchor>
struct Matches {
  static uint8_t Do(const RowContext& context, Text a, uint8_t* out) {
    *out = context.data<Pattern>().re.Match(PieceOf(a), 0, a.size(), kAnchor, nullptr, 0);
    return kIsPresent;
  }
};
template <RE2::Anchor kAnchor>
Bound BindMatches(Binder& binder, const Call& call) {
  HR_TRY(const auto pattern, CompilePattern(binder, call, 2, "ics"));
  return BindTo(binder, call, &Map<Matches<kAnchor>, uint8_t, Text>, kBoolType, {kTextType},
                pattern);
}

struct Extract {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    const auto& pattern = context.data<Pattern>();
    std::array<re2::StringPiece, kGroupsMax> groups;
    *out = {};
    if (!pattern.re.Match(PieceOf(a), 0, a.size(), RE2::UNANCHORED, groups.data(),
                          pattern.group + 1))
      return kIsPresent;
    const re2::StringPiece& found = groups[static_cast<size_t>(pattern.group)];
    if (found.data() != nullptr) *out = {found.data(), found.size()};
    return kIsPresent;
  }
};
Bound BindExtract(Binder& binder, const Call& call) {
  HR_TRY(const auto pattern, CompilePattern(binder, call, 3, "ics"));
  if (call.arguments.size() > 2) {
    const int groups = std::min(pattern->re.NumberOfCapturingGroups(), kGroupsMax - 1);
    HR_TRY(const int64_t group, ConstantInt(binder, call, 2, "the group", 0, groups));
    pattern->group = static_cast<int>(group);
  }
  return BindTo(binder, call, &Map<Extract, Text, Text>, kTextType, {kTextType}, pattern);
}

struct ReplaceMatches {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    const auto& pattern = context.data<Pattern>();
    if (a.size() > kMadeTextBytesMax) return kIsError;
    std::string text(a);
    const int found = pattern.everywhere ? RE2::GlobalReplace(&text, pattern.re, pattern.rewrite)
                      : RE2::Replace(&text, pattern.re, pattern.rewrite) ? 1
                                                                         : 0;
    *out = a;
    if (found == 0) return kIsPresent;
    MadeText made(context.frame);
    made.Add(text);
    return made.Finish(out);
  }
};
Bound BindReplaceMatches(Binder& binder, const Call& call) {
  HR_TRY(const auto pattern, CompilePattern(binder, call, 3, "gics"));
  HR_TRY(pattern->rewrite, ConstantText(binder, call, 2, "the replacement"));
  std::string why;
  if (!pattern->re.CheckRewriteString(pattern->rewrite, &why))
    return Binder::Fail(*call.syntax.children[2], fmt::format("no replacement: {}", why));
  return BindTo(binder, call, &Map<ReplaceMatches, Text, Text>, kTextType, {kTextType}, pattern);
}

constexpr std::array kFunctions = {
    FunctionRow{"regexp_extract", "regexp_extract(text, 'pattern' [, group [, 'options']])",
                "What the first match of the pattern is, or of its group; empty without a match.",
                "regexp_extract('AA-120', '([A-Z]+)-([0-9]+)', 2)", "\"120\"", 2, 4, &BindExtract},
    FunctionRow{"regexp_full_match", "regexp_full_match(text, 'pattern' [, 'options'])",
                "Whether the pattern matches the whole text.",
                "regexp_full_match('SEA', '[A-Z]{3}')", "true", 2, 3,
                &BindMatches<RE2::ANCHOR_BOTH>},
    FunctionRow{"regexp_matches", "regexp_matches(text, 'pattern' [, 'options'])",
                "Whether the pattern is found in the text; anchor it with ^ and $.",
                "regexp_matches('SEA', '^[A-Z]{3}$')", "true", 2, 3, &BindMatches<RE2::UNANCHORED>,
                "regexp_match"},
    FunctionRow{"regexp_replace", "regexp_replace(text, 'pattern', 'new' [, 'options'])",
                "The first match becomes the new text, all with the option g (as in DuckDB; Spark "
                "always replaces all); \\1 is the first group.",
                "regexp_replace('a1b22', '[0-9]+', '#', 'g')", "\"a#b#\"", 3, 4,
                &BindReplaceMatches},
};

}  // namespace

std::span<const FunctionRow> PatternFunctions() { return kFunctions; }

}  // namespace headrace::pipeline

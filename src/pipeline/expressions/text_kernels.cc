// Text functions count and cut in code points; upper and lower know ASCII letters alone, so that no
// table or locale can change a result.
#include <algorithm>
#include <cstring>

#include "pipeline/expressions/code_points.h"
#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {
namespace {

using Text = std::string_view;

struct Length {
  static int64_t Do(Text a) { return CountOf(a); }
};
struct StartsWith {
  static uint8_t Do(Text a, Text b) { return a.starts_with(b); }
};
struct EndsWith {
  static uint8_t Do(Text a, Text b) { return a.ends_with(b); }
};
struct Contains {
  static uint8_t Do(Text a, Text b) { return a.find(b) != Text::npos; }
};

// % is any text, _ any one code point. Two pointers: on a mismatch the last % takes one more.
struct Like {
  static uint8_t Do(Text text, Text pattern) {
    size_t t = 0, p = 0, star = Text::npos, retry = 0;
    while (t < text.size()) {
      if (p < pattern.size() && pattern[p] == '%') {
        star = p++;
        retry = t;
      } else if (p < pattern.size() && pattern[p] == '_') {
        ++p;
        ++t;
        while (t < text.size() && Continues(text[t])) ++t;
      } else if (p < pattern.size() && pattern[p] == text[t]) {
        ++p;
        ++t;
      } else if (star != Text::npos) {
        p = star + 1;
        t = ++retry;
      } else {
        return 0;
      }
    }
    while (p < pattern.size() && pattern[p] == '%') ++p;
    return p == pattern.size();
  }
};

template <char kFirst, char kLast, int kShift>
void ShiftLetters(const Step& step, Frame& frame) {
  const auto a = frame.In<Text>(step.arguments[0]);
  Text* out = frame.Out<Text>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  for (size_t row = 0; row < frame.rows(); ++row) {
    char* text = frame.Text(a[row].size());
    out[row] = {};
    any |= failed[row] = text == nullptr ? 1 : 0;
    if (text == nullptr) continue;
    for (size_t i = 0; i < a[row].size(); ++i) {
      const char c = a[row][i];
      text[i] = c >= kFirst && c <= kLast ? static_cast<char>(c + kShift) : c;
    }
    out[row] = {text, a[row].size()};
  }
  AddFailures(step, frame, failed, any);
}

void Concat(const Step& step, Frame& frame) {
  const auto a = frame.In<Text>(step.arguments[0]);
  const auto b = frame.In<Text>(step.arguments[1]);
  Text* out = frame.Out<Text>(step.self);
  uint8_t failed[kChunkRows];
  uint8_t any = 0;
  for (size_t row = 0; row < frame.rows(); ++row) {
    const size_t size = a[row].size() + b[row].size();
    char* text = frame.Text(size);
    out[row] = {};
    any |= failed[row] = text == nullptr ? 1 : 0;
    if (text == nullptr) continue;
    if (!a[row].empty()) std::memcpy(text, a[row].data(), a[row].size());
    if (!b[row].empty()) std::memcpy(text + a[row].size(), b[row].data(), b[row].size());
    out[row] = {text, size};
  }
  AddFailures(step, frame, failed, any);
}

// substr(text, start, length): from 1, or from the end when it is negative. A negative length takes
// what is before the start. What lies outside of the text counts, but is not there.
void Substring(const Step& step, Frame& frame) {
  const auto a = frame.In<Text>(step.arguments[0]);
  const auto start = frame.In<int64_t>(step.arguments[1]);
  const auto length = frame.In<int64_t>(step.arguments[2]);
  Text* out = frame.Out<Text>(step.self);
  constexpr int64_t kFar = 1LL << 40;  // past every text, and sums of two of it do not overflow
  for (size_t row = 0; row < frame.rows(); ++row) {
    int64_t first = std::clamp<int64_t>(start[row], -kFar, kFar);
    first = first < 0 ? CountOf(a[row]) + first : first - 1;
    int64_t end = first + std::clamp<int64_t>(length[row], -kFar, kFar);
    if (end < first) std::swap(first, end);
    const size_t from = OffsetOf(a[row], first);
    const size_t to = OffsetOf(a[row], end);
    out[row] = a[row].substr(from, to - from);
  }
  frame.JoinNulls(step);
}

}  // namespace

Kernel TextKernel(std::string_view function) {
  if (function == "length") return &Total1<Length, Text, int64_t>;
  if (function == "lower") return &ShiftLetters<'A', 'Z', 'a' - 'A'>;
  if (function == "upper") return &ShiftLetters<'a', 'z', 'A' - 'a'>;
  if (function == "concat") return &Concat;
  if (function == "substr") return &Substring;
  if (function == "starts_with") return &Total2<StartsWith, Text, Text, uint8_t>;
  if (function == "ends_with") return &Total2<EndsWith, Text, Text, uint8_t>;
  if (function == "contains") return &Total2<Contains, Text, Text, uint8_t>;
  return function == "like" ? &Total2<Like, Text, Text, uint8_t> : nullptr;
}

}  // namespace headrace::pipeline

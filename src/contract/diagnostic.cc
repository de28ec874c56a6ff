#include "contract/diagnostic.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace headrace::contract {
namespace {

constexpr size_t kLineShownMax = 160;  // bytes of a source line around the mark
constexpr size_t kNamesMax = 3;

std::string_view LineOf(std::string_view text, size_t line) {
  size_t begin = 0;
  for (size_t at = 1; at < line; ++at) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return {};
    begin = end + 1;
  }
  const size_t end = text.find_first_of("\r\n", begin);
  return text.substr(begin, end == std::string_view::npos ? end : end - begin);
}

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Code points, which is how wide most text is on a terminal.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !Continues(c); }));
}

// Control characters would move the caret, or worse.
std::string Printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c == '\t') c = ' ';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out;
}

struct Shown {
  std::string text;
  size_t caret = 0;   // columns before the mark
  size_t length = 1;  // columns of the mark
};

// The part of the line around the mark, and where the mark is in it.
Shown Show(std::string_view line, size_t column, size_t length) {
  const size_t mark = std::min(column == 0 ? 0 : column - 1, line.size());
  size_t begin = 0;
  size_t end = line.size();
  if (end > kLineShownMax) {
    begin = mark > kLineShownMax / 2 ? mark - kLineShownMax / 2 : 0;
    end = std::min(line.size(), begin + kLineShownMax);
    while (begin < mark && Continues(line[begin])) ++begin;
    while (end < line.size() && Continues(line[end])) ++end;
  }
  const size_t mark_end = std::min(end, mark + std::max<size_t>(length, 1));
  return {Printable(line.substr(begin, end - begin)), Width(line.substr(begin, mark - begin)),
          std::max<size_t>(1, Width(line.substr(mark, mark_end - mark)))};
}

}  // namespace

std::string Render(const Diagnostic& diagnostic, std::string_view file_text) {
  std::string out =
      fmt::format("{}[{}] {}", diagnostic.severity == Severity::kError ? "error" : "warning",
                  diagnostic.code, diagnostic.file);
  if (diagnostic.line == 0) {
    out += fmt::format("  {}\n", Printable(diagnostic.message));
    if (!diagnostic.hint.empty()) out += fmt::format("  {}\n", Printable(diagnostic.hint));
    return out;
  }
  out += fmt::format(":{}:{}  {}\n", diagnostic.line, diagnostic.column,
                     Printable(diagnostic.message));
  const Shown shown =
      Show(LineOf(file_text, diagnostic.line), diagnostic.column, diagnostic.length);
  const std::string gutter = fmt::format("  {} | ", diagnostic.line);
  out += gutter + shown.text + "\n";
  out += std::string(gutter.size() + shown.caret, ' ') + std::string(shown.length, '^');
  if (!diagnostic.hint.empty()) out += "  " + Printable(diagnostic.hint);
  return out + "\n";
}

namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Edit distance with neighbours swapped as one step (Damerau, optimal string alignment); case does
// not count.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = Lower(a[i - 1]) == Lower(b[j - 1]);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && Lower(a[i - 1]) == Lower(b[j - 2]) &&
                           Lower(a[i - 2]) == Lower(b[j - 1]);
      if (swapped) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

}  // namespace

std::vector<std::string> NearestNames(std::string_view wanted, std::span<const std::string> names) {
  constexpr size_t kWantedMax = 128;  // longer names are no typing mistakes
  if (wanted.size() > kWantedMax) return {};
  const size_t distance_max = std::max<size_t>(1, wanted.size() / 3);
  std::vector<std::pair<size_t, const std::string*>> near;
  const auto distance_to = [&](std::string_view name) {
    if (name.size() > wanted.size() + distance_max) return distance_max + 1;
    return Distance(wanted, name);
  };
  for (const std::string& name : names) {
    size_t distance = distance_to(name);
    const size_t mark = name.find_last_of(".:");
    if (distance > distance_max && mark != std::string::npos &&
        wanted.find_first_of(".:") == std::string_view::npos)
      distance = distance_to(std::string_view(name).substr(mark + 1));
    if (distance <= distance_max) near.emplace_back(distance, &name);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> result;
  for (const auto& [distance, name] : near) {
    if (result.size() == kNamesMax) break;
    result.push_back(*name);
  }
  return result;
}

}  // namespace headrace::contract

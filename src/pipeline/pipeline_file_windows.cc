// The windows of a view: `over`, `tumbling`, `hopping`, `session`, and what they have in common.
#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

constexpr base::Duration kLongest = std::chrono::hours(24) * 3653;
constexpr base::Duration kDay = std::chrono::hours(24);
constexpr base::Duration kWithinUnlessSaid = kDay;

// "this 1d" is "this" and "1d".
std::pair<std::string_view, std::string_view> FirstWord(std::string_view text) {
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return {text, {}};
  const size_t rest = text.find_first_not_of(' ', blank);
  return {text.substr(0, blank), rest == std::string_view::npos ? "" : text.substr(rest)};
}

std::optional<base::Duration> DurationIn(std::string_view text) {
  const auto duration = base::ParseDuration(text);
  if (!duration || *duration <= base::Duration(0)) return std::nullopt;
  return *duration;
}

}  // namespace

bool PipelineReader::Windows(const Node& node, ViewDefinition& view,
                             std::vector<std::string>& names) {
  const size_t errors = report_.errors();
  Over(node, view, names);
  WindowTexts(node, "tumbling", "`this 1d`, the one so far, or `previous 1d`", view, names);
  WindowTexts(node, "hopping", "`1h every 5m`", view, names);
  WindowTexts(node, "session", "`this 30m`, the one that goes on, or `last 30m`", view, names);
  if (const YamlNode* precision = Find(node, Section::kView, "precision"))
    Precision(*precision, view);
  if (const YamlNode* within = Find(node, Section::kView, "within")) Within(*within, view);
  if (const YamlNode* zone = Find(node, Section::kView, "zone")) Zone(*zone, view);
  return report_.errors() == errors;
}

void PipelineReader::Over(const Node& node, ViewDefinition& view, std::vector<std::string>& names) {
  const YamlNode* over = Find(node, Section::kView, "over");
  if (over == nullptr) return;
  const std::string what = fmt::format("view {}: `over`", view.name);
  const auto texts = contract::ReadTexts(*over, what, report_);
  if (!texts) return;
  if (texts->empty())
    report_.Error(DiagnosticCode::kWindow, over->place, what + " has no window",
                  "leave it out to count from the beginning");
  for (const YamlNode* text : *texts) {
    const auto window = contract::ReadDuration(*text, what, report_);
    if (!window || !AddWindow(*text, what, *window, text->text, view, names)) return;
  }
  std::vector<std::pair<base::Duration, std::string>> ascending;
  for (size_t i = 0; i < names.size(); ++i)
    ascending.emplace_back(view.windows[i].length, std::move(names[i]));
  std::ranges::sort(ascending);
  for (size_t i = 0; i < names.size(); ++i) {
    view.windows[i] = Window(ascending[i].first);
    names[i] = std::move(ascending[i].second);
  }
}

void PipelineReader::WindowTexts(const Node& node, std::string_view key, std::string_view like,
                                 ViewDefinition& view, std::vector<std::string>& names) {
  const YamlNode* list = Find(node, Section::kView, key);
  if (list == nullptr) return;
  const std::string what = fmt::format("view {}: `{}`", view.name, key);
  const auto texts = contract::ReadTexts(*list, what, report_);
  if (!texts) return;
  for (const YamlNode* text : *texts) {
    std::string name;
    const auto window = key == "hopping"    ? Hopping(text->text, name)
                        : key == "tumbling" ? Tumbling(text->text, name)
                                            : Session(text->text, name);
    if (!window) {
      report_.Error(DiagnosticCode::kWindow, text->place,
                    fmt::format("{} can't be `{}`", what, text->text),
                    fmt::format("write {}", like));
      return;
    }
    if (!AddWindow(*text, what, *window, name, view, names)) return;
  }
}

std::optional<Window> PipelineReader::Tumbling(std::string_view text, std::string& name) {
  const auto [word, rest] = FirstWord(text);
  const auto length = DurationIn(rest);
  if (!length || (word != "this" && word != "previous")) return std::nullopt;
  Window window(*length);
  window.kind = word == "this" ? Window::Kind::kTumbling : Window::Kind::kPreviousTumbling;
  name = fmt::format("{}_{}", word, rest);
  return window;
}

std::optional<Window> PipelineReader::Hopping(std::string_view text, std::string& name) {
  const auto [size, rest] = FirstWord(text);
  const auto [every, step_text] = FirstWord(rest);
  const auto length = DurationIn(size);
  const auto step = DurationIn(step_text);
  if (!length || !step || every != "every" || *step > kLongest) return std::nullopt;
  Window window(*length);
  window.kind = Window::Kind::kHopping;
  window.step = *step;
  name = fmt::format("{}_every_{}", size, step_text);
  return window;
}

std::optional<Window> PipelineReader::Session(std::string_view text, std::string& name) {
  const auto [word, rest] = FirstWord(text);
  const auto gap = DurationIn(rest);
  if (!gap || (word != "this" && word != "last")) return std::nullopt;
  Window window(kWithinUnlessSaid);
  window.kind = word == "this" ? Window::Kind::kSession : Window::Kind::kLastSession;
  window.step = *gap;
  name = fmt::format("{}_session_{}", word, rest);
  return window;
}

bool PipelineReader::AddWindow(const Node& node, const std::string& what, const Window& window,
                               const std::string& name, ViewDefinition& view,
                               std::vector<std::string>& names) {
  const auto same = std::ranges::find(view.windows, window);
  if (same != view.windows.end() || window.length > kLongest || window.step > kLongest) {
    report_.Error(DiagnosticCode::kWindow, node.place,
                  same != view.windows.end()
                      ? fmt::format("{}: {} and {} are the same window", what,
                                    names[static_cast<size_t>(same - view.windows.begin())], name)
                      : fmt::format("{}: {} is longer than ten years", what, node.text));
    return false;
  }
  if (TooMany(node, view.windows.size() + 1, kWindowsMax, "windows")) return false;
  view.windows.push_back(window);
  names.push_back(name);
  return true;
}

// Of all windows of the view, which must be sliding ones.
void PipelineReader::Precision(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}: `precision`", view.name);
  const auto precision = contract::ReadDuration(node, what, report_);
  if (!precision) return;
  const auto fail = [&](const std::string& why, const std::string& hint) {
    report_.Error(DiagnosticCode::kWindow, node.place, what + why, hint);
  };
  const auto other = std::ranges::find_if(
      view.windows, [](const Window& window) { return window.kind != Window::Kind::kSliding; });
  if (other != view.windows.end())
    return fail(fmt::format(" is of sliding windows, and `{}` is none", TextOf(*other)),
                "put one of the two into a view of its own");
  if (view.lifetime())
    return fail(" is of sliding windows, and the view has none",
                "add `over: 24h`, or leave it out");
  const base::Duration shortest = view.windows.front().length;
  const base::Duration longest = view.windows.back().length;
  if (*precision > shortest)
    return fail(
        fmt::format(": {} is longer than the window {}", node.text, base::FormatDuration(shortest)),
        "1/60 of the window is usual");
  if (longest / *precision > kTilesMax) {
    const auto least = std::chrono::ceil<std::chrono::seconds>(longest / kTilesMax);
    return fail(fmt::format(": {} of it are in {}, and a key has at most {} tiles",
                            longest / *precision, base::FormatDuration(longest), kTilesMax),
                fmt::format("at least {}", base::FormatDuration(least)));
  }
  view.precision = *precision;
  for (Window& window : view.windows) window.precision = *precision;
}

void PipelineReader::Within(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}: `within`", view.name);
  const auto within = contract::ReadDuration(node, what, report_);
  if (!within) return;
  bool any = false;
  for (Window& window : view.windows) {
    if (!window.is_session()) continue;
    any = true;
    window.length = *within;
  }
  if (any && *within <= kLongest) return;
  report_.Error(
      DiagnosticCode::kWindow, node.place,
      any ? fmt::format("{}: {} is longer than ten years", what, node.text)
          : what + " says how far back sessions are looked for, and there is no `session`",
      any ? "" : "add `session: this 30m`");
}

void PipelineReader::Zone(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}: `zone`", view.name);
  const auto name = contract::ReadText(node, what, report_);
  if (!name) return;
  const base::TimeZone* zone = base::TimeZone::Named(*name);
  if (zone == nullptr) {
    report_.Error(DiagnosticCode::kWindow, node.place,
                  fmt::format("{}: no time zone `{}`", what, *name),
                  contract::DidYouMean(*name, base::TimeZone::Names(), "as Europe/Berlin"));
    return;
  }
  bool any = false;
  for (Window& window : view.windows) {
    const bool tumbles =
        window.kind == Window::Kind::kTumbling || window.kind == Window::Kind::kPreviousTumbling;
    if (!tumbles || window.length % kDay != base::Duration(0)) continue;
    any = true;
    window.zone = zone;
    window.zone_name = *name;
  }
  if (!any)
    report_.Error(DiagnosticCode::kWindow, node.place,
                  what + " says where days begin, and no tumbling window has whole days",
                  "add `tumbling: this 1d`");
}

// `7d ago`: for all windows of the view.
bool PipelineReader::Ending(const Node& node, ViewDefinition& view) {
  const std::string what = fmt::format("view {}: `ending`", view.name);
  const auto text = contract::ReadText(node, what, report_);
  if (!text) return false;
  const auto [span, ago] = FirstWord(*text);
  const auto ending = DurationIn(span);
  if (!ending || ago != "ago" || *ending > kLongest) {
    report_.Error(DiagnosticCode::kWindow, node.place, fmt::format("{} can't be `{}`", what, *text),
                  "write it like 7d ago");
    return false;
  }
  if (view.lifetime()) {
    report_.Error(DiagnosticCode::kWindow, node.place,
                  what + " is of windows, and the view has none", "add `over: 24h`");
    return false;
  }
  for (Window& window : view.windows) window.ending = *ending;
  return true;
}

bool PipelineReader::LastRows(const Node& node, ViewDefinition& view,
                              std::vector<std::string>& names) {
  const std::string what = fmt::format("view {}: `last`", view.name);
  if (!contract::ExpectMap(node, what, report_)) return false;
  if (view.precision) {
    report_.Error(DiagnosticCode::kWindow, node.place,
                  what +
                      " needs its rows, and `precision` adds "
                      "them up",
                  "put one of the two into a view of its own");
    return false;
  }
  const size_t errors = report_.errors();
  for (size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& key = node.keys[i];
    const auto rows = contract::IntegerIn(key.text);
    if (!rows || *rows < 1 || *rows > kLastRowsMax) {
      report_.Error(
          DiagnosticCode::kWindow, key.place,
          fmt::format("{} counts rows from 1 to {}, here is `{}`", what, kLastRowsMax, key.text),
          "write it like last: {50: {recent: shop}}");
      continue;
    }
    Window window;
    window.kind = Window::Kind::kLastRows;
    window.rows = static_cast<uint32_t>(*rows);
    if (AddWindow(key, what, window, "", view, names))
      Features(node.items[i], view, names, view.windows.size() - 1);
  }
  return report_.errors() == errors;
}

}  // namespace headrace::pipeline

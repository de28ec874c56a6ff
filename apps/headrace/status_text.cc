#include "status_text.h"

#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "http_calls.h"

namespace headrace::app {
namespace {

using nlohmann::ordered_json;

template <typename... Values>
void Append(std::string& text, fmt::format_string<Values...> format, Values&&... values) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Values>(values)...);
}

// Null is what is not there yet, an empty text what there is nothing to say of.
std::string Shown(const ordered_json& value) {
  const bool is_empty = value.is_string() && value.get_ref<const std::string&>().empty();
  return value.is_null() || is_empty ? "-" : TextOf(value);
}

bool IsFlat(const ordered_json& value) {
  for (const ordered_json& member : value)
    if (member.is_structured() && !member.empty()) return false;
  return true;
}

// "p50 12  p99 30": a small object in one line.
std::string FlatText(const ordered_json& object) {
  std::string line;
  for (const auto& [name, value] : object.items()) {
    if (!line.empty()) line += "  ";
    if (object.is_object()) line += name + " ";
    line += Shown(value);
  }
  return line;
}

// "healthy: p99 is 9 ms of 150 ms ...", what helps where it is not, and what else there is.
void AddVerdict(std::string& text, const ordered_json& verdict) {
  Append(text, "{}: {}\n", verdict.value("state", ""), verdict.value("says", ""));
  bool first = true;
  for (const ordered_json& finding : verdict["findings"]) {
    if (!first) Append(text, "  also: {}\n", finding.value("what", ""));
    Append(text, "  {}{}\n", first ? "next: " : "      ", finding.value("next", ""));
    first = false;
  }
  Append(text, "\n");
}

// A member of `recent` without percentiles.
bool HadNoEvents(const ordered_json& member) {
  return member.size() == 1 && member.is_object() && member.contains("count");
}

// A structured member in one line.
std::string LineOf(const ordered_json& member) {
  if (member.empty()) return "none";
  return HadNoEvents(member) ? "no recent events" : FlatText(member);
}

// The document as an outline: the engine decides what is in it.
void AddOutline(std::string& text, const ordered_json& value, int indent) {
  for (const auto& [name, member] : value.items()) {
    const std::string label = value.is_array() ? "-" : name;
    if (!member.is_structured()) {
      Append(text, "{:{}}{:<{}} {}\n", "", indent, label, 24 - indent, Shown(member));
    } else if (IsFlat(member)) {
      Append(text, "{:{}}{:<{}} {}\n", "", indent, label, 24 - indent, LineOf(member));
    } else {
      Append(text, "{:{}}{}\n", "", indent, label);
      AddOutline(text, member, indent + 2);
    }
  }
}

// Two members of the same shape tell what was recently and since the start: says of which is which.
void NameSinceStart(ordered_json& status) {
  if (!status.contains("recent")) return;
  for (const char* name : {"fdatasync", "stages"}) {
    const auto member = status.find(name);
    if (member == status.end()) continue;
    ordered_json times = std::move(*member);
    status.erase(name);
    status["since_start"][name] = std::move(times);
  }
}

}  // namespace

std::string StatusText(ordered_json status) {
  std::string text;
  if (const auto verdict = status.find("verdict");
      verdict != status.end() && verdict->is_object() && verdict->contains("findings")) {
    AddVerdict(text, *verdict);
    status.erase("verdict");
  }
  NameSinceStart(status);
  AddOutline(text, status, 0);
  return text;
}

}  // namespace headrace::app

// headrace status: what a running engine says of itself.

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "http_calls.h"

namespace headrace::app {
namespace {

using nlohmann::ordered_json;

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
void PrintVerdict(std::FILE* out, const ordered_json& verdict) {
  fmt::print(out, "{}: {}\n", verdict.value("state", ""), verdict.value("says", ""));
  bool first = true;
  for (const ordered_json& finding : verdict["findings"]) {
    if (!first) fmt::print(out, "  also: {}\n", finding.value("what", ""));
    fmt::print(out, "  {}{}\n", first ? "next: " : "      ", finding.value("next", ""));
    first = false;
  }
  fmt::print(out, "\n");
}

// The document as an outline: the engine decides what is in it.
void PrintOutline(std::FILE* out, const ordered_json& value, int indent) {
  for (const auto& [name, member] : value.items()) {
    const std::string label = value.is_array() ? "-" : name;
    if (!member.is_structured()) {
      fmt::print(out, "{:{}}{:<{}} {}\n", "", indent, label, 24 - indent, Shown(member));
    } else if (IsFlat(member)) {
      fmt::print(out, "{:{}}{:<{}} {}\n", "", indent, label, 24 - indent,
                 member.empty() ? "none" : FlatText(member));
    } else {
      fmt::print(out, "{:{}}{}\n", "", indent, label);
      PrintOutline(out, member, indent + 2);
    }
  }
}

}  // namespace

int RunStatus(const StatusOptions& options, CommandContext& context) {
  HttpCalls calls(options.http);
  const auto text = calls.Get("/status");
  if (!text) return ReportError(context, text.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", *text);
    return 0;
  }
  ordered_json status = ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object())
    return ReportError(context,
                       base::Error(base::ErrorCode::kInternal, "the answer is no status document"));
  if (const auto verdict = status.find("verdict");
      verdict != status.end() && verdict->is_object() && verdict->contains("findings")) {
    PrintVerdict(context.out, *verdict);
    status.erase("verdict");
  }
  PrintOutline(context.out, status, 0);
  return 0;
}

}  // namespace headrace::app

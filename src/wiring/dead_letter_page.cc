#include "wiring/dead_letter_page.h"

#include <charconv>

#include <fmt/format.h>

#include "columns/value.h"
#include "ingest/outcome_json.h"

namespace headrace::wiring {
namespace {

std::optional<uint64_t> WholeNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

base::Result<LetterPosition> LetterPosition::Parse(std::string_view text) {
  const size_t dot = text.find('.');
  const auto epoch = WholeNumber(text.substr(0, dot));
  const auto letters =
      dot == std::string_view::npos ? std::optional(kWhole) : WholeNumber(text.substr(dot + 1));
  if (!epoch || !letters)
    return base::Fail(base::ErrorCode::kInvalidInput,
                      fmt::format("`{}` is no position of dead letters: write EPOCH, or EPOCH.N as "
                                  "an answer's Headrace-Next has it",
                                  text));
  return LetterPosition{{*epoch}, *letters};
}

std::string LetterPosition::ToString() const {
  return letters == kWhole ? fmt::format("{}", epoch.value)
                           : fmt::format("{}.{}", epoch.value, letters);
}

std::string ReplayReport::ToJson() const {
  std::string out = "{\"stream\":";
  columns::AppendJsonString(out, stream);
  fmt::format_to(std::back_inserter(out),
                 ",\"dry_run\":{},\"replayed\":{},\"kept\":{},\"replayed_before\":{},\"epoch\":",
                 run == ReplayRequest::Run::kDry, replayed, kept, replayed_before);
  out += epoch.value == 0 ? "null" : fmt::format("{}", epoch.value);
  out += ",\"listed\":[";
  for (const Kept& letter : listed) {
    if (out.back() != '[') out += ",\n ";
    fmt::format_to(std::back_inserter(out), "{{\"epoch\":{},", letter.epoch.value);
    ingest::AppendRefusal(out, letter.row, letter.field, letter.rule, letter.reason);
    out += '}';
  }
  out += "],\"next\":";
  out += next ? fmt::format("\"{}\"", next->ToString()) : "null";
  return out + "}\n";
}

}  // namespace headrace::wiring

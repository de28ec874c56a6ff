#include "wiring/dead_letter_page.h"

#include <charconv>

#include <fmt/format.h>

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

}  // namespace headrace::wiring

#include "protocols/head_lines.h"

#include <algorithm>

namespace headrace::protocols {
namespace {

// An object, so that searches have it in line.
constexpr auto kIsControl = [](char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
};

std::optional<std::string_view> CheckRequestLine(std::string_view line) {
  if (line.empty()) return "an empty request line";
  if (std::any_of(line.begin(), line.end(), kIsControl))
    return "a control character in the request line";
  const auto foreign = [](char c) { return static_cast<unsigned char>(c) >= 0x80 || c == '\t'; };
  if (std::any_of(line.begin(), line.end(), foreign))
    return "a character in the request line that must be percent-encoded";
  if (std::count(line.begin(), line.end(), ' ') != 2)
    return "a request line that is not method, target, version";
  return std::nullopt;
}

}  // namespace

bool IsTokenCharacter(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::optional<std::string_view> CheckFieldLine(std::string_view line) {
  if (std::any_of(line.begin(), line.end(), kIsControl)) return "a control character in a field";
  if (line.starts_with(' ') || line.starts_with('\t')) return "a field continued on the next line";
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "a field without a colon";
  if (colon == 0) return "a field without a name";
  if (!std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon),
                   IsTokenCharacter))
    return "a character in a field's name that does not belong there";
  return std::nullopt;
}

std::optional<std::string_view> HeadLines::Check(std::string_view head) {
  if (lines_ == 0 && !head.empty() && !IsTokenCharacter(head.front()))
    return "bytes that are not HTTP";
  while (!end_) {
    const size_t feed = head.find('\n', line_begin_);
    if (feed == std::string_view::npos) return std::nullopt;
    if (feed == line_begin_ || head[feed - 1] != '\r')
      return "a line feed without a carriage return";
    const std::string_view line = head.substr(line_begin_, feed - 1 - line_begin_);
    if (line.empty() && lines_ > 0) {
      end_ = feed + 1;
      return std::nullopt;
    }
    if (const auto wrong = lines_ == 0 ? CheckRequestLine(line) : CheckFieldLine(line))
      return wrong;
    line_begin_ = feed + 1;
    ++lines_;
  }
  return std::nullopt;
}

}  // namespace headrace::protocols

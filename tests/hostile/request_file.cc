#include "hostile/request_file.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/hex.h"

namespace headrace::hostile {
namespace {

using base::Fail;
using base::Result;

struct Line {
  size_t number;
  std::string text;
};

// "> GET / HTTP/1.1\r\n" of a request, before its values are put in.
struct Block {
  std::string name;
  size_t line = 0;
  std::vector<Line> lines;
  std::vector<std::pair<std::string, std::vector<std::string>>> each;
};

using Values = std::vector<std::pair<std::string, std::string>>;

base::Error Wrong(size_t line, std::string_view what) {
  return {base::ErrorCode::kInvalidInput, fmt::format("line {}: {}", line, what)};
}

std::vector<std::string> Split(std::string_view text, std::string_view by) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = text.find(by);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + by.size());
  }
}

// {NAME} becomes its value, {9000*text} the text so often.
std::string PutIn(std::string_view text, const Values& values) {
  std::string out(text);
  for (const auto& [name, value] : values) {
    const std::string place = "{" + name + "}";
    for (size_t at = out.find(place); at != std::string::npos; at = out.find(place, at))
      out.replace(at, place.size(), value), at += value.size();
  }
  for (size_t at = out.find('{'); at != std::string::npos; at = out.find('{', at + 1)) {
    size_t count = 0;
    const char* end = out.data() + out.size();
    const auto [star, error] = std::from_chars(out.data() + at + 1, end, count);
    const size_t close = out.find('}', at);
    if (error != std::errc() || star == end || *star != '*' || close == std::string::npos) continue;
    const std::string repeated(star + 1, static_cast<const char*>(out.data()) + close);
    std::string all;
    for (size_t i = 0; i < count; ++i) all += repeated;
    out.replace(at, close + 1 - at, all);
    at += all.empty() ? 0 : all.size() - 1;
  }
  return out;
}

// \r \n \t \\ \xNN.
std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    constexpr std::string_view kLetters = "rnt\\";
    constexpr std::string_view kMeans = "\r\n\t\\";
    if (const size_t letter = kLetters.find(text[i]); letter != std::string_view::npos) {
      out += kMeans[letter];
    } else if (text[i] == 'x' && i + 2 < text.size()) {
      const int high = base::HexDigit(text[i + 1]);
      const int low = base::HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return out;
}

// "PATH BODY", or with a caller "CALLER PATH BODY".
std::optional<std::string> JsonRequest(std::string_view words, bool with_caller) {
  std::string authorization;
  if (with_caller) {
    const size_t blank = std::min(words.find(' '), words.size());
    authorization = fmt::format("Authorization: Bearer token-{}\r\n", words.substr(0, blank));
    words.remove_prefix(std::min(blank + 1, words.size()));
  }
  const size_t blank = words.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view body = words.substr(blank + 1);
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}",
                     words.substr(0, blank), authorization, body.size(), body);
}

Result<std::string> Command(std::string_view words, size_t line) {
  const std::vector<std::string> split = Split(words, " ");
  std::string bytes = fmt::format("*{}\r\n", split.size());
  for (const std::string& word : split) {
    const auto decoded = Decode(word);
    if (!decoded) return Fail(Wrong(line, "an escape that is none"));
    bytes += fmt::format("${}\r\n{}\r\n", decoded->size(), *decoded);
  }
  return bytes;
}

Result<void> Apply(const Line& line, const Values& values, HostileRequest& request) {
  const std::string text = PutIn(line.text, values);
  const auto decoded = Decode(text);
  if (!decoded) return Fail(Wrong(line.number, "an escape that is none"));
  if (text.starts_with("> ")) {
    request.bytes += decoded->substr(2);
  } else if (text.starts_with("json ") || text.starts_with("json-as ")) {
    const bool with_caller = text.starts_with("json-as ");
    const auto json =
        JsonRequest(std::string_view(*decoded).substr(with_caller ? 8 : 5), with_caller);
    if (!json) return Fail(Wrong(line.number, "json PATH BODY, json-as CALLER PATH BODY"));
    request.bytes += *json;
  } else if (text.starts_with("cmd ")) {
    HR_TRY(const std::string command, Command(std::string_view(text).substr(4), line.number));
    request.bytes += command;
  } else if (text.starts_with("wait ")) {
    int seconds = 0;
    std::from_chars(text.data() + 5, text.data() + text.size(), seconds);
    request.wait = std::chrono::seconds(seconds);
  } else if (text.starts_with("< ")) {
    request.answers.push_back(decoded->substr(2));
  } else if (text == "= closed") {
    request.ending = Ending::kClosed;
  } else if (text == "= open") {
    request.ending = Ending::kOpen;
  } else if (text == "= waiting") {
    request.ending = Ending::kWaiting;
  } else {
    return Fail(Wrong(line.number, "neither bytes nor an answer: " + text));
  }
  return {};
}

Result<void> Expand(const Block& block, size_t each, Values& values,
                    std::vector<HostileRequest>& out) {
  if (each < block.each.size()) {
    for (const std::string& value : block.each[each].second) {
      values.emplace_back(block.each[each].first, value);
      HR_TRY_VOID(Expand(block, each + 1, values, out));
      values.pop_back();
    }
    return {};
  }
  HostileRequest request{.name = block.name, .line = block.line};
  for (const auto& [name, value] : values)
    request.name += ", " + name + " " + (value.size() > 40 ? value.substr(0, 40) + "..." : value);
  for (const Line& line : block.lines) HR_TRY_VOID(Apply(line, values, request));
  if (request.bytes.empty()) return Fail(Wrong(block.line, "a request without bytes"));
  if (request.answers.empty() && request.ending == Ending::kOpen)
    return Fail(Wrong(block.line, "an open connection without an answer: say = waiting"));
  out.push_back(std::move(request));
  return {};
}

Result<std::vector<Block>> ReadBlocks(std::string_view text) {
  std::vector<Block> blocks;
  size_t number = 0;
  for (std::string& line : Split(text, "\n")) {
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with('[') && line.ends_with(']')) {
      blocks.push_back({.name = line.substr(1, line.size() - 2), .line = number});
      continue;
    }
    if (blocks.empty()) return Fail(Wrong(number, "before the first [name]"));
    if (!line.starts_with("each ")) {
      blocks.back().lines.push_back({number, std::move(line)});
      continue;
    }
    const size_t equals = line.find(" = ");
    if (equals == std::string::npos) return Fail(Wrong(number, "each NAME = a | b"));
    blocks.back().each.emplace_back(line.substr(5, equals - 5),
                                    Split(std::string_view(line).substr(equals + 3), " | "));
  }
  return blocks;
}

}  // namespace

Result<std::vector<HostileRequest>> ReadRequests(std::string_view text) {
  HR_TRY(const std::vector<Block> blocks, ReadBlocks(text));
  std::vector<HostileRequest> requests;
  for (const Block& block : blocks) {
    Values values;
    HR_TRY_VOID(Expand(block, 0, values, requests));
  }
  return requests;
}

}  // namespace headrace::hostile

#include "protocols/resp_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/hex.h"

namespace headrace::protocols {
namespace {

// Bytes of the line that says a length, up to its line feed: whether it is too long must not depend
// on the pieces in which it comes.
constexpr size_t kNumberLineMax = 32;
constexpr size_t kPlacesKept = 256;  // between two commands

std::optional<int64_t> Number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }

// The words of a line as redis-cli and sdssplitargs read them: "..." with escapes, '...' with \'
// only, blanks between. Nothing when a quote is not closed, or something follows it at once.
class LineWords {
 public:
  explicit LineWords(std::string_view line) : line_(line) {}
  std::optional<std::vector<std::string>> Split() {
    std::vector<std::string> words;
    for (;;) {
      while (at_ < line_.size() && IsBlank(line_[at_])) ++at_;
      if (at_ == line_.size()) return words;
      std::string& word = words.emplace_back();
      while (at_ < line_.size() && !IsBlank(line_[at_])) {
        const char c = line_[at_++];
        if (c != '"' && c != '\'') {
          word += c;
          continue;
        }
        if (!(c == '"' ? Quoted(word) : SingleQuoted(word))) return std::nullopt;
        if (at_ < line_.size() && !IsBlank(line_[at_])) return std::nullopt;
      }
    }
  }

 private:
  bool Quoted(std::string& word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '"') return true;
      if (c != '\\' || at_ == line_.size()) {
        word += c;
        continue;
      }
      const char escaped = line_[at_++];
      if (escaped == 'x' && at_ + 2 <= line_.size()) {
        const int high = base::HexDigit(line_[at_]);
        const int low = base::HexDigit(line_[at_ + 1]);
        if (high >= 0 && low >= 0) {
          word += static_cast<char>(high * 16 + low);
          at_ += 2;
          continue;
        }
      }
      constexpr std::string_view kLetters = "nrtba";
      constexpr std::string_view kMeans = "\n\r\t\b\a";
      const size_t letter = kLetters.find(escaped);
      word += letter == std::string_view::npos ? escaped : kMeans[letter];
    }
    return false;
  }
  bool SingleQuoted(std::string& word) {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '\'') return true;
      if (c == '\\' && at_ < line_.size() && line_[at_] == '\'') {
        word += '\'';
        ++at_;
        continue;
      }
      word += c;
    }
    return false;
  }

  std::string_view line_;
  size_t at_ = 0;
};

}  // namespace

void RespParser::Next() {
  expect_ = Expect::kFirstByte;
  begun_ = false;
  at_ = searched_ = remaining_ = bulk_bytes_ = 0;
  places_.clear();
}

void RespParser::GiveBack() {
  words_ = {};
  arguments_.clear();
  if (arguments_.capacity() > kPlacesKept) arguments_.shrink_to_fit();
  if (places_.capacity() <= kPlacesKept) return;
  places_.clear();
  places_.shrink_to_fit();
}

size_t RespParser::kept_bytes() const {
  return places_.capacity() * sizeof(decltype(places_)::value_type) +
         arguments_.capacity() * sizeof(decltype(arguments_)::value_type);
}

RespParser::Outcome RespParser::Fail(std::string why) {
  failure_ = "Protocol error: " + std::move(why);
  return Outcome::kFailed;
}

bool RespParser::Line(std::string_view input, std::string_view& line) {
  const size_t end = input.find('\n', std::max(at_, searched_));
  if (end == std::string_view::npos) {
    searched_ = input.size();
    return false;
  }
  line = input.substr(at_, end - at_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  at_ = end + 1;
  return true;
}

RespParser::Outcome RespParser::Parse(std::string_view input) {
  if (input.empty()) return Outcome::kIncomplete;
  begun_ = true;
  if (expect_ != Expect::kFirstByte) return ParseBulks(input);
  return input[0] == '*' ? ParseArrayHead(input) : ParseLine(input);
}

RespParser::Outcome RespParser::ParseLine(std::string_view input) {
  std::string_view line;
  if (!Line(input, line)) {
    if (input.size() <= limits_.line_bytes_max) return Outcome::kIncomplete;
    return Fail("too big inline request");
  }
  if (at_ - 1 > limits_.line_bytes_max) return Fail("too big inline request");
  auto words = LineWords(line).Split();
  if (!words) return Fail("unbalanced quotes in request");
  if (words->size() > limits_.arguments_max) return Fail("too many words in a line");
  words_ = std::move(*words);
  arguments_.assign(words_.begin(), words_.end());
  return Outcome::kCommand;
}

RespParser::Outcome RespParser::ParseArrayHead(std::string_view input) {
  std::string_view line;
  if (!Line(input, line)) {
    if (input.size() <= kNumberLineMax) return Outcome::kIncomplete;
    return Fail("too big mbulk count string");
  }
  if (at_ - 1 > kNumberLineMax) return Fail("too big mbulk count string");
  const auto count = Number(line.substr(1));
  if (!count || *count > static_cast<int64_t>(limits_.arguments_max))
    return Fail("invalid multibulk length");
  remaining_ = *count > 0 ? static_cast<size_t>(*count) : 0;
  expect_ = Expect::kBulkHead;
  return ParseBulks(input);
}

// Nearly every bulk string: less than 10,000 bytes, and there as a whole.
bool RespParser::ShortBulk(std::string_view input) {
  constexpr size_t kDigitsMax = 4;
  size_t at = at_;
  if (at == input.size() || input[at] != '$') return false;
  size_t size = 0;
  const size_t digits_end = std::min(input.size(), ++at + kDigitsMax);
  const size_t digits = at;
  for (; at < digits_end && input[at] >= '0' && input[at] <= '9'; ++at)
    size = size * 10 + static_cast<size_t>(input[at] - '0');
  const size_t begin = at + 2;
  const size_t end = begin + size;
  if (at == digits || input.size() < end + 2 || input[at] != '\r' || input[at + 1] != '\n' ||
      input[end] != '\r' || input[end + 1] != '\n' || size > limits_.argument_bytes_max ||
      end > limits_.command_bytes_max)
    return false;
  places_.emplace_back(begin, size);
  at_ = end + 2;
  --remaining_;
  return true;
}

RespParser::Outcome RespParser::ParseBulks(std::string_view input) {
  while (remaining_ > 0) {
    if (expect_ == Expect::kBulkHead) {
      if (ShortBulk(input)) continue;
      if (at_ == input.size()) return Outcome::kIncomplete;
      if (input[at_] != '$')
        return Fail(fmt::format("expected '$', got '{}'",
                                input[at_] >= ' ' && input[at_] < 127 ? input[at_] : '?'));
      const size_t begin = at_;
      std::string_view line;
      if (!Line(input, line)) {
        if (input.size() - begin <= kNumberLineMax) return Outcome::kIncomplete;
        return Fail("too big bulk count string");
      }
      if (at_ - 1 - begin > kNumberLineMax) return Fail("too big bulk count string");
      const auto size = Number(line.substr(1));
      if (!size || *size < 0 || *size > static_cast<int64_t>(limits_.argument_bytes_max))
        return Fail("invalid bulk length");
      bulk_bytes_ = static_cast<size_t>(*size);
      if (at_ + bulk_bytes_ > limits_.command_bytes_max) return Fail("the command is too long");
      expect_ = Expect::kBulkBody;
    }
    if (input.size() - at_ < bulk_bytes_ + 2) return Outcome::kIncomplete;
    if (input[at_ + bulk_bytes_] != '\r' || input[at_ + bulk_bytes_ + 1] != '\n')
      return Fail("a bulk string is longer than it says");
    places_.emplace_back(at_, bulk_bytes_);
    at_ += bulk_bytes_ + 2;
    --remaining_;
    expect_ = Expect::kBulkHead;
  }
  return Whole(input);
}

RespParser::Outcome RespParser::Whole(std::string_view input) {
  arguments_.clear();
  for (const auto& [begin, size] : places_) arguments_.push_back(input.substr(begin, size));
  return Outcome::kCommand;
}

}  // namespace headrace::protocols

#include "protocols/chunk_decoder.h"

#include <algorithm>
#include <charconv>

#include "protocols/head_lines.h"
#include "protocols/head_rules.h"

namespace headrace::protocols {
namespace {

constexpr size_t kSizeDigitsMax = 15;

size_t TokenLength(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsTokenCharacter) -
                             text.begin());
}

// Length of a quoted string with both quotes, 0 when it is none. Control characters were refused
// with the line.
size_t QuotedLength(std::string_view text) {
  if (!text.starts_with('"')) return 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return 0;
}

// *( ";" name [ "=" ( token / quoted-string ) ] )
bool AreExtensions(std::string_view text) {
  while (!text.empty()) {
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    const size_t name = TokenLength(text);
    if (name == 0) return false;
    text.remove_prefix(name);
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    const size_t value = std::max(TokenLength(text), QuotedLength(text));
    if (value == 0) return false;
    text.remove_prefix(value);
  }
  return true;
}

}  // namespace

size_t ChunkDecoder::Feed(std::string_view bytes, const Sink& sink) {
  size_t used = 0;
  while (used < bytes.size() && !ended()) {
    const std::string_view rest = bytes.substr(used);
    used += state_ == State::kData ? FeedData(rest, sink) : FeedLine(rest);
  }
  return used;
}

size_t ChunkDecoder::FeedData(std::string_view bytes, const Sink& sink) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  left_ -= size;
  if (left_ == 0) state_ = State::kDataEnd;
  if (!sink(bytes.substr(0, size))) state_ = State::kTooLarge;
  return size;
}

size_t ChunkDecoder::FeedLine(std::string_view bytes) {
  const size_t feed = bytes.find('\n');
  const size_t size = feed == std::string_view::npos ? bytes.size() : feed + 1;
  line_.append(bytes.substr(0, std::min(size, limits_.line_bytes_max + 1)));
  const size_t carriage = line_.find('\r');
  const bool bare_carriage =
      carriage != std::string::npos && carriage + 1 < line_.size() && line_[carriage + 1] != '\n';
  if (line_.size() > limits_.line_bytes_max || bare_carriage) {
    state_ = State::kMalformed;
  } else if (feed != std::string_view::npos) {
    LineDone();
    line_.clear();
  }
  return size;
}

void ChunkDecoder::LineDone() {
  if (!line_.ends_with("\r\n")) {
    state_ = State::kMalformed;
    return;
  }
  trailer_ += line_.size();
  line_.resize(line_.size() - 2);
  switch (state_) {
    case State::kSize: return SizeLine();
    case State::kDataEnd: state_ = line_.empty() ? State::kSize : State::kMalformed; return;
    default: return TrailerLine();
  }
}

void ChunkDecoder::SizeLine() {
  const auto hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  const auto end = std::find_if_not(line_.begin(), line_.end(), hex);
  const size_t digits = static_cast<size_t>(end - line_.begin());
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  state_ = State::kMalformed;
  if (digits == 0 || std::any_of(end, line_.end(), control) ||
      !AreExtensions(std::string_view(line_).substr(digits)))
    return;
  if (digits > kSizeDigitsMax) {
    state_ = State::kTooLarge;
    return;
  }
  std::from_chars(line_.data(), line_.data() + digits, left_, 16);
  body_ += left_;
  trailer_ = 0;
  state_ = left_ == 0 ? State::kTrailer : State::kData;
  if (body_ > limits_.body_bytes_max) state_ = State::kTooLarge;
}

void ChunkDecoder::TrailerLine() {
  if (line_.empty()) {
    state_ = State::kDone;
    return;
  }
  const std::string_view name = std::string_view(line_).substr(0, line_.find(':'));
  const bool frames = EqualsIgnoringCase(name, "content-length") ||
                      EqualsIgnoringCase(name, "transfer-encoding") ||
                      EqualsIgnoringCase(name, "host");
  if (CheckFieldLine(line_) || frames || trailer_ > limits_.trailer_bytes_max)
    state_ = State::kMalformed;
}

}  // namespace headrace::protocols

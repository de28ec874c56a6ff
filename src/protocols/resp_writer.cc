#include "protocols/resp_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace headrace::protocols {

void RespWriter::Head(char type, uint64_t number) {
  std::array<char, 24> text{};
  text[0] = type;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size(), number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text.data(), static_cast<size_t>(end - text.data()));
}

void RespWriter::Simple(std::string_view text) { out_.append("+").append(text).append("\r\n"); }

void RespWriter::Error(std::string_view code, std::string_view text) {
  out_.append("-").append(code).append(" ");
  for (const char c : text) out_ += c == '\r' || c == '\n' ? ' ' : c;
  out_.append("\r\n");
}

void RespWriter::Integer(int64_t value) {
  std::array<char, 24> text{};
  const char* end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out_.append(":").append(text.data(), static_cast<size_t>(end - text.data())).append("\r\n");
}

// Nearly each value of an answer is a short one: it is written in one piece.
void RespWriter::Bulk(std::string_view bytes) {
  constexpr size_t kTwoDigits = 100;
  if (bytes.size() >= kTwoDigits) {
    Head('$', bytes.size());
    out_.append(bytes).append("\r\n");
    return;
  }
  constexpr size_t kFrameBytes = sizeof("$nn\r\n\r\n") - 1;
  const size_t before = out_.size();
  out_.resize_and_overwrite(before + kFrameBytes + bytes.size(), [&](char* text, size_t) {
    char* at = text + before;
    *at++ = '$';
    if (bytes.size() >= 10) *at++ = static_cast<char>('0' + bytes.size() / 10);
    *at++ = static_cast<char>('0' + bytes.size() % 10);
    *at++ = '\r';
    *at++ = '\n';
    at = std::ranges::copy(bytes, at).out;
    *at++ = '\r';
    *at++ = '\n';
    return static_cast<size_t>(at - text);
  });
}

void RespWriter::Null() { out_.append(version_ == RespVersion::k3 ? "_\r\n" : "$-1\r\n"); }

void RespWriter::Double(double value) {
  std::array<char, 32> digits{};
  std::string_view text = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (std::isfinite(value)) {
    const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    text = std::string_view(digits.data(), static_cast<size_t>(end - digits.data()));
  }
  if (version_ == RespVersion::k2) return Bulk(text);
  out_.append(",").append(text).append("\r\n");
}

void RespWriter::Boolean(bool value) {
  if (version_ == RespVersion::k2) return Integer(value ? 1 : 0);
  out_.append(value ? "#t\r\n" : "#f\r\n");
}

void RespWriter::Array(size_t length) { Head('*', length); }

void RespWriter::Map(size_t pairs) {
  version_ == RespVersion::k3 ? Head('%', pairs) : Head('*', 2 * pairs);
}

}  // namespace headrace::protocols

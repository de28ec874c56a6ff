#include "hostile/answers.h"

#include <charconv>

#include "protocols/http_parser.h"

namespace headrace::hostile {
namespace {

constexpr uint64_t kBodyMax = 64ULL << 20;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";  // no answer yet

std::optional<std::vector<std::string>> HttpAnswers(std::string_view bytes) {
  std::vector<std::string> answers;
  while (!bytes.empty()) {
    if (bytes.starts_with(kContinue)) {
      bytes.remove_prefix(kContinue.size());
      continue;
    }
    protocols::HttpResponseParser parser(kBodyMax);
    const auto used = parser.Feed({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    if (!used || !parser.complete()) return std::nullopt;
    const protocols::HttpResponse response = parser.Take();
    answers.push_back(std::to_string(response.status) + " " + response.body);
    bytes.remove_prefix(*used);
  }
  return answers;
}

// The size of the reply at the front; 0 when it is not whole, or none.
size_t ReplySize(std::string_view bytes, int depth = 0) {
  constexpr int kDepthMax = 16;
  const size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos || end == 0 || depth > kDepthMax) return 0;
  const char type = bytes[0];
  if (std::string_view("+-:,_#(").find(type) != std::string_view::npos) return end + 2;
  int64_t count = 0;
  const auto [last, error] = std::from_chars(bytes.data() + 1, bytes.data() + end, count);
  if (error != std::errc() || last != bytes.data() + end) return 0;
  if (count < 0) return end + 2;
  size_t at = end + 2;
  if (type == '$' || type == '=') {
    at += static_cast<size_t>(count) + 2;
    return at <= bytes.size() && bytes.substr(at - 2, 2) == "\r\n" ? at : 0;
  }
  if (type != '*' && type != '%' && type != '~' && type != '>') return 0;
  for (int64_t i = 0; i < (type == '%' ? 2 * count : count); ++i) {
    const size_t element = ReplySize(bytes.substr(at), depth + 1);
    if (element == 0) return 0;
    at += element;
  }
  return at;
}

}  // namespace

std::optional<std::vector<std::string>> ReadAnswers(Protocol protocol, std::string_view bytes) {
  if (protocol == Protocol::kHttp) return HttpAnswers(bytes);
  std::vector<std::string> answers;
  while (!bytes.empty()) {
    const size_t size = ReplySize(bytes);
    if (size == 0) return std::nullopt;
    answers.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return answers;
}

}  // namespace headrace::hostile

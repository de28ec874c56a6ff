#pragma once
// A message head, read by Boost.Beast's grammar in one go, once all of it is there.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/http_message.h"

namespace headrace::protocols {

// How the body is delimited.
enum class Framing : uint8_t { kNone, kLength, kChunked, kToTheEnd };

struct RequestHead {
  std::optional<HttpMethod> method;  // nothing: a method that this server does not know
  std::string target;
  int version = 0;                // 10 or 11
  std::vector<HttpField> fields;  // names in lower case
  Framing framing = Framing::kNone;
  uint64_t length = 0;  // kLength
  bool keep_alive = true;
};

struct ResponseHead {
  int status = 0;
  std::vector<HttpField> fields;
  Framing framing = Framing::kNone;
  uint64_t length = 0;
  bool keep_alive = true;
};

// `head` ends with its empty line. The error is what Beast says of it.
std::expected<RequestHead, std::string> ReadRequestHead(std::string_view head);
std::expected<ResponseHead, std::string> ReadResponseHead(std::string_view head);

}  // namespace headrace::protocols

#pragma once
// The files of hostile requests: bytes, and the answer that they must get. tests/hostile/README.md
// has the format.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::hostile {

// How a connection stands when everything was sent and answered.
enum class Ending : uint8_t {
  kClosed,   // by the engine, and nothing sent after it is answered
  kOpen,     // the next request on it is answered as if nothing had been
  kWaiting,  // for more of the request
};

struct HostileRequest {
  std::string name;  // "a body's length: -1"
  size_t line = 0;   // where it begins
  std::string bytes;
  std::chrono::milliseconds wait{0};  // after the bytes
  // A status and, behind a blank, a part of the body; or, of RESP, the answer's first bytes.
  std::vector<std::string> answers;
  Ending ending = Ending::kClosed;
};

// Every `each` makes a request for each of its values. Errors: kInvalidInput with the line.
base::Result<std::vector<HostileRequest>> ReadRequests(std::string_view text);

}  // namespace headrace::hostile

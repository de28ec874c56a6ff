#pragma once
// Bytes to requests and responses, strictly, without a socket: the grammar is Boost.Beast's, and
// everything lenient in it that lets two readers of one stream disagree (folded lines, bare line
// feeds, blanks before colons, doubtful lengths) is refused first.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/memory_budget.h"
#include "base/result.h"
#include "protocols/head_rules.h"
#include "protocols/http_message.h"

namespace headrace::protocols {

struct HttpLimits {
  size_t header_bytes_max = 8U << 10;      // of the whole head; beyond it 431
  size_t header_fields_max = 100;          // beyond it 431
  size_t target_bytes_max = 4U << 10;      // beyond it 414
  uint64_t body_bytes_max = 100ULL << 20;  // declared or received; beyond it 413
  size_t chunk_line_bytes_max = 1U << 10;  // a chunk's size line with its extensions; beyond it 400
};

struct RequestHead;
// Looks at a head that is right before anything of its body is kept.
using HeadCheck = std::function<std::optional<HeadRefusal>(const RequestHead&)>;
// How many bytes a body may have by the request's method and path, whatever the limits say;
// `declared` by its head, or all there are.
using BodyLimit =
    std::function<uint64_t(HttpMethod method, std::string_view path, uint64_t declared)>;

// One connection's requests. Not thread-safe.
class HttpRequestParser {
 public:
  enum class State : uint8_t {
    kIdle,      // between requests: nothing of the next one has come
    kHead,      // in a request's head
    kBody,      // head is whole; the body is coming
    kComplete,  // Take() gives the request
    kFailed,    // failure() and failure_status() say why; nothing more is read
  };

  HttpRequestParser(const HttpLimits& limits, base::MemoryBudget& budget, HeadCheck check = {},
                    BodyLimit body_limit = {});
  ~HttpRequestParser();

  // Uses bytes up to the end of one request; returns how many. Call Take() when complete, before
  // the next Feed().
  size_t Feed(std::span<const uint8_t> bytes);
  State state() const;
  // True once after a head with Expect: 100-continue whose body is welcome.
  bool TakeContinue();
  // Whether the connection stays open after this request (HTTP/1.1 unless it says close; 1.0 only
  // with keep-alive). Valid when complete.
  bool keep_alive() const;
  HttpRequest Take();

  // Whether the request that failed, or is being read, is a HEAD: its answer has no body. False
  // while its head is not whole.
  bool asks_for_head() const;
  const base::Error& failure() const;
  int failure_status() const;  // 400, 401, 403, 408, 413, 414, 417, 421, 431, 501, 503, 505

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One connection's responses, for clients. Not thread-safe.
class HttpResponseParser {
 public:
  explicit HttpResponseParser(uint64_t body_bytes_max);
  ~HttpResponseParser();
  // Uses bytes up to the end of one response (interim 1xx ones are passed over); returns how many.
  // Errors: kUnavailable (what came is no HTTP), kResourceExhausted (body over the limit).
  base::Result<size_t> Feed(std::span<const uint8_t> bytes);
  // The server closed: ends a body that has no length. Errors: kUnavailable when the response is
  // cut off.
  base::Result<void> EndOfInput();
  bool complete() const;
  bool keep_alive() const;
  HttpResponse Take();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Head and body of a response. `date` is the value of the Date field; kClose adds Connection:
// close. For HEAD the length is that of the body, and the body is left out. AppendHead is for
// whoever sends the body from where it is.
enum class BodyPart : uint8_t { kSend, kLeaveOut };
enum class AfterResponse : uint8_t { kKeepAlive, kClose };
void AppendHead(const HttpResponse& response, std::string_view date, AfterResponse after,
                std::string& out);
void AppendResponse(const HttpResponse& response, std::string_view date, BodyPart body,
                    AfterResponse after, std::string& out);

// "Mon, 01 Jan 2001 00:00:00 GMT" of a time in microseconds since 1970.
std::string HttpDate(int64_t unix_us);

}  // namespace headrace::protocols

#pragma once
// An HTTP request and its response as values, and the promise of one for the other.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/access_list.h"
#include "base/memory_budget.h"

namespace headrace::protocols {

enum class HttpMethod : uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kPatch };
std::string_view NameOf(HttpMethod method);

// A field of a message head. Names of requests are in lower case.
struct HttpField {
  std::string name;
  std::string value;
};

// A whole request, body included, already checked against the limits (http_parser.h). Movable.
struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string path;  // percent-decoded, without the query: "/streams/a/events"
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::vector<std::pair<std::string, std::string>>
      parameters;  // of the route's pattern: {"stream", "a"}
  std::vector<HttpField> fields;
  std::string body;           // its capacity is at least 64 bytes over its size, as simdjson wants
  base::MemoryCharge charge;  // the body's bytes in the one budget; ends with the request
  access::CallerRef caller;   // null: access is not controlled, everybody may do everything

  // Views into the request. Nothing when it is absent; the first when there are several. `name` in
  // lower case.
  std::optional<std::string_view> Field(std::string_view name) const;
  std::optional<std::string_view> Query(std::string_view name) const;
  // Of the route's pattern; it must be in the pattern (an invariant).
  std::string_view Parameter(std::string_view name) const;
};

// Content-Length, Date and Connection are written by the connection.
struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no such field
  std::string body;
  std::vector<HttpField> fields;

  static HttpResponse Json(std::string body, int status = 200);
  static HttpResponse Text(std::string body, int status = 200);
};

// "Not Found"; "Unnamed" for a status that this server does not send.
std::string_view ReasonPhrase(int status);

// The promise of one response. Move-only; Send exactly once, from any thread, now or later: it
// finds its own way to the connection, in the order of the requests. Destroyed unsent it answers
// 500, so no client waits for ever.
class HttpReply {
 public:
  using Sink = std::move_only_function<void(HttpResponse)>;
  explicit HttpReply(Sink sink) : sink_(std::move(sink)) {}
  HttpReply(HttpReply&& other) noexcept : sink_(std::exchange(other.sink_, Sink())) {}
  HttpReply& operator=(HttpReply&&) = delete;
  ~HttpReply();
  void Send(HttpResponse response);
  bool sent() const { return !sink_; }

 private:
  Sink sink_;
};

// Runs on an I/O thread: it must not block. It may keep the reply and answer later.
using HttpHandler = std::function<void(HttpRequest, HttpReply)>;

}  // namespace headrace::protocols

#include "protocols/http_message.h"

#include <array>

#include "base/result.h"
#include "protocols/problem.h"

namespace headrace::protocols {
namespace {

struct Phrase {
  int status;
  std::string_view reason;
};
constexpr std::array kPhrases = {
    Phrase{100, "Continue"},
    Phrase{200, "OK"},
    Phrase{202, "Accepted"},
    Phrase{204, "No Content"},
    Phrase{304, "Not Modified"},
    Phrase{400, "Bad Request"},
    Phrase{401, "Unauthorized"},
    Phrase{403, "Forbidden"},
    Phrase{404, "Not Found"},
    Phrase{405, "Method Not Allowed"},
    Phrase{408, "Request Timeout"},
    Phrase{409, "Conflict"},
    Phrase{412, "Precondition Failed"},
    Phrase{413, "Content Too Large"},
    Phrase{414, "URI Too Long"},
    Phrase{415, "Unsupported Media Type"},
    Phrase{417, "Expectation Failed"},
    Phrase{421, "Misdirected Request"},
    Phrase{422, "Unprocessable Content"},
    Phrase{429, "Too Many Requests"},
    Phrase{431, "Request Header Fields Too Large"},
    Phrase{500, "Internal Server Error"},
    Phrase{501, "Not Implemented"},
    Phrase{503, "Service Unavailable"},
    Phrase{504, "Gateway Timeout"},
    Phrase{505, "HTTP Version Not Supported"},
    Phrase{507, "Insufficient Storage"},
};
constexpr std::array<std::string_view, 7> kMethods = {"GET",    "HEAD",    "POST", "PUT",
                                                      "DELETE", "OPTIONS", "PATCH"};

std::optional<std::string_view> FirstOf(
    const std::vector<std::pair<std::string, std::string>>& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return value;
  return std::nullopt;
}

}  // namespace

std::string_view NameOf(HttpMethod method) { return kMethods[static_cast<size_t>(method)]; }

std::string_view ReasonPhrase(int status) {
  for (const Phrase& phrase : kPhrases)
    if (phrase.status == status) return phrase.reason;
  return "Unnamed";
}

std::optional<std::string_view> HttpRequest::Field(std::string_view name) const {
  for (const HttpField& field : fields)
    if (field.name == name) return field.value;
  return std::nullopt;
}

std::optional<std::string_view> HttpRequest::Query(std::string_view name) const {
  return FirstOf(query, name);
}

std::string_view HttpRequest::Parameter(std::string_view name) const {
  const auto found = FirstOf(parameters, name);
  HR_CHECK(found.has_value(), "a handler asked for a parameter that its route does not have");
  return *found;
}

HttpResponse HttpResponse::Json(std::string body, int status) {
  return {status, "application/json", std::move(body), {}};
}

HttpResponse HttpResponse::Text(std::string body, int status) {
  return {status, "text/plain; charset=utf-8", std::move(body), {}};
}

HttpReply::~HttpReply() {
  if (!sink_) return;
  Send(ProblemResponse(
      base::Error(base::ErrorCode::kInternal, "the request was dropped without an answer")));
}

void HttpReply::Send(HttpResponse response) {
  HR_CHECK(!sent(), "a request is answered once");
  Sink sink = std::exchange(sink_, Sink());
  sink(std::move(response));
}

}  // namespace headrace::protocols

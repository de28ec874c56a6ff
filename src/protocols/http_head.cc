#include "protocols/http_head.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace headrace::protocols {
namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using boost::system::error_code;

std::string_view View(string_view text) { return {text.data(), text.size()}; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return lower;
}

std::optional<HttpMethod> MethodOf(http::verb verb) {
  switch (verb) {
    case http::verb::get: return HttpMethod::kGet;
    case http::verb::head: return HttpMethod::kHead;
    case http::verb::post: return HttpMethod::kPost;
    case http::verb::put: return HttpMethod::kPut;
    case http::verb::delete_: return HttpMethod::kDelete;
    case http::verb::options: return HttpMethod::kOptions;
    case http::verb::patch: return HttpMethod::kPatch;
    default: return std::nullopt;
  }
}

// Keeps what Beast reports; bodies never reach it.
template <bool kRequest, typename Head>
class Grammar final : public http::basic_parser<kRequest> {
 public:
  Grammar() {
    this->eager(false);
    this->body_limit(boost::none);
    this->header_limit(UINT32_MAX);
  }
  Head head;

 private:
  void on_request_impl(http::verb verb, string_view, string_view target, int version,
                       error_code&) override {
    if constexpr (kRequest) {
      head.method = MethodOf(verb);
      head.target = View(target);
      head.version = version;
    }
  }
  void on_response_impl(int status, string_view, int, error_code&) override {
    if constexpr (!kRequest) head.status = status;
  }
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    head.fields.push_back({Lower(View(name)), std::string(View(value))});
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}
};

template <bool kRequest, typename Head>
std::expected<Head, std::string> Read(std::string_view bytes) {
  Grammar<kRequest, Head> grammar;
  error_code error;
  grammar.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error) return std::unexpected(error.message());
  if (!grammar.is_header_done()) return std::unexpected("a head that ends early");
  Head& head = grammar.head;
  head.keep_alive = grammar.keep_alive();
  head.length = grammar.content_length().value_or(0);
  if (grammar.chunked())
    head.framing = Framing::kChunked;
  else if (head.length > 0)
    head.framing = Framing::kLength;
  else if (!grammar.is_done())
    head.framing = Framing::kToTheEnd;
  return std::move(head);
}

}  // namespace

std::expected<RequestHead, std::string> ReadRequestHead(std::string_view head) {
  return Read<true, RequestHead>(head);
}
std::expected<ResponseHead, std::string> ReadResponseHead(std::string_view head) {
  return Read<false, ResponseHead>(head);
}

}  // namespace headrace::protocols

#include "protocols/http_client.h"

#include <array>

#include "protocols/tls_client_stream.h"

namespace headrace::protocols {

HttpClient::HttpClient(env::Network& network, std::string host, uint16_t port,
                       HttpClientOptions options)
    : network_(network), host_(std::move(host)), port_(port), options_(std::move(options)) {}

base::Result<HttpResponse> HttpClient::Send(HttpMethod method, std::string_view target,
                                            std::string_view body,
                                            const std::vector<HttpField>& fields) {
  std::string request(NameOf(method));
  request.append(" ").append(target).append(" HTTP/1.1\r\nHost: ");
  request.append(host_).append(":").append(std::to_string(port_)).append("\r\n");
  if (!options_.token.empty())
    request.append("Authorization: Bearer ").append(options_.token).append("\r\n");
  for (const HttpField& field : fields)
    request.append(field.name).append(": ").append(field.value).append("\r\n");
  if (method == HttpMethod::kPost || !body.empty())
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  request.append("\r\n").append(body);
  auto response = Exchange(request);
  if (!response) stream_.reset();
  return response;
}

base::Result<HttpResponse> HttpClient::Exchange(std::string_view request) {
  if (!stream_) {
    HR_TRY(auto stream, network_.Connect(host_, port_, options_.connect_timeout));
    if (options_.tls != nullptr) {
      HR_TRY(stream, SpeakTls(std::move(stream), options_.tls, host_, options_.connect_timeout));
    }
    stream_ = std::move(stream);
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(request.data());
  const auto written = stream_->Write({bytes, request.size()}, options_.answer_timeout);
  // A server that refuses a request half-way has answered already: look before giving up.
  auto response = ReadResponse();
  if (!response && !written) return base::Fail(written.error());
  return response;
}

base::Result<HttpResponse> HttpClient::ReadResponse() {
  HttpResponseParser parser(options_.body_bytes_max);
  std::array<uint8_t, 16384> buffer;
  while (!parser.complete()) {
    HR_TRY(const size_t count, stream_->Read(buffer, options_.answer_timeout));
    if (count == 0) {
      HR_TRY_VOID(parser.EndOfInput());
    } else {
      HR_TRY_VOID(parser.Feed(std::span(buffer).first(count)));
    }
  }
  if (!parser.keep_alive()) stream_.reset();
  return parser.Take();
}

}  // namespace headrace::protocols

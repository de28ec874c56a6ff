#pragma once
// A blocking HTTP client on one kept-alive connection: for the command line, tests and
// measurements.

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "env/network.h"
#include "protocols/http_message.h"
#include "protocols/http_parser.h"
#include "protocols/tls_channel.h"

namespace headrace::protocols {

struct HttpClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds answer_timeout{60'000};
  uint64_t body_bytes_max = 256ULL << 20;
  std::string token;            // shown with each request; empty: none
  TlsContextRef tls = nullptr;  // null: none is spoken
};

// One thread at a time. Connects at the first request, and anew after the connection broke; a
// request is never repeated by itself (repeating is the caller's, who knows whether it is safe).
class HttpClient {
 public:
  HttpClient(env::Network& network, std::string host, uint16_t port,
             HttpClientOptions options = {});

  // `target` is sent as it is ("/status?x=1"). Any status is a response. Errors: kUnavailable
  // (nobody listens, broken, no HTTP), kDeadlineExceeded.
  base::Result<HttpResponse> Send(HttpMethod method, std::string_view target,
                                  std::string_view body = {},
                                  const std::vector<HttpField>& fields = {});
  base::Result<HttpResponse> Get(std::string_view target) { return Send(HttpMethod::kGet, target); }
  base::Result<HttpResponse> Post(std::string_view target, std::string_view json) {
    return Send(HttpMethod::kPost, target, json, {{"Content-Type", "application/json"}});
  }

 private:
  base::Result<HttpResponse> Exchange(std::string_view request);
  base::Result<HttpResponse> ReadResponse();

  env::Network& network_;
  std::string host_;
  uint16_t port_;
  HttpClientOptions options_;
  std::unique_ptr<env::ClientStream> stream_;
};

}  // namespace headrace::protocols

// The body and the query of a lookup.

#include "fuzz/target.h"
#include "protocols/http_message.h"
#include "serving/http/feast_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace headrace;
  protocols::HttpRequest request;
  // What is behind the last line feed is a time of the query, so that both are reached.
  std::string text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.rfind('\n');
  if (line != std::string::npos) {
    request.query.emplace_back("as_of", text.substr(line + 1));
    text.resize(line);
  }
  request.body = std::move(text);
  request.body.reserve(request.body.size() + 64);
  const auto parsed = serving::ParseFeastRequest(request, serving::StatusMode::kStrict);
  if (parsed) fuzz::Promise(parsed->query.inputs.size() <= 1024, "entities within their limit");
  return 0;
}

#pragma once
// Calls to a running engine over HTTP.

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/result.h"
#include "commands.h"
#include "env/environment.h"
#include "env/network.h"
#include "protocols/http_client.h"

namespace headrace::app {

// A kept-alive connection to one engine. One thread at a time.
class HttpCalls {
 public:
  // `answer_timeout`: an answer that takes longer is an error.
  explicit HttpCalls(const Address& address, std::chrono::milliseconds answer_timeout =
                                                 protocols::HttpClientOptions{}.answer_timeout);

  // The body of a 2xx answer. Every other answer is the error that its problem document names;
  // connection errors say which address was tried.
  base::Result<std::string> Get(std::string_view target);
  // The same with its fields.
  base::Result<protocols::HttpResponse> GetWhole(std::string_view target);
  base::Result<std::string> PostJson(std::string_view target, std::string_view json);
  // Any answer with status 200 or 422 and a JSON outcome is a body: rows may be refused and the
  // request be fine.
  base::Result<std::string> PostEvents(const std::string& stream, std::string_view lines,
                                       const std::string& producer, uint64_t sequence);

 private:
  // The answer to a request that was understood, whatever its status.
  base::Result<protocols::HttpResponse> Send(protocols::HttpMethod method, std::string_view target,
                                             std::string_view body,
                                             const std::vector<protocols::HttpField>& fields);
  base::Error NotReached(base::Error error) const;

  const Address address_;
  std::unique_ptr<env::Environment> environment_;
  std::unique_ptr<env::Network> network_;
  base::Result<protocols::TlsContextRef> tls_;
  protocols::HttpClient client_;
};

// For answers of before: the rows of a table may have to be read.
inline constexpr std::chrono::minutes kLookbackTimeout{10};

// A member of an answer for people: texts without quotes, but for those that would look like
// nothing or like NULL ("", "null", blanks at an end).
std::string TextOf(const nlohmann::ordered_json& value);
// An answer as it came with --json, else as `print` writes it. The exit code.
int WriteAnswer(CommandContext& context, const base::Result<std::string>& answer,
                const std::function<void(const nlohmann::ordered_json&)>& print);

// Percent-encodes what may not stand in a path segment or a query value.
std::string PercentEncode(std::string_view text);

}  // namespace headrace::app

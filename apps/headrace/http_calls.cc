#include "http_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_text.h"
#include "base/next_step.h"
#include "client_tls.h"

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;
using nlohmann::json;
using protocols::HttpMethod;
using protocols::HttpResponse;

namespace {

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// By the problem's title, which is the code's name; else by the status, which several codes may
// share.
ErrorCode CodeOf(const std::string& title, int status) {
  for (const base::ErrorCodeRow& row : base::ErrorCodes())
    if (row.name == title) return row.code;
  if (status == 404) return ErrorCode::kNotFound;
  if (status >= 400 && status < 500) return ErrorCode::kInvalidInput;
  return status == 503 ? ErrorCode::kUnavailable : ErrorCode::kInternal;
}

// The answers that follow Feast have errors of Feast's shapes: a string that holds {"message":..},
// or {"detail":[{"msg":..}]}.
std::string FeastMessage(const json& answer) {
  if (answer.is_string()) {
    const json inner = json::parse(answer.get<std::string>(), nullptr, /*allow_exceptions=*/false);
    return inner.is_object() ? TextAt(inner, "message") : answer.get<std::string>();
  }
  if (!answer.is_object()) return {};
  const auto detail = answer.find("detail");
  const bool listed = detail != answer.end() && detail->is_array() && !detail->empty() &&
                      detail->front().is_object();
  return listed ? TextAt(detail->front(), "msg") : std::string();
}

// Feast's sentence of an input that only the request knows, in our words.
std::optional<Error> MissingInput(const std::string& message) {
  constexpr std::string_view kBefore = "Required request data source features ['";
  if (!message.starts_with(kBefore)) return std::nullopt;
  const std::string rest = message.substr(kBefore.size());
  const std::string name = rest.substr(0, rest.find('\''));
  return Error(ErrorCode::kInvalidInput, fmt::format("missing request input `{}`", name))
      .With(base::kNextStep, fmt::format("give it a value: {}=VALUE", name));
}

Error ErrorOf(const HttpResponse& response) {
  const json problem = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (const std::string message = FeastMessage(problem); !message.empty())
    return MissingInput(message).value_or(Error(CodeOf("", response.status), message));
  if (response.body.starts_with("this port speaks TLS"))
    return Error(ErrorCode::kInvalidInput, "this port speaks TLS, and was spoken to without it")
        .With(base::kNextStep,
              "put https:// in front of the address; --tls-ca FILE where the CA is your own");
  if (!problem.is_object())
    return {CodeOf("", response.status), fmt::format("the server answered {}: {}", response.status,
                                                     response.body.substr(0, 200))};
  const std::string detail = TextAt(problem, "detail");
  Error error(CodeOf(TextAt(problem, "title"), response.status),
              detail.empty() ? fmt::format("the server answered {}", response.status) : detail);
  if (const auto context = problem.find("context");
      context != problem.end() && context->is_object()) {
    for (const auto& [name, value] : context->items())
      if (value.is_string()) error.With(name, value.get<std::string>());
  }
  return error;
}

}  // namespace

HttpCalls::HttpCalls(const Address& address, std::chrono::milliseconds answer_timeout)
    : address_(address),
      environment_(env::MakeRealEnvironment()),
      network_(env::MakeRealNetwork(environment_->clock())),
      tls_(ClientTls(address)),
      client_(*network_, address.host, address.port,
              {.answer_timeout = answer_timeout,
               .token = TokenOfEnvironment(),
               .tls = tls_ ? *tls_ : nullptr}) {}

base::Result<HttpResponse> HttpCalls::Send(HttpMethod method, std::string_view target,
                                           std::string_view body,
                                           const std::vector<protocols::HttpField>& fields) {
  if (!tls_) return Fail(tls_.error());
  auto response = client_.Send(method, target, body, fields);
  if (!response) return Fail(NotReached(std::move(response).error()));
  return response;
}

Error HttpCalls::NotReached(Error error) const {
  if (error.code() != ErrorCode::kUnavailable) return error;
  if (IsAboutTls(error))
    return std::move(error).With(
        base::kNextStep, "if the engine has no TLS, leave out https:// and the options for it");
  return Error(error.code(),
               fmt::format("no engine at {} for HTTP ({})", address_.ToString(), error.message()))
      .With(base::kNextStep, "start one with `headrace serve`, or give --http HOST:PORT");
}

base::Result<std::string> HttpCalls::Get(std::string_view target) {
  HR_TRY(HttpResponse response, GetWhole(target));
  return std::move(response.body);
}

base::Result<HttpResponse> HttpCalls::GetWhole(std::string_view target) {
  HR_TRY(HttpResponse response, Send(HttpMethod::kGet, target, {}, {}));
  if (response.status / 100 != 2) return Fail(ErrorOf(response));
  return response;
}

base::Result<std::string> HttpCalls::PostJson(std::string_view target, std::string_view text) {
  HR_TRY(HttpResponse response,
         Send(HttpMethod::kPost, target, text, {{"Content-Type", "application/json"}}));
  if (response.status / 100 != 2) return Fail(ErrorOf(response));
  return std::move(response.body);
}

base::Result<std::string> HttpCalls::PostEvents(const std::string& stream, std::string_view lines,
                                                const std::string& producer, uint64_t sequence) {
  HR_TRY(HttpResponse response,
         Send(HttpMethod::kPost, fmt::format("/streams/{}/events", PercentEncode(stream)), lines,
              {{"Content-Type", "application/x-ndjson"},
               {"Headrace-Producer", producer},
               {"Headrace-Sequence", std::to_string(sequence)}}));
  const bool outcome =
      response.status == 422 && response.body.find("\"accepted\"") != std::string::npos;
  if (response.status != 200 && !outcome) return Fail(ErrorOf(response));
  return std::move(response.body);
}

std::string TextOf(const nlohmann::ordered_json& value) {
  if (!value.is_string()) return base::JsonText(value);
  auto text = value.get<std::string>();
  const bool shows = !text.empty() && text != "null" && text.front() != ' ' && text.back() != ' ';
  return shows ? text : base::JsonText(value);
}

int WriteAnswer(CommandContext& context, const base::Result<std::string>& answer,
                const std::function<void(const nlohmann::ordered_json&)>& print) {
  if (!answer) return ReportError(context, answer.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", *answer);
    return 0;
  }
  try {
    print(nlohmann::ordered_json::parse(*answer));
  } catch (const nlohmann::ordered_json::exception& exception) {
    return ReportError(
        context,
        Error(ErrorCode::kInternal, fmt::format("the answer can't be read: {}", exception.what())));
  }
  return 0;
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace headrace::app

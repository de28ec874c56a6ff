#include "protocols/problem.h"

#include "columns/value.h"
#include "contract/diagnostic_codes.h"

namespace headrace::protocols {

std::string ProblemCode(base::ErrorCode code) { return contract::CodeText(code); }

HttpResponse ProblemResponse(const base::Error& error, std::optional<int> status) {
  const base::ErrorCodeRow& row = base::RowOf(error.code());
  const int sent_status = status.value_or(row.http_status);
  std::string code = ProblemCode(error.code());
  std::string context;
  for (const auto& [name, value] : error.context()) {
    if (name == "code") {
      code = value;
      continue;
    }
    context += context.empty() ? "" : ",";
    columns::AppendJsonString(context, name);
    context += ':';
    columns::AppendJsonString(context, value);
  }
  std::string body = "{\"type\":\"urn:headrace:error:" + std::string(row.name) + "\",\"title\":\"" +
                     std::string(row.name) + "\",\"status\":" + std::to_string(sent_status) +
                     ",\"detail\":";
  columns::AppendJsonString(body, error.message());
  body += ",\"code\":";
  columns::AppendJsonString(body, code);
  body += ",\"caller_should\":\"" + std::string(row.caller_should) + "\",\"context\":{" + context +
          "}}";

  HttpResponse response{sent_status, "application/problem+json", std::move(body), {}};
  if (sent_status == 401) response.fields.push_back({"WWW-Authenticate", "Bearer"});
  if (sent_status == 429 || sent_status == 503) response.fields.push_back({"Retry-After", "1"});
  return response;
}

}  // namespace headrace::protocols

// How errors and addresses look on the command line.

#include <fmt/core.h>

#include <charconv>

#include "base/next_step.h"
#include "columns/value.h"
#include "commands.h"
#include "contract/diagnostic_codes.h"

namespace headrace::app {
namespace {

using base::ErrorCode;

// The error's own next step, else that of its code.
std::string NextStep(const base::Error& error) {
  for (const auto& [name, value] : error.context())
    if (name == base::kNextStep) return value;
  if (error.code() == ErrorCode::kUnauthorized)
    return "put a token that may do it into the variable HEADRACE_TOKEN; `headrace token create` "
           "makes one";
  return std::string(base::RowOf(error.code()).caller_should);
}

std::string ErrorJson(const base::Error& error) {
  const base::ErrorCodeRow& row = base::RowOf(error.code());
  std::string out = fmt::format(R"({{"error":{{"code":"{}","name":"{}","message":)",
                                contract::CodeText(error.code()), row.name);
  columns::AppendJsonString(out, error.message());
  out += R"(,"caller_should":)";
  columns::AppendJsonString(out, NextStep(error));
  out += R"(,"context":{)";
  std::string_view between = "";
  for (const auto& [name, value] : error.context()) {
    if (name == base::kNextStep) continue;
    out += between;
    between = ",";
    columns::AppendJsonString(out, name);
    out += ':';
    columns::AppendJsonString(out, value);
  }
  return out + "}}}";
}

}  // namespace

int ReportError(const CommandContext& context, const base::Error& error) {
  const base::ErrorCodeRow& row = base::RowOf(error.code());
  const std::string code = contract::CodeText(error.code());
  fmt::print(context.err, "error[{}]: {}\n", code, error.message());
  for (const auto& [name, value] : error.context())
    if (name != base::kNextStep) fmt::print(context.err, "  {}: {}\n", name, value);
  fmt::print(context.err, "  next: {}        more: headrace explain {}\n", NextStep(error), code);
  if (context.json()) fmt::print(context.out, "{}\n", ErrorJson(error));
  std::fflush(context.out);
  return row.exit_code;
}

std::string Address::ToString() const { return fmt::format("{}:{}", host, port); }

base::Result<Address> ParseAddress(const std::string& given, Address address) {
  const auto refuse = [&] {
    return base::Fail(ErrorCode::kInvalidInput,
                      fmt::format("`{}` is no address: write HOST:PORT, such as 127.0.0.1:6566, "
                                  "with https:// or grpc+tls:// in front where TLS is spoken",
                                  given));
  };
  std::string text = given;
  if (const size_t end = text.find("://"); end != std::string::npos) {
    const std::string scheme = text.substr(0, end);
    address.tls = scheme == "https" || scheme == "grpc+tls";
    if (!address.tls && scheme != "http" && scheme != "grpc" && scheme != "grpc+tcp")
      return refuse();
    text.erase(0, end + 3);
    if (text.ends_with('/')) text.pop_back();
  }
  const size_t colon = text.rfind(':');
  const bool only_port =
      colon == std::string::npos && text.find_first_not_of("0123456789") == std::string::npos;
  const std::string host = only_port ? "" : text.substr(0, colon);
  const std::string port = only_port                    ? text
                           : colon == std::string::npos ? ""
                                                        : text.substr(colon + 1);
  if (!host.empty()) address.host = host;
  if (!port.empty() || colon != std::string::npos) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size()) return refuse();
  }
  if (text.empty()) return refuse();
  address.given = true;
  return address;
}

}  // namespace headrace::app

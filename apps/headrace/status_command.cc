// headrace status: what a running engine says of itself.

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "http_calls.h"
#include "status_text.h"

namespace headrace::app {

using nlohmann::ordered_json;

int RunStatus(const StatusOptions& options, CommandContext& context) {
  HttpCalls calls(options.http);
  const auto text = calls.Get("/status");
  if (!text) return ReportError(context, text.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", *text);
    return 0;
  }
  const ordered_json status = ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object())
    return ReportError(context,
                       base::Error(base::ErrorCode::kInternal, "the answer is no status document"));
  fmt::print(context.out, "{}", StatusText(status));
  return 0;
}

}  // namespace headrace::app

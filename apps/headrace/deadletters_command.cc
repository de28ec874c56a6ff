// headrace deadletters: the rows that were refused, with field, rule, reason and payload.

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "http_calls.h"

namespace headrace::app {
namespace {

using nlohmann::json;

void PrintLetter(const CommandContext& context, const json& letter) {
  const std::string field = letter.value("field", "");
  const json payload = letter.value("payload", json());
  fmt::print(context.out, "{} epoch {} row {}: {}{}: {}\n  {}\n", letter.value("stream", ""),
             letter.value("epoch", 0ULL), letter.value("row", 0ULL),
             field.empty() ? "" : field + " ", letter.value("rule", ""), letter.value("reason", ""),
             payload.is_string() ? payload.get<std::string>() : payload.dump());
}

}  // namespace

int RunDeadLetters(const DeadLettersOptions& options, CommandContext& context) {
  HttpCalls calls(options.http);
  std::string target = fmt::format("/deadletters?limit={}", options.limit);
  if (!options.stream.empty()) target += "&stream=" + PercentEncode(options.stream);
  const auto text = calls.Get(target);
  if (!text) return ReportError(context, text.error());
  if (context.json()) {
    fmt::print(context.out, "{}\n", *text);
    return 0;
  }
  const json letters = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!letters.is_array())
    return ReportError(
        context, base::Error(base::ErrorCode::kInternal, "the answer is no list of dead letters"));
  for (const json& letter : letters) PrintLetter(context, letter);
  const bool cut = letters.size() == options.limit;
  fmt::print(context.out, "{} refused row{}{}\n", letters.size(), letters.size() == 1 ? "" : "s",
             cut ? " shown; --limit shows more" : "");
  return 0;
}

}  // namespace headrace::app

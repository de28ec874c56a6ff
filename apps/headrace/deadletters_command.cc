// headrace deadletters: the rows that were refused, with field, rule, reason and payload.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "http_calls.h"

namespace headrace::app {
namespace {

using nlohmann::json;

constexpr uint64_t kAskedMax = 10'000;  // the engine answers no more at a time

void PrintLetter(const CommandContext& context, const json& letter) {
  const std::string field = letter.value("field", "");
  const json payload = letter.value("payload", json());
  fmt::print(context.out, "{} epoch {} row {}: {}{}: {}\n  {}\n", letter.value("stream", ""),
             letter.value("epoch", 0ULL), letter.value("row", 0ULL),
             field.empty() ? "" : field + " ", letter.value("rule", ""), letter.value("reason", ""),
             payload.is_string() ? payload.get<std::string>() : base::JsonText(payload));
}

}  // namespace

int RunDeadLetters(const DeadLettersOptions& options, CommandContext& context) {
  HttpCalls calls(options.http);
  // For people one more is asked for than is shown: it tells whether there are more.
  const uint64_t asked = context.json()
                             ? options.limit
                             : std::min(options.limit + 1, std::max(options.limit, kAskedMax));
  std::string target = fmt::format("/deadletters?limit={}", asked);
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
  const size_t shown = std::min<size_t>(letters.size(), options.limit);
  for (size_t i = 0; i < shown; ++i) PrintLetter(context, letters[i]);
  fmt::print(context.out, "{}{}\n", base::Counted(shown, "refused row"),
             letters.size() > shown ? " shown, the oldest; --limit shows more" : "");
  return 0;
}

}  // namespace headrace::app

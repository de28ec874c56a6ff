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

using json = nlohmann::ordered_json;

constexpr uint64_t kAskedMax = 10'000;  // the engine answers no more at a time

struct Page {
  json letters;
  std::string next;  // empty: nothing is left
};

enum class Which : uint8_t { kAll, kOpen };

base::Result<Page> Ask(HttpCalls& calls, const std::string& stream, const std::string& after,
                       uint64_t limit, Which which) {
  std::string target = fmt::format("/deadletters?limit={}", std::min(limit, kAskedMax));
  if (!stream.empty()) target += "&stream=" + PercentEncode(stream);
  if (!after.empty()) target += "&after=" + PercentEncode(after);
  if (which == Which::kOpen) target += "&open=true";
  HR_TRY(const protocols::HttpResponse answer, calls.GetWhole(target));
  Page page{.letters = json::parse(answer.body, nullptr, /*allow_exceptions=*/false), .next = {}};
  if (!page.letters.is_array())
    return base::Fail(base::ErrorCode::kInternal, "the answer is no list of dead letters");
  for (const protocols::HttpField& field : answer.fields)
    if (field.name == "headrace-next") page.next = field.value;
  return page;
}

bool IsMasked(const json& letter) { return letter.value("masked", false); }

void PrintLetter(const CommandContext& context, const json& letter) {
  const std::string field = letter.value("field", "");
  const json payload = letter.value("payload", json());
  fmt::print(context.out, "{} epoch {} row {}: {}{}: {}\n  {}{}\n", letter.value("stream", ""),
             letter.value("epoch", 0ULL), letter.value("row", 0ULL),
             field.empty() ? "" : field + " ", letter.value("rule", ""), letter.value("reason", ""),
             payload.is_string() ? payload.get<std::string>() : base::JsonText(payload),
             IsMasked(letter) ? "   (masked)" : "");
  if (letter.value("replayed", false))
    fmt::print(context.out, "  came in when it was sent again\n");
}

}  // namespace

int RunDeadLetters(const DeadLettersOptions& options, CommandContext& context) {
  HttpCalls calls(options.http);
  json all = json::array();  // one document: all of it or none
  uint64_t shown = 0;
  uint64_t masked = 0;
  std::string after = options.after;
  do {
    auto page = Ask(calls, options.stream, after, options.limit - shown,
                    options.open ? Which::kOpen : Which::kAll);
    if (!page) return ReportError(context, page.error());
    shown += page->letters.size();
    after = page->next;
    for (json& letter : page->letters) {
      if (IsMasked(letter)) ++masked;
      if (context.json()) {
        all.push_back(std::move(letter));
      } else {
        PrintLetter(context, letter);
      }
    }
  } while (shown < options.limit && !after.empty());
  const std::string more =
      after.empty()
          ? ""
          : fmt::format("more: headrace deadletters {}{}{}--after {}", options.stream,
                        options.stream.empty() ? "" : " ", options.open ? "--open " : "", after);
  const std::string hidden =
      masked == 0 ? ""
                  : fmt::format(
                        "{} of them masked, not to be sent again: a HEADRACE_TOKEN of scope "
                        "admin,restricted shows what came",
                        base::WithCommas(masked));
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(all));
    for (const std::string& note : {more, hidden})
      if (!note.empty()) fmt::print(context.err, "{}\n", note);
    return 0;
  }
  fmt::print(context.out, "{}{}\n", base::Counted(shown, "refused row"),
             more.empty() ? "" : fmt::format(" shown; {}", more));
  if (!hidden.empty()) fmt::print(context.out, "{}\n", hidden);
  return 0;
}

}  // namespace headrace::app

// headrace replay: refused rows once more, a part at a time.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "http_calls.h"
#include "progress.h"

namespace headrace::app {
namespace {

using json = nlohmann::ordered_json;

constexpr size_t kListedMax = 10;

// The parts added up.
struct Total {
  json report;  // of all; `listed` as far as the parts list it
  void Add(json part) {
    if (report.is_null()) {
      report = std::move(part);
      return;
    }
    for (const char* name : {"replayed", "kept", "replayed_before"})
      report[name] = report.value(name, 0ULL) + part.value(name, 0ULL);
    if (!part["epoch"].is_null()) report["epoch"] = part["epoch"];
    for (json& letter : part["listed"])
      if (report["listed"].size() < kListedMax) report["listed"].push_back(std::move(letter));
    report["next"] = part["next"];
  }
  uint64_t Count(const char* name) const {
    return report.is_null() ? 0 : report.value(name, uint64_t{0});
  }
  uint64_t tried() const { return Count("replayed") + Count("kept"); }
};

base::Result<json> AskPart(HttpCalls& calls, const ReplayOptions& options,
                           const std::string& after) {
  std::string target = "/deadletters/replay?stream=" + PercentEncode(options.stream);
  if (!options.rule.empty()) target += "&rule=" + PercentEncode(options.rule);
  if (!after.empty()) target += "&after=" + PercentEncode(after);
  if (options.dry_run) target += "&dry_run=true";
  HR_TRY(const std::string text, calls.PostJson(target, ""));
  json part = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!part.is_object() || !part.contains("listed") || !part.contains("next"))
    return base::Fail(base::ErrorCode::kInternal, "the answer is no report of a replay");
  return part;
}

void Print(CommandContext& context, const ReplayOptions& options, const Total& total) {
  const uint64_t kept = total.Count("kept");
  const uint64_t before = total.Count("replayed_before");
  const std::string in = base::Counted(total.Count("replayed"), "refused row");
  if (options.dry_run) {
    fmt::print(context.out, "{} of {} would come in, but for those that are late or ahead\n", in,
               options.stream);
  } else if (total.report["epoch"].is_null()) {
    fmt::print(context.out, "no refused row of {} came in\n", options.stream);
  } else {
    fmt::print(context.out, "{} of {} came in, known from epoch {} on\n", in, options.stream,
               total.Count("epoch"));
  }
  if (before > 0) fmt::print(context.out, "{} had come in before\n", base::Counted(before, "row"));
  if (kept == 0) return;
  fmt::print(context.out, "{} still refused:\n", base::Counted(kept, "row"));
  const json& listed = total.report["listed"];
  for (size_t i = 0; i < std::min(listed.size(), kListedMax); ++i) {
    const json& letter = listed[i];
    const std::string field = letter.value("field", "");
    fmt::print(context.out, "  epoch {} row {}: {}{}: {}\n", letter.value("epoch", uint64_t{0}),
               letter.value("row", uint64_t{0}), field.empty() ? "" : field + " ",
               letter.value("rule", ""), letter.value("reason", ""));
  }
  if (kept > kListedMax)
    fmt::print(context.out, "  all of them: headrace deadletters {} --open\n", options.stream);
}

}  // namespace

int RunReplay(const ReplayOptions& options, CommandContext& context) {
  HttpCalls calls(options.http, kLookbackTimeout);
  Total total;
  Progress progress(context.err, options.stream, std::nullopt);
  std::string after = options.after;
  do {
    auto part = AskPart(calls, options, after);
    if (!part) {
      if (total.Count("replayed") > 0)
        fmt::print(context.err,
                   "{} and more came in before that; the same command goes on with the rest\n",
                   base::Counted(total.Count("replayed"), "row"));
      return ReportError(context, part.error());
    }
    total.Add(*std::move(part));
    progress.Update(total.tried());
    const json& next = total.report["next"];
    after = next.is_string() ? next.get<std::string>() : "";
  } while (!after.empty());
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(total.report));
  } else {
    Print(context, options, total);
  }
  return 0;
}

}  // namespace headrace::app

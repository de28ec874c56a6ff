// headrace version, headrace explain.

#include <fmt/core.h>

#include <algorithm>

#include "columns/value.h"
#include "commands.h"
#include "contract/diagnostic.h"
#include "contract/diagnostic_codes.h"

namespace headrace::app {
namespace {

struct Explanation {
  std::string title;
  std::string says;
  std::string mend;
};

// Of a diagnostic or of a run-time error; nothing when there is no such code.
std::optional<Explanation> ExplanationOf(const std::string& code) {
  for (const contract::DiagnosticRow& row : contract::DiagnosticTable()) {
    if (contract::CodeText(row.code) == code)
      return Explanation{std::string(row.title), std::string(row.says), std::string(row.mend)};
  }
  for (const base::ErrorCodeRow& row : base::ErrorCodes()) {
    if (contract::CodeText(row.code) != code) continue;
    return Explanation{
        std::string(row.name),
        fmt::format("an error while running: HTTP status {}, exit code {}, {} in Python",
                    row.http_status, row.exit_code, row.python_exception),
        std::string(row.caller_should)};
  }
  return std::nullopt;
}

}  // namespace

int RunExplainCode(std::string code, CommandContext& context) {
  std::ranges::transform(code, code.begin(), [](unsigned char c) { return std::toupper(c); });
  const auto found = ExplanationOf(code);
  if (!found) {
    return ReportError(context, base::Error(base::ErrorCode::kNotFound,
                                            fmt::format("no error has the code `{}`", code)));
  }
  if (!context.json()) {
    fmt::print(context.out, "{}  {}\n\n  {}\n\n  next: {}\n", code, found->title, found->says,
               found->mend);
    return 0;
  }
  std::string out = R"({"code":)";
  columns::AppendJsonString(out, code);
  for (const auto& [name, text] : {std::pair("title", found->title), std::pair("says", found->says),
                                   std::pair("mend", found->mend)}) {
    out += fmt::format(",\"{}\":", name);
    columns::AppendJsonString(out, text);
  }
  fmt::print(context.out, "{}}}\n", out);
  return 0;
}

int RunVersion(CommandContext& context) {
  if (context.json()) {
    fmt::print(context.out, "{{\"version\":\"{}\"}}\n", kVersion);
  } else {
    fmt::print(context.out, "headrace {}\n", kVersion);
  }
  return 0;
}

}  // namespace headrace::app

// headrace check: says everything that is wrong in a pipeline file and its contracts.

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "columns/value.h"
#include "commands.h"
#include "contract/diagnostic.h"
#include "pipeline/pipeline_file.h"
#include "text_file.h"

namespace headrace::app {
namespace {

using contract::Diagnostic;
using contract::Severity;

std::string DiagnosticJson(const Diagnostic& diagnostic) {
  std::string out = "{";
  const auto text = [&out](std::string_view name, std::string_view value) {
    if (out.size() > 1) out += ',';
    columns::AppendJsonString(out, name);
    out += ':';
    columns::AppendJsonString(out, value);
  };
  text("severity", diagnostic.severity == Severity::kError ? "error" : "warning");
  text("code", diagnostic.code);
  text("file", diagnostic.file);
  out += fmt::format(R"(,"line":{},"column":{},"length":{})", diagnostic.line, diagnostic.column,
                     diagnostic.length);
  text("message", diagnostic.message);
  text("hint", diagnostic.hint);
  return out + "}";
}

void PrintJson(const CommandContext& context, const pipeline::CheckedPipeline& checked,
               size_t errors) {
  const std::vector<Diagnostic>& diagnostics = checked.diagnostics;
  std::string out = fmt::format(R"({{"errors":{},"warnings":{},"diagnostics":[)", errors,
                                diagnostics.size() - errors);
  for (size_t i = 0; i < diagnostics.size(); ++i) {
    if (i > 0) out += ',';
    out += DiagnosticJson(diagnostics[i]);
  }
  out += R"(],"state":[)";
  for (size_t i = 0; i < checked.prices.size(); ++i)
    out +=
        fmt::format(R"({}{{"view":"{}","bytes":{:.0f},"exact_bytes":{:.0f}}})", i > 0 ? "," : "",
                    checked.prices[i].view, checked.prices[i].bytes, checked.prices[i].exact_bytes);
  fmt::print(context.out, "{}]}}\n", out);
}

std::string Plural(size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string Mebibytes(double bytes) { return fmt::format("{:.1f} MiB", bytes / 0x1p20); }

void PrintSummary(const CommandContext& context, const CheckOptions& options,
                  const pipeline::CheckedPipeline& checked) {
  const pipeline::PipelineDefinition& definition = *checked.definition;
  size_t features = 0;
  for (const pipeline::ViewDefinition& view : definition.views) features += view.outputs.size();
  fmt::print(context.out, "{}: good. {}, {} with {}, {}, {}\n", options.pipeline,
             Plural(definition.streams.size(), "stream"), Plural(definition.views.size(), "view"),
             Plural(features, "feature"), Plural(definition.services.size(), "service"),
             Plural(definition.tables.size(), "table"));
  for (const pipeline::StatePrice& price : checked.prices)
    fmt::print(context.out, "view {}: at least {} of memory at the stated rate{}\n", price.view,
               Mebibytes(price.bytes),
               price.bytes < price.exact_bytes
                   ? fmt::format(", {} without `precision`", Mebibytes(price.exact_bytes))
                   : "");
}

}  // namespace

int RunCheck(const CheckOptions& options, CommandContext& context) {
  const auto text = ReadTextFile(options.pipeline);
  if (!text) return ReportError(context, text.error());
  std::map<std::string, std::string> texts{{options.pipeline, *text}};
  const auto files = [&](const std::string& name) -> base::Result<std::string> {
    HR_TRY(std::string contract_text, ReadTextFile(BesideFile(options.pipeline, name)));
    texts[name] = contract_text;
    return contract_text;
  };
  const pipeline::CheckedPipeline checked = pipeline::CheckPipeline(options.pipeline, *text, files);
  const auto errors = static_cast<size_t>(
      std::ranges::count(checked.diagnostics, Severity::kError, &Diagnostic::severity));
  if (context.json()) PrintJson(context, checked, errors);
  for (const Diagnostic& diagnostic : checked.diagnostics)
    fmt::print(context.err, "{}\n", contract::Render(diagnostic, texts[diagnostic.file]));
  if (errors > 0) {
    fmt::print(context.err, "{} has {}\n", options.pipeline, Plural(errors, "error"));
    return base::RowOf(base::ErrorCode::kInvalidInput).exit_code;
  }
  if (!context.json()) PrintSummary(context, options, checked);
  return 0;
}

}  // namespace headrace::app

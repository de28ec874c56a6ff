// headrace check: says everything that is wrong in a pipeline file and its contracts.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/size_unit.h"
#include "columns/value.h"
#include "commands.h"
#include "contract/diagnostic.h"
#include "pipeline/pipeline_file.h"
#include "plan/layers.h"
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

std::optional<double> RateOf(const pipeline::CheckedPipeline& checked, const std::string& stream) {
  const auto rate = checked.rates.find(stream);
  return rate == checked.rates.end() ? std::nullopt : std::optional(rate->second);
}

double Milliseconds(base::Duration time) { return static_cast<double>(time.count()) / 1000; }

std::string LayersJson(const pipeline::CheckedPipeline& checked) {
  std::string out;
  const std::vector<plan::Layer> layers = plan::LayersOf(*checked.definition);
  for (size_t i = 0; i < layers.size(); ++i) {
    const plan::Layer& layer = layers[i];
    const auto rate = RateOf(checked, layer.table);
    const plan::LayerPrice price = plan::PriceOf(*checked.definition, i, rate);
    out += fmt::format(R"({}{{"table":"{}","kind":"{}","commit_ms":{:.0f},)"
                       R"("visible_mean_ms":{:.0f},"visible_max_ms":{:.0f},"row_bytes":{:.1f})",
                       i > 0 ? "," : "", layer.table, plan::NameOf(layer.kind),
                       Milliseconds(layer.commit), Milliseconds(price.age_mean),
                       Milliseconds(price.age_max), price.row_bytes);
    if (rate)
      out += fmt::format(R"(,"files_per_day":{:.0f},"bytes_per_day":{:.0f},"bytes_per_row":{:.1f},)"
                         R"("write_amplification":{:.2f})",
                         price.files_per_day, price.bytes_per_day, price.bytes_per_row,
                         price.write_amplification);
    out += R"(,"readers":[)";
    for (size_t reader = 0; reader < layer.readers.size(); ++reader) {
      if (reader > 0) out += ',';
      columns::AppendJsonString(out, layer.readers[reader]);
    }
    out += ']';
    if (const auto advice = plan::AdviceFor(layer)) {
      out += R"(,"advice":)";
      columns::AppendJsonString(out, *advice);
    }
    out += '}';
  }
  return out;
}

std::string_view KindOf(const pipeline::StatePrice& price) {
  return price.of == pipeline::StatePrice::Of::kView ? "view" : "stream";
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
    out += fmt::format(R"({}{{"{}":"{}","bytes":{:.0f},"exact_bytes":{:.0f}}})", i > 0 ? "," : "",
                       KindOf(checked.prices[i]), checked.prices[i].name, checked.prices[i].bytes,
                       checked.prices[i].exact_bytes);
  out += R"(],"layers":[)";
  if (checked.definition != nullptr) out += LayersJson(checked);
  fmt::print(context.out, "{}]}}\n", out);
}

std::string Plural(size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// What each table is, costs, and who reads it.
void PrintLayers(const CommandContext& context, const pipeline::CheckedPipeline& checked) {
  const std::vector<plan::Layer> layers = plan::LayersOf(*checked.definition);
  for (size_t i = 0; i < layers.size(); ++i) {
    const plan::Layer& layer = layers[i];
    const auto rate = RateOf(checked, layer.table);
    const plan::LayerPrice price = plan::PriceOf(*checked.definition, i, rate);
    fmt::print(context.out, "table {}: {} layer, {:.3g} s behind on average, {:.3g} s at most",
               layer.table, plan::NameOf(layer.kind), Milliseconds(price.age_mean) / 1000,
               Milliseconds(price.age_max) / 1000);
    if (rate)
      fmt::print(context.out,
                 "; about {:.0f} files and {} written a day at the stated rate, {:.1f} bytes a row "
                 "({:.1f} times what large files take)",
                 price.files_per_day, base::SizeUnit(price.bytes_per_day).Text(price.bytes_per_day),
                 price.bytes_per_row, price.write_amplification);
    if (!layer.readers.empty())
      fmt::print(context.out, "; read by {}", fmt::join(layer.readers, ", "));
    fmt::print(context.out, "\n");
    if (const auto advice = plan::AdviceFor(layer))
      fmt::print(context.out, "  advice: {}\n", *advice);
  }
}

void PrintSummary(const CommandContext& context, const CheckOptions& options,
                  const pipeline::CheckedPipeline& checked) {
  const pipeline::PipelineDefinition& definition = *checked.definition;
  size_t features = 0;
  for (const pipeline::ViewDefinition& view : definition.views) features += view.outputs.size();
  fmt::print(context.out, "{}: good. {}, {} with {}, {}, {}\n", options.pipeline,
             Plural(definition.streams.size(), "stream"), Plural(definition.views.size(), "view"),
             Plural(features, "feature"), Plural(definition.services.size(), "service"),
             Plural(definition.tables.size(), "table"));
  double largest = 0;
  for (const pipeline::StatePrice& price : checked.prices)
    largest = std::max({largest, price.bytes, price.exact_bytes});
  const base::SizeUnit unit(largest);
  for (const pipeline::StatePrice& price : checked.prices)
    fmt::print(context.out, "{} {}: {} {} of memory at the stated rate{}\n", KindOf(price),
               price.name, price.is_certain ? "at least" : "up to", unit.Text(price.bytes),
               price.bytes < price.exact_bytes
                   ? fmt::format(", {} without `precision`", unit.Text(price.exact_bytes))
                   : "");
  PrintLayers(context, checked);
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

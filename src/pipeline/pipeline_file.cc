#include "pipeline/pipeline_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/hash.h"
#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_encoding.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

CheckedPipeline CheckPipeline(std::string_view file_name, std::string_view text,
                              const FileSource& files) {
  return PipelineReader(file_name, text, files).Run();
}

CheckedPipeline PipelineReader::Run() {
  const auto root = contract::ParseYaml(text_, report_);
  if (root && contract::ExpectMap(*root, "a pipeline file", report_)) Root(*root);
  const bool contracts_good =
      std::none_of(contract_diagnostics_.begin(), contract_diagnostics_.end(),
                   [](const auto& d) { return d.severity == contract::Severity::kError; });
  const bool good = !report_.has_errors() && contracts_good;
  CheckedPipeline result{nullptr, report_.Take(), std::move(prices_), std::move(rows_per_second_)};
  result.diagnostics.insert(result.diagnostics.end(), contract_diagnostics_.begin(),
                            contract_diagnostics_.end());
  if (!good) return result;
  definition_.source = PackSource(text_, contract_texts_);
  definition_.id = {base::Hash64(definition_.source)};
  result.definition = std::make_shared<const PipelineDefinition>(std::move(definition_));
  return result;
}

bool PipelineReader::CheckSection(const Node& node, Section section, const std::string& what) {
  if (!contract::ExpectMap(node, what, report_)) return false;
  contract::ExpectKeys(node, KeysOf(section), what, report_);
  for (const YamlNode& key : node.keys) {
    const KeyRow* row = KeyNamed(section, key.text);
    if (row != nullptr && row->support == Support::kLater)
      report_.Error(DiagnosticCode::kNotInThisVersion, key.place,
                    fmt::format("{}: `{}` is not in this version", what, key.text));
  }
  return true;
}

const YamlNode* PipelineReader::Find(const Node& map, Section section, std::string_view key) const {
  const KeyRow* row = KeyNamed(section, key);
  const YamlNode* node = map.Find(key);
  return row == nullptr || row->support == Support::kLater || node == nullptr || node->is_null()
             ? nullptr
             : node;
}

bool PipelineReader::TooMany(const Node& node, size_t count, size_t limit, std::string_view what) {
  if (count <= limit) return false;
  report_.Error(DiagnosticCode::kTooMany, node.place,
                fmt::format("{} {}; at most {} are allowed", count, what, limit));
  return true;
}

void PipelineReader::FileVersion(const Node& root) {
  const YamlNode* node = contract::Require(root, "headrace", "pipeline", report_);
  if (node != nullptr && node->text != "1")
    report_.Error(DiagnosticCode::kFileVersion, node->place,
                  fmt::format("format `{}` is not read by this version", node->text),
                  "headrace: 1");
}

// Names of pipelines may have dashes: no expression has them.
void PipelineReader::PipelineName(const Node& root) {
  const YamlNode* node = contract::Require(root, "pipeline", "pipeline", report_);
  if (node == nullptr) return;
  definition_.name = contract::ReadText(*node, "`pipeline`", report_).value_or("");
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  const std::string& name = definition_.name;
  if (!node->is_scalar() || (!name.empty() && name.size() <= kPipelineNameMax && name[0] != '-' &&
                             std::ranges::all_of(name, fits)))
    return;
  report_.Error(DiagnosticCode::kBadName, node->place,
                fmt::format("pipeline: `{}` is no name", name),
                fmt::format("letters, digits, underscores and dashes, at most {}, no dash first",
                            kPipelineNameMax));
}

void PipelineReader::Root(const Node& root) {
  CheckSection(root, Section::kPipeline, "pipeline");
  FileVersion(root);
  PipelineName(root);
  if (const YamlNode* node = Find(root, Section::kPipeline, "clock"))
    if (contract::ReadChoice(*node, {"wall", "events"}, "`clock`", report_) == "events")
      definition_.clock = log::ClockMode::kEvents;
  if (const YamlNode* node = Find(root, Section::kPipeline, "memory"))
    definition_.memory_bytes = Size(*node, "`memory`").value_or(definition_.memory_bytes);
  if (const YamlNode* node = Find(root, Section::kPipeline, "recovery"))
    definition_.recovery =
        contract::ReadDuration(*node, "`recovery`", report_).value_or(definition_.recovery);
  if (const YamlNode* node = Find(root, Section::kPipeline, "log")) Log(*node);
  if (const YamlNode* node = Find(root, Section::kPipeline, "promise")) Promise(*node);

  const auto each = [&](std::string_view key, size_t limit,
                        void (PipelineReader::*read)(const Node&, const Node&)) {
    const YamlNode* map = Find(root, Section::kPipeline, key);
    if (map == nullptr || !contract::ExpectMap(*map, fmt::format("`{}`", key), report_)) return;
    if (TooMany(*map, map->items.size(), limit, key)) return;
    for (size_t i = 0; i < map->items.size(); ++i)
      if (contract::ExpectName(map->keys[i], fmt::format("`{}`", key), report_))
        (this->*read)(map->keys[i], map->items[i]);
  };
  if (contract::Require(root, "streams", "pipeline", report_) != nullptr)
    each("streams", kStreamsMax, &PipelineReader::Stream);
  each("views", kViewsMax, &PipelineReader::View);
  if (const YamlNode* node = Find(root, Section::kPipeline, "inputs")) Inputs(*node);
  if (const YamlNode* node = Find(root, Section::kPipeline, "on_request")) OnRequest(*node);
  each("services", kViewsMax, &PipelineReader::Service);
  each("tables", kStreamsMax, &PipelineReader::Table);
  each("consumers", kViewsMax, &PipelineReader::Consumer);
  Optimizing(root);
  CheckBudget(root);
  CheckMemory(root);
}

void PipelineReader::Log(const Node& node) {
  if (!CheckSection(node, Section::kLog, "log")) return;
  LogDefinition& log = definition_.log;
  if (const YamlNode* durability = Find(node, Section::kLog, "durability"))
    if (contract::ReadChoice(*durability, {"fsync", "os"}, "`durability`", report_) == "os")
      log.durability = log::Durability::kOs;
  if (const YamlNode* bytes = Find(node, Section::kLog, "bytes_max"))
    log.bytes_max = Size(*bytes, "`bytes_max`").value_or(log.bytes_max);
  if (const YamlNode* keep = Find(node, Section::kLog, "keep"))
    log.keep = contract::ReadDuration(*keep, "`keep`", report_);
}

namespace {

DiagnosticCode CodeOf(ExpressionErrorKind kind) {
  switch (kind) {
    case ExpressionErrorKind::kSyntax: return DiagnosticCode::kExpressionSyntax;
    case ExpressionErrorKind::kType: return DiagnosticCode::kExpressionType;
    case ExpressionErrorKind::kUnknownColumn: return DiagnosticCode::kUnknownColumn;
    case ExpressionErrorKind::kUnknownFunction: return DiagnosticCode::kUnknownFunction;
    case ExpressionErrorKind::kNotInThisVersion: return DiagnosticCode::kFunctionNotHere;
  }
  return DiagnosticCode::kExpressionSyntax;
}

}  // namespace

void PipelineReader::ReportExpression(const Node& node, size_t offset, const ExpressionError& error,
                                      const std::string& what, const std::string& of_what) {
  const bool column = error.kind == ExpressionErrorKind::kUnknownColumn;
  std::string message = fmt::format("{}: {}", what, error.message);
  if (column) message += " in " + of_what;
  const std::string hint =
      error.candidates.empty()
          ? ""
          : fmt::format("did you mean: {}?", fmt::join(error.candidates, ", "));
  report_.Error(CodeOf(error.kind),
                node.PlaceOf(offset + error.begin, std::min(offset + error.end, node.text.size())),
                std::move(message), hint);
}

}  // namespace headrace::pipeline

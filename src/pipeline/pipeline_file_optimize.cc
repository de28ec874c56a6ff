// `optimize` of tables: read last, as a Z-order has to be worth something to a reader of the table.
#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_reader.h"
#include "pipeline/table_patterns.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

constexpr uint64_t kTargetBytesMin = uint64_t{64} << 10;
constexpr uint64_t kTargetBytesMax = uint64_t{1} << 30;
constexpr size_t kZOrderColumnsMax = 4;
constexpr base::Duration kEveryMin = std::chrono::seconds(10);

}  // namespace

void PipelineReader::Optimizing(const Node& root) {
  const YamlNode* tables = Find(root, Section::kPipeline, "tables");
  if (tables == nullptr) return;
  for (size_t i = 0; i < tables->items.size(); ++i) {
    const auto stream = definition_.StreamNamed(tables->keys[i].text);
    const auto table = std::ranges::find_if(
        definition_.tables, [&](const auto& each) { return stream && each.stream == *stream; });
    const YamlNode* node = Find(tables->items[i], Section::kTable, "optimize");
    if (table == definition_.tables.end() || node == nullptr) continue;
    OptimizeOf(*node, fmt::format("table {}: `optimize`", tables->keys[i].text), *table);
  }
}

void PipelineReader::OptimizeOf(const Node& node, const std::string& what, TableDefinition& table) {
  if (!CheckSection(node, Section::kOptimize, what)) return;
  OptimizeDefinition optimize;
  if (const YamlNode* every = Find(node, Section::kOptimize, "every")) {
    optimize.every =
        contract::ReadDuration(*every, what + ": `every`", report_).value_or(optimize.every);
    if (optimize.every < kEveryMin)
      report_.Error(DiagnosticCode::kBadNumber, every->place,
                    fmt::format("{}: `every` must be at least 10s", what), "every: 1h");
  }
  if (const YamlNode* where = Find(node, Section::kOptimize, "where"))
    optimize.where = contract::ReadText(*where, what + ": `where`", report_).value_or("");
  if (const YamlNode* target = Find(node, Section::kOptimize, "target")) {
    optimize.target_bytes = Size(*target, what + ": `target`", kTargetBytesMin).value_or(0);
    if (optimize.target_bytes > kTargetBytesMax)
      report_.Error(DiagnosticCode::kBadNumber, target->place,
                    fmt::format("{}: `target` must be at most 1GiB", what), "target: 128MiB");
  }
  if (const YamlNode* order = Find(node, Section::kOptimize, "z_order"))
    ZOrder(*order, what + ": `z_order`", table, optimize);
  table.optimize = std::move(optimize);
}

void PipelineReader::ZOrder(const Node& node, const std::string& what, const TableDefinition& table,
                            OptimizeDefinition& optimize) {
  const auto names = contract::ReadTexts(node, what, report_);
  if (!names) return;
  if (TooMany(node, names->size(), kZOrderColumnsMax, "columns of a Z-order")) return;
  const columns::SchemaRef schema = definition_.streams[table.stream].schema();
  const auto field = [&](const std::string& name) {
    return std::ranges::find(schema->fields(), name, &columns::Field::name);
  };
  if (names->size() == 1 && names->front()->text == "auto" &&
      field("auto") == schema->fields().end()) {
    optimize.z_order = ZOrderByPatterns(definition_, table.stream);
    if (optimize.z_order.empty())
      report_.Error(DiagnosticCode::kZOrder, node.place,
                    what + ": no reader of the table filters on anything");
    return;
  }
  for (const YamlNode* name : *names) {
    if (field(name->text) == schema->fields().end()) {
      std::vector<std::string> known;
      for (const columns::Field& each : schema->fields()) known.push_back(each.name);
      report_.Error(DiagnosticCode::kUnknownColumn, name->place,
                    fmt::format("{}: no column `{}`", what, name->text),
                    contract::DidYouMean(name->text, known));
    } else if (const auto why = NotFilteredBy(definition_, table.stream, name->text)) {
      report_.Error(DiagnosticCode::kZOrder, name->place, fmt::format("{}: {}", what, *why));
    } else if (std::ranges::find(optimize.z_order, name->text) == optimize.z_order.end()) {
      optimize.z_order.push_back(name->text);
    }
  }
}

}  // namespace headrace::pipeline

#include "plan/layers.h"

#include <fmt/format.h>

#include <algorithm>

namespace headrace::plan {
namespace {

using columns::Type;
using pipeline::PipelineDefinition;

constexpr double kSecondsPerDay = 86'400;

// Of `./dev bench delta --part amplification`: files of few rows beside files of many, 10 columns.
constexpr double kFileBytes = 500;          // of a data file without rows
constexpr double kFileColumnBytes = 400;    // and for each column
constexpr double kCommitBytes = 1200;       // of a commit and its checksum file
constexpr double kCommitColumnBytes = 150;  // and for each column
constexpr double kPositionBytes = 0.5;      // of _epoch, _row and _known_at

// Of one value, encoded and compressed: as in tables of payments and of flights, where numbers are
// of a few digits and texts repeat. Twice too much or too little is well possible.
double BytesOf(Type type) {
  if (columns::IsList(type)) return 64;
  switch (type) {
    case Type::kBool: return 0.15;
    case Type::kInt32:
    case Type::kDate: return 1.5;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return 1.5;
    case Type::kFloat32: return 2.5;
    case Type::kFloat64: return 4;
    default: return 1.2;
  }
}

double SecondsIn(base::Duration time) { return static_cast<double>(time.count()) / 1e6; }

std::vector<std::string> ReadersOf(const PipelineDefinition& definition, size_t stream) {
  std::vector<std::string> readers;
  for (const pipeline::ConsumerDefinition& consumer : definition.consumers)
    if (consumer.reads == definition.streams[stream].name)
      readers.push_back("consumer " + consumer.name);
  if (definition.streams[stream].derived()) return readers;
  const bool feeds_views = std::ranges::any_of(definition.views, [&](const auto& view) {
    return std::ranges::count(definition.SourcesOf(view.stream), stream) > 0;
  });
  if (feeds_views) readers.emplace_back("views (training, verification)");
  return readers;
}

}  // namespace

std::string_view NameOf(LayerKind kind) {
  switch (kind) {
    case LayerKind::kRaw: return "raw";
    case LayerKind::kCleaned: return "cleaned";
    case LayerKind::kServing: return "serving";
  }
  return "";
}

std::vector<Layer> LayersOf(const PipelineDefinition& definition) {
  std::vector<Layer> layers;
  for (const pipeline::TableDefinition& table : definition.tables) {
    const bool ordered = table.optimize && !table.optimize->z_order.empty();
    const bool derived = definition.streams[table.stream].derived();
    layers.push_back({.table = definition.streams[table.stream].name,
                      .kind = ordered   ? LayerKind::kServing
                              : derived ? LayerKind::kCleaned
                                        : LayerKind::kRaw,
                      .commit = table.commit,
                      .readers = ReadersOf(definition, table.stream)});
  }
  return layers;
}

std::optional<std::string> AdviceFor(const Layer& layer) {
  if (!layer.readers.empty()) return std::nullopt;
  return fmt::format(
      "nobody is said to read table {}: name its readers under `consumers` (reads: {}), commit "
      "less "
      "often, or leave it out of `tables`: its rows stay in the log and in every stream made of it",
      layer.table, layer.table);
}

LayerPrice PriceOf(const PipelineDefinition& definition, size_t table,
                   std::optional<double> rows_per_second) {
  const pipeline::TableDefinition& of = definition.tables[table];
  const columns::SchemaRef schema = definition.streams[of.stream].schema();
  LayerPrice price{.age_mean = of.commit / 2, .age_max = of.commit, .row_bytes = kPositionBytes};
  for (const columns::Field& field : schema->fields()) price.row_bytes += BytesOf(field.type);
  if (!rows_per_second || *rows_per_second <= 0) return price;
  // No row, no commit.
  const double commits =
      std::min(kSecondsPerDay / SecondsIn(of.commit), *rows_per_second * kSecondsPerDay);
  const double rows = *rows_per_second * kSecondsPerDay;
  const auto columns = static_cast<double>(schema->size() + 3);
  const double each = kFileBytes + kCommitBytes + columns * (kFileColumnBytes + kCommitColumnBytes);
  price.files_per_day = commits;
  price.bytes_per_day = rows * price.row_bytes + commits * each;
  price.bytes_per_row = price.bytes_per_day / rows;
  price.write_amplification = price.bytes_per_row / price.row_bytes;
  return price;
}

}  // namespace headrace::plan

#pragma once
// The tables of a pipeline as layers: what each one is to its readers, what it costs before it
// runs, and whether anybody reads it.
//
// A layer is a table of the pipeline file. Each is made of the log, none of another: so a second
// one adds files and bytes, and no time to the first.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "pipeline/definition.h"

namespace headrace::plan {

enum class LayerKind : uint8_t {
  kRaw,      // rows as they come in
  kCleaned,  // of a derived stream: filtered, computed, joined
  kServing,  // either, and kept in the order that its readers filter by (`optimize: z_order`)
};
std::string_view NameOf(LayerKind kind);  // "raw", "cleaned", "serving"

struct Layer {
  std::string table;
  LayerKind kind = LayerKind::kRaw;
  base::Duration commit{0};
  // "consumer dashboard"; of a stream that comes in also "views (training, verification)", whose
  // history it is.
  std::vector<std::string> readers;
};
// In the order of the definition's tables.
std::vector<Layer> LayersOf(const pipeline::PipelineDefinition& definition);

// What to do about a layer that nobody is said to read; nothing when somebody is.
std::optional<std::string> AdviceFor(const Layer& layer);

// Estimates; what was measured while it runs is in GET /status.
struct LayerPrice {
  base::Duration age_mean{0};  // of a row when the table has it, less what the commit takes
  base::Duration age_max{0};
  double row_bytes = 0;  // of one row in a large file
  // At the stated rate, before anything is rewritten:
  double files_per_day = 0;
  double bytes_per_day = 0;        // written: data files, commits, checksum files
  double bytes_per_row = 0;        // of these
  double write_amplification = 0;  // bytes_per_row / row_bytes
};
// `table` is an index into the definition's tables. Without a rate only the first three.
LayerPrice PriceOf(const pipeline::PipelineDefinition& definition, size_t table,
                   std::optional<double> rows_per_second);

}  // namespace headrace::plan

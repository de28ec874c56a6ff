#pragma once
// An event that no epoch has yet, counted in an answer as if it were the next to be applied: what a
// provisional answer adds to the state. The state itself never sees it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "pipeline/aggregates/row_block.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// A value.
struct EventAhead {
  std::string stream;        // that it comes in by
  columns::ColumnBatch row;  // one row, of the stream's fields
};

// The event as a row of one view. Its block lives as long as it does.
class AheadRow {
 public:
  // Nothing when it is no row of the key, or of the view: of another stream, kept out by `where`,
  // or by `self: excluded`. Errors: kUnsupported for a view over a derived stream that is made of
  // the event's, whose row is not known before that is made.
  static base::Result<std::optional<AheadRow>> Of(const PipelineDefinition& definition,
                                                  const ViewDefinition& view,
                                                  const EventAhead& ahead, std::string_view key);

  int64_t time() const { return cells_->time; }
  const RowBlock& block() const { return cells_->block; }

 private:
  class Texts;
  struct Cells {
    int64_t time = 0;
    uint64_t position = 0;
    std::vector<uint64_t> cells;  // by argument
    std::vector<ArgumentBlock> arguments;
    std::vector<std::unique_ptr<uint64_t[]>> texts;
    RowBlock block;
  };
  explicit AheadRow(std::unique_ptr<const Cells> cells) : cells_(std::move(cells)) {}

  std::unique_ptr<const Cells> cells_;
};

}  // namespace headrace::pipeline

#pragma once
// By which columns a table is read, as far as the pipeline tells: what an order of its rows is
// worth.
//
// Taken as a pattern, of a stream:
//   - columns that a consumer's `pattern` names, when it reads the stream or a view of it;
//   - the key (`by`) and the condition (`where`) of a view of it;
//   - the event time, when a view of it has windows;
//   - the condition and the join's key of a stream that is made of it, or joins it;
//   - the patterns of such a stream, for columns that it takes over as they are.

#include <string>
#include <vector>

#include "pipeline/definition.h"

namespace headrace::pipeline {

struct FilterColumn {
  size_t field = 0;              // of the stream
  std::vector<std::string> who;  // "view card: by", "consumer dashboard: pattern"
};

// Those with the most patterns first; then in the order of the stream's columns.
std::vector<FilterColumn> FilterColumns(const PipelineDefinition& definition, size_t stream);

// What `z_order: auto` means: the first three of them, as names. Empty when there are none.
std::vector<std::string> ZOrderByPatterns(const PipelineDefinition& definition, size_t stream);

// Why this column of the stream is worth nothing in a Z-order; nothing when it is worth something.
std::optional<std::string> NotFilteredBy(const PipelineDefinition& definition, size_t stream,
                                         const std::string& column);

}  // namespace headrace::pipeline

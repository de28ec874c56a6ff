#pragma once
// A stream's contract, before and after: whether it may be changed while its log goes on, and what
// in the pipeline reads the fields that it is about.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/schema_evolution.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// What a definition has that reads a field of a stream that comes in: "view card (14:20)", with
// line and column in the pipeline file; derived streams, views, the table, consumers by pattern.
// Found in what was written, so a word that means something else in there is named, too.
std::vector<std::string> ReadersOf(const PipelineDefinition& definition, size_t stream,
                                   std::string_view field);

struct ContractChange {
  std::string stream;
  columns::SchemaEvolution evolution;
  // By which of them compatibility forbids, and by what can't be at all: each with what to do and
  // with those that read the field.
  std::vector<std::string> refused;
  std::vector<std::string> notes;  // "`amount` may be missing now: view card (14:20) reads it"
};

// Tables of streams of either kind that would get a column of a wider type and are not to: a
// sentence each, with what to do.
std::vector<std::string> TablesTooNarrow(const PipelineDefinition& before,
                                         const PipelineDefinition& after);

// Of streams that come in, both have, and whose contracts say something else; in the order of
// `after`. The compatibility is that which `before` declares.
std::vector<ContractChange> ContractChanges(const PipelineDefinition& before,
                                            const PipelineDefinition& after);

}  // namespace headrace::pipeline

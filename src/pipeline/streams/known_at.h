#pragma once
// When rows became known.

#include <cstdint>
#include <vector>

#include "columns/batch.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// By row number: `visible`, or what the rule takes from the row (event time where the rule's field
// is null).
std::vector<int64_t> KnownAt(const KnownAtRule& rule, size_t event_time_field,
                             const columns::ColumnBatch& rows, base::Timestamp visible);

// The rule for rows that came into `stream` while `then` was in force. What is observed now holds
// for rows from now on: what was assumed of earlier ones stays assumed (event time where the
// stream has the rule's field no more).
KnownAtRule RuleUnder(const PipelineDefinition& then, const StreamDefinition& stream);

}  // namespace headrace::pipeline

#pragma once
// All rows of any stream of a definition. Those of a derived stream are made, row by row, of the
// history of the stream that they come from: a table of its own is not needed, and not looked at.

#include <vector>

#include "base/result.h"
#include "pipeline/definition.h"
#include "training/history.h"

namespace headrace::training {

// As History::ScanRows; `stream` is an index into the definition's. A derived row has the known_at
// of the row that it is made of, and its position; its own number in the epoch where several rows
// may be made of one.
base::Result<ScannedRows> ScanStream(const History& history,
                                     const pipeline::PipelineDefinition& definition, size_t stream,
                                     const std::vector<size_t>& fields,
                                     const tables::VisitRows& visit);

}  // namespace headrace::training

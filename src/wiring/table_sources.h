#pragma once
// The sources of a pipeline that are tables of others: an actor for each stream that names one.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "env/environment.h"
#include "pipeline/definition.h"
#include "tables/source/table_source.h"
#include "watch/source_figures.h"
#include "wiring/source_positions.h"

namespace headrace::wiring {

// Made once the log accepts, on one thread; Figures from any.
class TableSources {
 public:
  struct Parts {
    env::Environment& environment;
    base::MemoryBudget& budget;
    const pipeline::PipelineDefinition& definition;
    std::vector<base::StreamId> ids;  // of the definition's streams
    // The one in force, which has the same sources; from any thread.
    std::function<pipeline::PipelineRef()> current;
    std::string pipeline_folder;  // that relative folders are meant from
    const SourcePositions& positions;
  };
  TableSources(const Parts& parts, const tables::TableSource::Log& log);
  // Ends them, as they call into the log. Idempotent.
  void Close();
  std::vector<watch::SourceFigures> Figures() const;

 private:
  struct Source {
    std::string stream;
    std::string folder;
    std::unique_ptr<tables::TableSource> source;
  };
  mutable std::mutex mutex_;
  std::vector<Source> sources_;
};

}  // namespace headrace::wiring

#pragma once
// What the programs of this folder share: JSON lines from a file through the way in that HTTP has,
// to columns that passed the contract. One thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "columns/batch.h"
#include "contract/contract.h"
#include "pipeline/definition.h"

namespace headrace::bench {

// CPU seconds of this thread.
double ThreadSeconds();

// FOLDER/NAME and the contracts that it names. A file that is broken ends the program.
pipeline::PipelineRef ReadPipeline(const std::string& folder, const std::string& name);

// The lines of a file, so many in a body; a body has room behind it, as the parser wants it.
std::vector<std::string> ReadBodies(const std::string& path, uint64_t lines);

// Bodies of one stream. A line that is refused ends the program.
class JsonLines {
 public:
  explicit JsonLines(contract::ContractRef contract) : contract_(std::move(contract)) {}
  columns::ColumnBatch Read(std::string body);

 private:
  const contract::ContractRef contract_;
  base::MemoryBudget budget_{4ULL << 30};
};

}  // namespace headrace::bench

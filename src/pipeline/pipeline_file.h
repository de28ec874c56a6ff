#pragma once
// Reads and checks the pipeline file: one YAML file that is the whole deployment, with its
// contracts beside it.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "contract/diagnostic.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// Gives the text of a file named in the pipeline file (relative to it). `check` and `serve` read
// the disk through env; text cases and the log's definition entry hand out what they hold.
using FileSource = std::function<base::Result<std::string>(const std::string& name)>;

// What a view is expected to keep in memory, or a derived stream of rows that wait or are
// remembered, at the rates that the file says.
struct StatePrice {
  enum class Of : uint8_t {
    kView,
    kStream,  // that joins within a time, or leaves out repeats
  } of = Of::kView;
  std::string name;
  bool is_certain = false;  // no condition before it leaves rows out
  double bytes = 0;
  double exact_bytes = 0;  // with all rows of its windows, without `precision`
};

struct CheckedPipeline {
  PipelineRef definition;                         // null when there is any error
  std::vector<contract::Diagnostic> diagnostics;  // errors and warnings, in the order of the file
  std::vector<StatePrice> prices;                 // where the streams have a `rate`
  // Rows a second by stream: as the file says, or of a derived stream at most that of its source.
  std::map<std::string, double, std::less<>> rates = {};
};

// Checks everything before it gives up: unknown keys, types, names (with suggestions), expressions,
// contracts that contradict views. `file_name` is only for diagnostics.
CheckedPipeline CheckPipeline(std::string_view file_name, std::string_view text,
                              const FileSource& files);

// The definition as one byte string for the log: pipeline text and every contract's text, and back
// (used at recovery, by train and verify). Errors: kCorruption; kInvalidInput when this version
// refuses what an earlier one accepted.
std::vector<uint8_t> EncodeDefinition(const PipelineDefinition& definition);
base::Result<PipelineRef> DecodeDefinition(std::span<const uint8_t> bytes);

}  // namespace headrace::pipeline

#pragma once
// Which features are computed from columns whose contract says `classification: restricted`.

#include <vector>

#include "pipeline/definition.h"

namespace headrace::pipeline {

// A feature is restricted when its argument, its condition or its view's condition reads a
// restricted column; so is every column of a derived stream that is computed from one, and every
// feature over a stream whose rows depend on one: its condition reads it, it unnests it, or it
// joins such a stream. A key alone restricts nothing: who asks knows it. A value; of the definition
// that it was found in.
struct RestrictedFeatures {
  struct Stream {
    std::vector<bool> columns;
    bool rows = false;  // that it has a row tells something of a restricted column
  };
  std::vector<Stream> streams;             // of the definition
  std::vector<std::vector<bool>> outputs;  // of each view's outputs
  std::vector<bool> on_request;
};
RestrictedFeatures FindRestricted(const PipelineDefinition& definition);

}  // namespace headrace::pipeline

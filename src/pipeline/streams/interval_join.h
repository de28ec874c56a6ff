#pragma once

#include "pipeline/definition.h"

namespace headrace::pipeline {

// Whether a join within a time is on the way from what comes in to `stream`: its rows come out of
// order, dated by whichever of the two came later.
inline bool IsMadeByIntervalJoin(const PipelineDefinition& definition, size_t stream) {
  for (; definition.streams[stream].derived();
       stream = definition.streams[stream].derivation->source)
    if (definition.streams[stream].derivation->interval) return true;
  return false;
}

}  // namespace headrace::pipeline

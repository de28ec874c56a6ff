#include "pipeline/views/own_row.h"

namespace headrace::pipeline {

std::optional<LeftOutRow> LeftOutOf(const PipelineDefinition& definition,
                                    const ViewDefinition& view, const OwnRow& own) {
  if (view.self != SelfRule::kExcluded) return std::nullopt;
  if (definition.streams[definition.RootOf(view.stream)].name != own.stream) return std::nullopt;
  // Rows of a derived stream are numbered among themselves.
  const bool derived = definition.streams[view.stream].derived();
  return LeftOutRow{own.epoch, own.time.us, derived ? std::nullopt : own.row};
}

}  // namespace headrace::pipeline

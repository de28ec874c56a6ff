#include "pipeline/views/own_row.h"

namespace headrace::pipeline {

std::optional<LeftOutRow> LeftOutOf(const PipelineDefinition& definition,
                                    const ViewDefinition& view, const OwnRow& own) {
  if (view.self != SelfRule::kExcluded) return std::nullopt;
  if (definition.streams[definition.RootOf(view.stream)].name != own.stream) return std::nullopt;
  const bool has_its_position = definition.KeepsPositions(view.stream);
  return LeftOutRow{own.epoch, own.time.us, has_its_position ? own.row : std::nullopt};
}

}  // namespace headrace::pipeline

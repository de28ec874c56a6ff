#include "pipeline/views/own_row.h"

#include <algorithm>

#include "pipeline/streams/interval_join.h"

namespace headrace::pipeline {

std::optional<LeftOutRow> LeftOutOf(const PipelineDefinition& definition,
                                    const ViewDefinition& view, const OwnRow& own) {
  if (view.self != SelfRule::kExcluded) return std::nullopt;
  const std::vector<size_t> sources = definition.SourcesOf(view.stream);
  const auto is_own = [&](size_t source) { return definition.streams[source].name == own.stream; };
  if (std::ranges::none_of(sources, is_own)) return std::nullopt;
  const bool has_its_position = definition.KeepsPositions(view.stream);
  return LeftOutRow{own.epoch, own.time.us, has_its_position ? own.row : std::nullopt,
                    IsMadeByIntervalJoin(definition, view.stream)};
}

}  // namespace headrace::pipeline

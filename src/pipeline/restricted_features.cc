#include "pipeline/restricted_features.h"

#include <algorithm>
#include <string>
#include <unordered_set>

namespace headrace::pipeline {
namespace {

// Of a stream: which columns are restricted, and whether it says something that it has a row.
struct StreamColumns {
  std::vector<bool> restricted;
  bool rows = false;

  bool ReadBy(const Expression& expression) const {
    return std::ranges::any_of(expression.inputs(), [this](size_t i) { return restricted[i]; });
  }
};

// Those of the other stream that were joined in, in the order of the derivation's input.
void AppendJoined(const Derivation& derivation, const std::vector<StreamColumns>& streams,
                  StreamColumns& input) {
  if (derivation.as_of)
    for (const size_t field : derivation.as_of->fields)
      input.restricted.push_back(streams[derivation.as_of->stream].restricted[field]);
  if (derivation.interval) {
    const std::vector<bool>& other = streams[derivation.interval->stream].restricted;
    input.restricted.insert(input.restricted.end(), other.begin(), other.end());
  }
}

StreamColumns OfDerived(const Derivation& derivation, const std::vector<StreamColumns>& streams) {
  StreamColumns wide = streams[derivation.source];
  AppendJoined(derivation, streams, wide);
  HR_CHECK(wide.restricted.size() <= derivation.input->size(),
           "a derivation's input has what is joined in");
  wide.restricted.resize(derivation.input->size(), false);
  const StreamColumns input = wide;
  for (const Expression& column : derivation.columns)
    wide.restricted.push_back(input.ReadBy(column));
  StreamColumns kept;
  kept.rows = wide.rows || (derivation.where && wide.ReadBy(*derivation.where));
  for (const size_t column : derivation.kept) kept.restricted.push_back(wide.restricted[column]);
  return kept;
}

std::vector<StreamColumns> OfStreams(const PipelineDefinition& definition) {
  std::vector<StreamColumns> streams;
  for (const StreamDefinition& stream : definition.streams) {
    if (stream.derived()) {
      streams.push_back(OfDerived(*stream.derivation, streams));
      continue;
    }
    StreamColumns columns;
    for (size_t i = 0; i < stream.schema()->size(); ++i)
      columns.restricted.push_back(stream.contract->restricted(i));
    streams.push_back(std::move(columns));
  }
  return streams;
}

std::vector<bool> OfView(const ViewDefinition& view, const StreamColumns& stream) {
  const bool all = stream.rows || (view.where && stream.ReadBy(*view.where));
  std::vector<bool> outputs;
  for (const OutputFeature& output : view.outputs) {
    const AggregateSpec& feature = view.features[output.feature];
    outputs.push_back(all ||
                      (feature.argument && stream.ReadBy(view.arguments[*feature.argument])) ||
                      (feature.where && stream.ReadBy(view.arguments[*feature.where])));
  }
  return outputs;
}

}  // namespace

RestrictedFeatures FindRestricted(const PipelineDefinition& definition) {
  const std::vector<StreamColumns> streams = OfStreams(definition);
  RestrictedFeatures found;
  std::unordered_set<std::string> names;  // "view.feature"
  for (const ViewDefinition& view : definition.views) {
    const std::vector<bool>& outputs =
        found.outputs.emplace_back(OfView(view, streams[view.stream]));
    for (size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i]) names.insert(view.name + "." + view.outputs[i].name);
  }
  for (const OnRequestFeature& feature : definition.on_request)
    found.on_request.push_back(std::ranges::any_of(feature.expression.inputs(), [&](size_t i) {
      return names.contains(feature.inputs->field(i).name);
    }));
  return found;
}

}  // namespace headrace::pipeline

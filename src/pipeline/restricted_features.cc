#include "pipeline/restricted_features.h"

#include <algorithm>
#include <string>
#include <unordered_set>

namespace headrace::pipeline {
namespace {

using StreamColumns = RestrictedFeatures::Stream;

bool Reads(const Expression& expression, const StreamColumns& stream) {
  return std::ranges::any_of(expression.inputs(), [&](size_t i) { return stream.columns[i]; });
}

// Those of the other stream that were joined in, in the order of the derivation's input. Whether a
// row found a partner tells which rows the other stream has.
void AppendJoined(const Derivation& derivation, const std::vector<StreamColumns>& streams,
                  StreamColumns& input) {
  if (derivation.as_of) {
    const StreamColumns& dimension = streams[derivation.as_of->stream];
    for (const size_t field : derivation.as_of->fields)
      input.columns.push_back(dimension.columns[field]);
    input.rows = input.rows || dimension.rows;
  }
  if (derivation.interval) {
    const StreamColumns& other = streams[derivation.interval->stream];
    input.columns.insert(input.columns.end(), other.columns.begin(), other.columns.end());
    input.rows = input.rows || other.rows;
  }
}

// The element has the list's place, the ordinal comes last. How many rows there are is the list's
// length.
void AppendOrdinal(size_t list, StreamColumns& input) {
  input.columns.push_back(input.columns[list]);
  input.rows = input.rows || input.columns[list];
}

StreamColumns OfDerived(const Derivation& derivation, const std::vector<StreamColumns>& streams) {
  StreamColumns wide = streams[derivation.source];
  AppendJoined(derivation, streams, wide);
  HR_CHECK(wide.columns.size() <= derivation.input->size(),
           "a derivation's input has what is joined in");
  wide.columns.resize(derivation.input->size(), false);
  if (derivation.unnest) AppendOrdinal(derivation.unnest->list, wide);
  HR_CHECK(wide.columns.size() == derivation.unnested->size(), "a flag for each column");
  const StreamColumns unnested = wide;
  for (const Expression& column : derivation.columns)
    wide.columns.push_back(Reads(column, unnested));
  StreamColumns kept;
  kept.rows = wide.rows || (derivation.where && Reads(*derivation.where, wide));
  for (const size_t column : derivation.kept) kept.columns.push_back(wide.columns[column]);
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
      columns.columns.push_back(stream.contract->restricted(i));
    streams.push_back(std::move(columns));
  }
  return streams;
}

std::vector<bool> OfView(const ViewDefinition& view, const StreamColumns& stream) {
  const bool all = stream.rows || (view.where && Reads(*view.where, stream));
  std::vector<bool> outputs;
  for (const OutputFeature& output : view.outputs) {
    const AggregateSpec& feature = view.features[output.feature];
    outputs.push_back(all ||
                      (feature.argument && Reads(view.arguments[*feature.argument], stream)) ||
                      (feature.where && Reads(view.arguments[*feature.where], stream)));
  }
  return outputs;
}

}  // namespace

RestrictedFeatures FindRestricted(const PipelineDefinition& definition) {
  RestrictedFeatures found;
  found.streams = OfStreams(definition);
  std::unordered_set<std::string> names;  // "view.feature"
  for (const ViewDefinition& view : definition.views) {
    const std::vector<bool>& outputs =
        found.outputs.emplace_back(OfView(view, found.streams[view.stream]));
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

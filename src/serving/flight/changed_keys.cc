#include "serving/flight/changed_keys.h"

#include <fmt/format.h>

#include <utility>

#include "columns/conform.h"
#include "pipeline/streams/derived_streams.h"

namespace headrace::serving {

void KeyList::Add(const columns::KeyBytes& key) {
  const auto [at, added] = set_.insert(key);
  if (!added) return;
  order_.push_back(&*at);
  bytes_ += sizeof(columns::KeyBytes) + 2 * sizeof(void*) + key.size();
}

void KeyList::Clear() {
  order_.clear();
  set_.clear();
  bytes_ = 0;
}

const pipeline::StreamDefinition& ChangedKeys::RootOf(
    const pipeline::PipelineDefinition& definition, size_t view) {
  return definition.streams[definition.RootOf(definition.views[view].stream)];
}

base::Result<ChangedKeys> ChangedKeys::Make(pipeline::PipelineRef definition, size_t view,
                                            base::StreamId root) {
  for (size_t stream = definition->views[view].stream; definition->streams[stream].derived();) {
    const pipeline::Derivation& derivation = *definition->streams[stream].derivation;
    if (derivation.as_of || derivation.interval || derivation.dedupe)
      return base::Fail(
          base::ErrorCode::kUnsupported,
          fmt::format("changes of view `{}` can't be followed: rows of stream `{}` are joined, or "
                      "freed of repeats, and an epoch alone does not tell its keys",
                      definition->views[view].name, definition->streams[stream].name));
    stream = derivation.source;
  }
  return ChangedKeys(std::move(definition), view, root);
}

void ChangedKeys::Add(const log::Epoch& epoch, KeyList& keys) const {
  const columns::ColumnBatch* logged = epoch.RowsOf(root_);
  if (logged == nullptr || logged->rows() == 0) return;
  const pipeline::ViewDefinition& view = definition_->views[view_];
  const pipeline::StreamDefinition& root = RootOf(*definition_, view_);
  columns::ColumnBatch rows = columns::ConformTo(root.schema(), *logged);
  if (definition_->streams[view.stream].derived())
    rows = pipeline::DeriveFromRoot(*definition_, view.stream, rows).rows;
  uint64_t errors = 0;  // counted when the rows were applied
  const columns::Column condition =
      view.where ? view.where->Evaluate(rows, errors) : columns::Column();
  columns::KeyBytes key;
  for (size_t row = 0; row < rows.rows(); ++row) {
    if (view.where && (condition.IsNull(row) || !condition.Bool(row))) continue;
    columns::KeyOfRow(rows, view.by, row, key);
    keys.Add(key);
  }
}

}  // namespace headrace::serving

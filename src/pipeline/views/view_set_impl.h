#pragma once
// What a ViewSet is made of; private to this folder: view_set.cc applies and answers,
// view_capture.cc copies it out while it moves, view_restore.cc brings it back.

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/state/pins.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/entity_keys.h"
#include "pipeline/views/hot_keys.h"
#include "pipeline/views/online_view.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {

struct ViewSet::Impl {
  Impl(PipelineRef pipeline, base::MemoryBudget& budget, env::Clock& monotonic);

  void ApplyEpoch(const log::Epoch& epoch, Step step);
  void ApplyStream(size_t stream, const columns::ColumnBatch& batch, const log::Epoch& epoch,
                   Step step);
  std::span<const uint32_t> WantedRows(const std::vector<size_t>& of_views, size_t batch_rows);
  void Publish(base::EpochId last, base::Timestamp log_clock, Step step);
  EntityIndex& IndexOf(size_t view) { return *indexes.at(definition->views[view].entity); }

  // The keys of one stream's rows, and the views that they are keys of.
  struct Keying {
    size_t stream;
    EntityKeys keys;
    std::unique_ptr<HotKeys> hot_keys;
    std::vector<size_t> views;
  };
  // The last epoch of a step.
  struct StepEpoch {
    std::atomic<uint64_t> epoch{0};
    std::atomic<int64_t> clock_us{0};
  };
  static constexpr size_t kStepEpochs = 4;  // a pin that is not revoked is at most one step behind

  const PipelineRef definition;
  env::Clock& clock;
  StateMemory memory;                                           // outlives what is in it
  std::map<std::string, std::unique_ptr<EntityIndex>> indexes;  // by entity
  std::deque<OnlineView> views;
  std::deque<Keying> keyings;
  std::vector<std::optional<base::StreamId>> stream_ids;  // by the definition's stream
  DerivedStreams derived;
  // Held while a step changes what is derived until it is visible, and by a capture that copies it.
  std::mutex derived_mutex;
  std::vector<columns::ColumnBatch> batches;  // of the epoch at hand, by stream
  RowGroups groups;
  std::vector<std::span<const uint32_t>> selections;  // by view, of the stream at hand
  std::vector<uint8_t> wanted;
  std::vector<uint32_t> wanted_rows;
  size_t rows_applied = 0;

  PinTable pins;
  std::atomic<Step> visible{0};
  std::array<StepEpoch, kStepEpochs> step_epochs;
};

}  // namespace headrace::pipeline

#pragma once
// What a ViewSet is made of; private to this folder: view_set.cc applies and answers,
// view_change.cc changes its definition, view_capture.cc copies it out while it moves,
// view_restore.cc brings it back.

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/state/pins.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/streams/hot_keys.h"
#include "pipeline/views/entity_keys.h"
#include "pipeline/views/online_view.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {

// The keys of one entity. They go with the last view of it.
struct KeptKeys {
  explicit KeptKeys(base::MemoryBudget& budget) : memory(budget), index(memory) {}
  StateMemory memory;
  EntityIndex index;
};

// The state of one view, by whichever definitions it is named. It has memory of its own, so that it
// goes whole.
struct KeptView {
  KeptView(PipelineRef definition, size_t number, size_t of_stream,
           std::shared_ptr<KeptKeys> of_keys, base::MemoryBudget& budget)
      : of(std::move(definition)),
        stream(of_stream),
        keys(std::move(of_keys)),
        memory(budget),
        view(of->views[number], memory),
        schema(*rows_of().schema()) {}

  // Of its definition, whose field numbers the view knows: rows are handed to it as such.
  const StreamDefinition& rows_of() const { return of->streams[view.definition().stream]; }
  // Keys of rows are found for both at once.
  bool KeyedAs(const KeptView& other) const {
    return stream == other.stream && keys == other.keys &&
           view.definition().by == other.view.definition().by && schema == other.schema;
  }

  const PipelineRef of;  // the definition that it was made for: what `view` refers to
  const size_t stream;   // as the view set numbers them
  const std::shared_ptr<KeptKeys> keys;
  StateMemory memory;
  OnlineView view;
  const columns::Schema schema;       // of rows_of(): another one after a change of the contract
  std::shared_ptr<HotKeys> hot_keys;  // of all views whose keys are found together
  std::string identity;
  base::EpochId since;
  bool live = true;                    // takes the rows of new epochs
  std::span<const uint32_t> selected;  // of the rows at hand
};

// A definition and the state of its views: what the readers of a step see.
struct ViewTable {
  PipelineRef definition;
  ViewsSince since;
  std::vector<std::shared_ptr<KeptView>> views;
  // By entity, each once.
  std::map<std::string, std::shared_ptr<KeptKeys>> Keys() const;
};
using ViewTableRef = std::shared_ptr<const ViewTable>;

struct ViewSet::Impl {
  Impl(PipelineRef pipeline, ViewsSince since, base::MemoryBudget& budget, env::Clock& monotonic);

  struct StreamOfRows {
    std::string name;
    columns::SchemaRef schema;  // that derived streams are made of; views have their own
    bool derived;
    std::optional<base::StreamId> id;
  };
  // The keys of one stream's rows of one schema, and the views that they are keys of.
  struct Keying {
    size_t stream;
    EntityKeys keys;
    HotKeys* hot_keys;
    std::vector<KeptView*> views;
  };
  // The keys of an entity, and all views of it.
  struct ViewsOfKeys {
    EntityIndex* index;
    std::vector<KeptView*> views;
  };
  // A batch of one stream, on its way into views.
  struct StreamBatch {
    size_t stream;
    const columns::ColumnBatch& rows;
    base::EpochId epoch;
    base::Timestamp clock;
    std::span<const columns::Position> positions = {};  // empty: row i stands at (epoch, i)
    bool is_history = false;                            // of epochs up to `epoch`, by position
  };
  enum class Into : uint8_t { kLive, kBuilding };
  struct Aside {
    log::EpochRef epoch;
    base::MemoryCharge charge;
  };
  // A change under way.
  struct Change {
    ViewTable next;
    std::vector<std::shared_ptr<KeptView>> building;
    bool aside = false;        // epochs are put aside
    bool catching_up = false;  // and what was put aside is applied
    std::deque<Aside> epochs;
    uint64_t rows = 0;  // in them
  };
  // The last epoch of a step.
  struct StepEpoch {
    std::atomic<uint64_t> epoch{0};
    std::atomic<int64_t> clock_us{0};
    std::atomic<const ViewTable*> table{nullptr};
    std::vector<std::atomic<int64_t>> heard_us;  // as below, by stream
  };
  static constexpr size_t kStepEpochs = 4;  // a pin that is not revoked is at most one step behind

  void ApplyEpoch(const log::EpochRef& epoch, Step step);
  void ApplyRows(const log::Epoch& epoch, Into into, Step step);
  void DeriveForBuilding(base::EpochId epoch);
  std::span<const columns::Position> PositionsOf(size_t stream, Into into) const;
  void NoteHeard(const log::Epoch& epoch);
  void NoteInForce(const log::Epoch& epoch);
  void ApplyBatch(const StreamBatch& batch, Into into, Step step);
  void ApplyHistory(const HistoryRows& history, base::Timestamp log_clock, Step step);
  void ApplyAside(std::span<const log::EpochRef> epochs, Step step);
  static bool Takes(const KeptView& view, Into into, const StreamBatch& batch);
  std::span<const uint32_t> WantedRows(const std::vector<KeptView*>& of_views, size_t batch_rows);
  void Sweep(base::EpochId last, base::Timestamp log_clock, Step step);
  void RemoveUnusedKeys(const ViewsOfKeys& of, size_t looked_at, Step step);
  void Publish(base::EpochId last, base::Timestamp log_clock, Step step);
  void Collect(Step step);
  const StepEpoch& VisibleStep() const {
    return step_epochs[visible.load(std::memory_order_relaxed) % kStepEpochs];
  }

  std::shared_ptr<HotKeys> HotKeysOf(const KeptView& view, const ViewTable& beside) const;
  ViewTable TableOf(PipelineRef definition, ViewsSince since,
                    std::vector<std::shared_ptr<KeptView>>& made);
  std::shared_ptr<KeptView> FindKept(const std::string& identity, base::EpochId since) const;
  void PutAside(const log::EpochRef& epoch);
  void CutOver(base::EpochId at, Step step);
  // What is applied to, after a change of it.
  void RenewKeyings();
  void RenewSpare();
  // May be freed once no reader is before `step`.
  void LetGo(std::shared_ptr<const void> what, Step step);
  // That of the visible step.
  ViewTableRef Table() const {
    const std::lock_guard lock(table_mutex);
    return visible_table;
  }
  bool IsSpare(const std::shared_ptr<KeptView>& view) const {
    const std::lock_guard lock(table_mutex);
    return std::ranges::find(spare, view) != spare.end();
  }
  const PipelineRef origin;  // that it was made with: streams stay those of it
  env::Clock& clock;
  base::MemoryBudget& budget;
  std::vector<StreamOfRows> streams;  // those of the definition that it was made with
  // Of streams that come in: the log clock of the newest epoch with something of theirs. Applier.
  std::vector<int64_t> heard_us;
  std::vector<std::vector<size_t>> sources;  // PipelineDefinition::SourcesOf each stream
  mutable std::mutex table_mutex;            // guards the next four, for those who hold no pin
  ViewTableRef table;                        // the newest, which is applied to
  ViewTableRef visible_table;                // the same, but for the step of a cut-over
  ViewTableRef kept;                         // the one before the last change, kept up
  // Views that are as new as those of the table, and not of it, over streams without a table or
  // whose rows depend on others (joins, dedupe): a change may bring them back, and nothing else can
  // once the log has let go of what they were made of.
  std::vector<std::shared_ptr<KeptView>> spare;
  std::optional<Change> change;
  std::vector<std::shared_ptr<KeptView>> active;  // of table, kept and change
  std::vector<ViewsOfKeys> by_entity;             // these
  std::deque<Keying> keyings;
  DerivedStreams derived;
  std::vector<std::pair<size_t, DerivedReader>> derived_readers;  // by stream
  // Held while a step changes what is derived until it is visible, and by a capture that copies it.
  std::mutex derived_mutex;
  // Of the epoch at hand, by stream: of the schemas that derived streams want.
  std::vector<columns::ColumnBatch> batches;
  std::vector<std::vector<columns::Position>> positions_built;  // of rows for views being built
  RowGroups groups;
  std::vector<KeptView*> takers;  // of the batch at hand
  std::vector<uint8_t> wanted;
  std::vector<uint32_t> wanted_rows;
  size_t rows_applied = 0;

  // While a capture writes keys none is removed: one that came again would be met twice.
  struct KeyWalks {
    std::mutex mutex;
    int under_way = 0;
  };
  KeyWalks key_walks;
  // The latest epoch of a page that was restored. Until it is applied no key is removed: one that
  // came after its page was taken looks as if nothing were left of it, and with another number,
  // of a page that was taken later, its rows would be taken for restored ones.
  base::EpochId captured_through;

  PinTable pins;
  std::atomic<Step> visible{0};
  std::atomic<const PipelineDefinition*> visible_definition{nullptr};
  std::array<StepEpoch, kStepEpochs> step_epochs;
  struct Gone {
    Step step;
    std::shared_ptr<const void> what;
  };
  std::deque<Gone> gone;
  std::function<void(std::shared_ptr<const void>)> dispose;
};

}  // namespace headrace::pipeline

#pragma once
// Online state: all views of a pipeline, S(n) = apply(S(n-1), epoch n). One thread applies; any
// thread reads under a pin.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch.h"
#include "columns/position.h"
#include "env/clock.h"
#include "log/epoch.h"
#include "pipeline/definition.h"
#include "pipeline/logged_definition.h"
#include "pipeline/state/row_store.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/streams/hot_keys.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/event_ahead.h"
#include "pipeline/views/key_rows.h"
#include "pipeline/views/own_row.h"
#include "pipeline/views/row_answers.h"

namespace headrace::pipeline {

class ViewSet;
struct ViewTable;

// A reader's hold on one version of all views. Short-lived (under 5 ms, else it may be revoked), or
// turned into a hold of memory. Not copyable; ends with its scope.
class Pin {
 public:
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&&) = delete;
  ~Pin();
  base::EpochId epoch() const { return epoch_; }
  // The epoch's log clock.
  base::Timestamp clock() const { return clock_; }
  // By the view set's clock.
  env::MonotonicTime taken_at() const { return taken_at_; }
  // True when the applier took the version away: everything read under this pin must be thrown away
  // (kUnavailable, retry).
  bool revoked() const;
  // Gives the version up and keeps what ViewSet::Find found under it: from now on it is never
  // revoked, and nothing else may be read under it. Meanwhile memory that rows are done with is not
  // freed, in any view. False when the version was taken away before. Its reader only.
  bool TurnIntoHold();
  bool is_hold() const { return is_hold_; }
  // The definition that the version is of. Lives as long as the pin.
  const PipelineRef& definition() const;

 private:
  friend class ViewSet;
  friend class ViewCapture;
  Pin(ViewSet* views, size_t slot, const ViewTable* table, base::EpochId epoch,
      base::Timestamp clock, env::MonotonicTime taken_at)
      : views_(views),
        slot_(slot),
        table_(table),
        epoch_(epoch),
        clock_(clock),
        taken_at_(taken_at) {}
  ViewSet* views_;
  size_t slot_;
  const ViewTable* table_;
  base::EpochId epoch_;
  base::Timestamp clock_;
  env::MonotonicTime taken_at_;
  bool is_hold_ = false;
};

struct ViewStatus {
  std::string name;
  uint64_t keys = 0;  // that are known: those that were forgotten are not among them
  uint64_t rows = 0;
  uint64_t bytes = 0;
  std::vector<HotKey> hot_keys;
  std::optional<TileFigures> tiles;  // of a view that has some by its definition; part of `bytes`
};

// Rows of one stream that were logged before: for views that are being built. By position,
// ascending; every call goes on behind the one before.
struct HistoryRows {
  size_t stream = 0;  // of the definition that the view set was made with
  columns::ColumnBatch rows;
  std::vector<columns::Position> positions;
};

class ViewSet {
 public:
  static constexpr size_t kPinsMax = 256;  // readers at once; more get kResourceExhausted
  static constexpr env::MonotonicTime kPinLifetime = std::chrono::milliseconds(5);

  ViewSet(PipelineRef definition, base::MemoryBudget& budget, env::Clock& clock,
          ViewsSince since = {});
  ~ViewSet();
  ViewSet(const ViewSet&) = delete;

  // Says which of the log's streams is the definition's stream `stream`; rows of unbound streams
  // are no rows of any view. Applier thread only, before an epoch with that stream's rows is
  // applied; binding again to the same id is allowed.
  void BindStream(size_t stream, base::StreamId id);
  // A stream that comes in, of the definition that it was made with; nothing when there is none of
  // that name.
  std::optional<size_t> StreamNumber(std::string_view name) const;
  // Any stream, in the numbers of HistoryRows; nothing when views can't be of it: it is not here,
  // or is made in another way than `definition` says.
  std::optional<size_t> NumberOf(const PipelineDefinition& definition, size_t stream) const;
  // Applies epochs in order as one step and makes the last one visible. Applier thread only. Never
  // waits for readers.
  // With the epochs some history may be applied, to the views that are being built.
  void Apply(std::span<const log::EpochRef> epochs, const HistoryRows* history = nullptr);
  // From the next Apply on, `reader` is told the outputs of `view` as of each of its rows, when the
  // row has just been applied; null ends it. Outlives the view set, or is replaced. Applier thread
  // only; each epoch's answers come before the epoch is visible.
  void AnswerRows(size_t view, RowAnswerReader* reader);
  // From the next Apply on, `reader` is told the rows of the derived stream `stream` (NumberOf) of
  // each epoch, and when they became known (empty: with their epoch). Of epochs that a capture has
  // there are none. Applier thread only.
  using DerivedReader = std::function<void(base::EpochId, const columns::ColumnBatch&,
                                           std::span<const int64_t> known_at)>;
  void ReadDerived(size_t stream, DerivedReader reader);
  // True when Apply would overwrite a version that a reader holds; the applier then gathers more
  // epochs and asks again. After kPinLifetime it revokes those pins and answers false. Applier
  // thread only.
  bool HeldByReaders();

  // A change of definition (docs/internals/changes.md), in this order; applier thread only. Readers
  // see nothing of it until the cut-over, and not one read fails by it.
  //
  // Makes the views of `next` that are not here: views that say and began what one of ours does
  // keep their state, the views before the last change among them. Streams are those that there
  // are (an invariant). A view since kSinceThisEntry begins empty, with the cut-over.
  struct ToBuild {
    std::vector<size_t> views;  // of `next`, that want their history
    size_t kept = 0;            // views that keep their state
  };
  ToBuild BeginChange(PipelineRef next, ViewsSince since);
  // From here on epochs that are applied are also put aside for the views that are being built,
  // whose history ends with the visible epoch, which it returns. More rows than kAsideRowsMax and
  // they are let go again: then ask for more history, and anew.
  static constexpr uint64_t kAsideRowsMax = 1 << 18;
  base::EpochId PutAside();
  // The history is there: each Apply now takes some of what was put aside with it, until the views
  // are as new as all others, and take part.
  enum class CatchingUp : uint8_t { kUnderWay, kDone, kLost };
  CatchingUp CatchUp();
  // The next epoch with a definition entry of the change's id is the cut-over: with it `next` is
  // what readers see. At a start there is no such epoch: CutOver does it at once, as of the visible
  // one.
  void CutOver();
  // Nothing of a change stays. Nothing happens without one.
  void DropChange();
  // Views that the last change took away are kept up, so that a change back costs nothing. Lets go
  // of them.
  void DropKept();
  // Names of the views of `next` that are kept up from before the last change. Any thread.
  std::vector<std::string> KeptUp(const PipelineDefinition& next, const ViewsSince& since) const;
  // Of the views that are being built.
  ViewStatus building() const;
  // Where the state of views ends that no reader can see any more: it takes long to free. Empty: at
  // once.
  void DisposeBy(std::function<void(std::shared_ptr<const void>)> dispose);

  // Pins the newest visible epoch. Errors: kResourceExhausted (kPinsMax), kUnavailable (nothing
  // visible yet).
  base::Result<Pin> PinNewest();
  base::EpochId visible() const;
  // A key of a view, by the bytes of the view's `by` fields.
  struct ViewKey {
    size_t view;
    std::string_view key;
  };
  // Asks for the memory that Get will look at for these keys, all at once: what would be waited for
  // one after the other. Says nothing of them.
  void Prefetch(const Pin& pin, std::span<const ViewKey> keys) const;
  // What Answer and AnswerAhead read: where the key's rows are. Lives as long as the pin. `view`
  // indexes the definition's views; `key` is columns::KeyBytes of its `by` fields.
  class FoundKey {
   public:
    FoundKey() = default;

   private:
    friend class ViewSet;
    explicit FoundKey(const std::optional<RowImage>& image) : image_(image) {}
    std::optional<RowImage> image_;  // nothing: no such key
  };
  FoundKey Find(const Pin& pin, size_t view, std::string_view key) const;
  // Get and GetAhead of a key that was found under this pin, a hold by now or not.
  base::Result<ViewAnswer> Answer(const Pin& pin, size_t view, const FoundKey& found,
                                  base::Timestamp as_of,
                                  const std::optional<OwnRow>& own = std::nullopt) const;
  base::Result<ViewAnswer> AnswerAhead(const Pin& pin, size_t view, std::string_view key,
                                       const FoundKey& found, base::Timestamp as_of,
                                       const EventAhead& ahead) const;
  // The key's features. `view` indexes the definition's views; `key` is columns::KeyBytes of its
  // `by` fields. as_of must be >= pin.clock() - the view's history, else kFailedPrecondition (ask
  // the offline path). The answer is worthless if pin.revoked() afterwards.
  // `own`: the row that the question is about; a view with `self: excluded` leaves it out.
  base::Result<ViewAnswer> Get(const Pin& pin, size_t view, std::string_view key,
                               base::Timestamp as_of,
                               const std::optional<OwnRow>& own = std::nullopt) const;

  // The same, as it will be when `ahead` is applied, an event that the pin's epoch does not have,
  // and nothing else. Also kUnsupported: that can't be told of this view and key (event_ahead.h).
  base::Result<ViewAnswer> GetAhead(const Pin& pin, size_t view, std::string_view key,
                                    base::Timestamp as_of, const EventAhead& ahead) const;

  // Copies the key's rows that the state keeps one by one, at most `rows_max`; no rows for a key
  // that there is not. Worthless if pin.revoked() afterwards. Errors: kResourceExhausted when there
  // are more.
  base::Result<KeyRows> RowsOf(const Pin& pin, size_t view, std::string_view key,
                               size_t rows_max) const;

  // When the sources of a view's rows were last heard of: the log clock of the newest epoch with
  // rows, refused rows or a heartbeat of it (PipelineDefinition::SourcesOf); of several the one
  // that is furthest behind. Timestamp::Min() for a source that has said nothing yet. Worthless if
  // pin.revoked() afterwards.
  base::Timestamp ProgressOf(const Pin& pin, size_t view) const;

  std::vector<ViewStatus> status() const;
  std::vector<DerivedStreamStatus> derived_status() const;
  // Bytes of keys, rows and versions of dimensions, as a snapshot has them.
  uint64_t bytes() const;
  // That of the visible step, as PinNewest has it, and where its views begin. Any thread; the
  // reference lives until the next change.
  const PipelineDefinition& definition() const;
  LoggedDefinition current() const;
  // Whether `definition` is that one, at the price of a look. Any thread.
  bool IsVisible(const PipelineDefinition& definition) const;
  // Frees what no reader can see any more, as each Apply does: it may have been held by one that is
  // gone. Applier.
  void FreeRetired();
  // Demo and tests only: flips the lowest bit of a stored argument of the key's newest row, so that
  // verification has something to find. kNotFound when the key has no rows.
  base::Result<void> CorruptForDemonstration(size_t view, std::string_view key);

 private:
  friend class Pin;
  friend class ViewCapture;
  friend class ViewRestore;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::pipeline

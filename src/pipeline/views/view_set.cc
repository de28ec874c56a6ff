// Applying, in steps:
// 1. pins of older versions than the visible one are revoked (HeldByReaders has given them their
// time);
// 2. per epoch: the rows of derived streams are made; per stream: select rows, resolve keys once
// per entity, append to each view, all under the next step's number;
// 3. some keys are swept for rows that time has left behind;
// 4. the step is published: one sequentially consistent store that every reader begins with;
// 5. memory that no pin can see any more is freed, and the budget is told.

#include <algorithm>
#include <array>

#include "base/log.h"
#include "columns/conform.h"
#include "log/sign_of_life.h"
#include "pipeline/views/view_set_impl.h"

namespace headrace::pipeline {
namespace {

static_assert(PinTable::kSlots == ViewSet::kPinsMax);

constexpr size_t kSweepMin = 16;  // keys looked at per step, at least
constexpr size_t kSweepWhenFull = 1 << 15;
constexpr size_t kRowsPerSweptKey = 8;  // and one more per so many rows applied
constexpr size_t kSweptPerKey = 4;      // that came, where keys are forgotten
constexpr size_t kSlotsPerKey = 4;      // of an index, about

base::Error TooOldToLeaveOut(const OnlineView& view) {
  return base::Error(base::ErrorCode::kFailedPrecondition,
                     "the event is older than the rows that the view keeps one by one, so it can't "
                     "be left out: raise the view's history, or ask without the event")
      .With("view", view.definition().name);
}

// Of a piece of history, by position: those that stand behind `epoch`.
template <typename Batch>
std::span<const uint32_t> AfterEpoch(std::span<const uint32_t> rows, const Batch& batch,
                                     base::EpochId epoch) {
  const auto first = std::partition_point(rows.begin(), rows.end(), [&](uint32_t row) {
    return batch.positions[row].epoch() <= epoch;
  });
  return rows.subspan(static_cast<size_t>(first - rows.begin()));
}

}  // namespace

ViewSet::Impl::Impl(PipelineRef pipeline, ViewsSince since, base::MemoryBudget& of_budget,
                    env::Clock& monotonic)
    : origin(pipeline),
      clock(monotonic),
      budget(of_budget),
      derived(*origin, budget, &clock),
      batches(origin->streams.size()),
      positions_built(origin->streams.size()) {
  for (const StreamDefinition& stream : origin->streams)
    streams.push_back({stream.name, stream.schema(), stream.derived(), std::nullopt});
  heard_us.assign(streams.size(), base::Timestamp::Min().us);
  for (size_t stream = 0; stream < streams.size(); ++stream)
    sources.push_back(origin->SourcesOf(stream));
  for (StepEpoch& of_step : step_epochs)
    of_step.heard_us = std::vector<std::atomic<int64_t>>(streams.size());
  std::vector<std::shared_ptr<KeptView>> made;
  table = std::make_shared<const ViewTable>(TableOf(std::move(pipeline), std::move(since), made));
  visible_table = table;
  visible_definition.store(table->definition.get(), std::memory_order_relaxed);
  RenewKeyings();
  for (const auto& view : active) {
    view->memory.SettleCharges();
    view->keys->memory.SettleCharges();
  }
}

void ViewSet::Impl::ApplyEpoch(const log::EpochRef& epoch, Step step) {
  if (change) {
    for (const log::ControlEntry& entry : epoch->controls)
      if (change && entry.kind == log::ControlEntry::Kind::kDefinition &&
          entry.name == change->next.definition->id.ToString())
        CutOver(epoch->id, step);
  }
  NoteHeard(*epoch);
  NoteInForce(*epoch);
  ApplyRows(*epoch, Into::kLive, step);
  if (change) PutAside(epoch);
}

// What was assumed of rows under an earlier definition stays assumed of them.
void ViewSet::Impl::NoteInForce(const log::Epoch& epoch) {
  if (!derived.looks_at_what_is_in_force()) return;
  for (const log::ControlEntry& entry : epoch.controls) {
    if (entry.kind != log::ControlEntry::Kind::kDefinition) continue;
    if (entry.name == origin->id.ToString()) {
      derived.NoteInForce(*origin);
    } else if (const auto logged = DecodeEntry(entry, epoch.id)) {
      derived.NoteInForce(*logged->definition);
    }
  }
}

void ViewSet::Impl::NoteHeard(const log::Epoch& epoch) {
  for (size_t stream = 0; stream < streams.size(); ++stream) {
    const StreamOfRows& of = streams[stream];
    if (!of.derived && log::IsHeardOf(epoch, of.id, of.name))
      heard_us[stream] = std::max(heard_us[stream], epoch.clock.us);
  }
}

void ViewSet::Impl::ApplyRows(const log::Epoch& epoch, Into into, Step step) {
  for (size_t stream = 0; stream < streams.size(); ++stream) {
    batches[stream] = {};
    if (!streams[stream].id) continue;
    const columns::ColumnBatch* rows = epoch.RowsOf(*streams[stream].id);
    if (rows != nullptr && rows->rows() > 0)
      batches[stream] = columns::ConformTo(streams[stream].schema, *rows);
  }
  if (into == Into::kLive) {
    derived.Apply(epoch.id, batches);
    for (const auto& [stream, reader] : derived_readers)
      reader(epoch.id, batches[stream], derived.KnownAtOf(stream));
  } else {
    DeriveForBuilding(epoch.id);
  }
  for (size_t stream = 0; stream < batches.size(); ++stream) {
    if (batches[stream].rows() == 0) continue;
    const bool made = streams[stream].derived;
    // As logged where they are: a view may know more fields of them.
    ApplyBatch({.stream = stream,
                .rows = made ? batches[stream] : *epoch.RowsOf(*streams[stream].id),
                .epoch = epoch.id,
                .clock = epoch.clock,
                .positions = PositionsOf(stream, into)},
               into, step);
  }
  std::ranges::fill(batches, columns::ColumnBatch());  // the epoch's memory is not kept
}

// Once more, and counted by nobody: what is built is of no stream that remembers rows.
void ViewSet::Impl::DeriveForBuilding(base::EpochId epoch) {
  for (const auto& view : change->building) {
    const size_t root = origin->RootOf(view->stream);
    if (root == view->stream || batches[view->stream].rows() > 0 || batches[root].rows() == 0)
      continue;
    DerivedRows made = DeriveFromRoot(*origin, view->stream, batches[root]);
    batches[view->stream] = std::move(made.rows);
    std::vector<columns::Position>& positions = positions_built[view->stream];
    positions.clear();
    if (!origin->KeepsPositions(view->stream)) continue;
    for (const uint32_t row : made.from) positions.push_back(columns::Position::Of(epoch, row));
  }
}

std::span<const columns::Position> ViewSet::Impl::PositionsOf(size_t stream, Into into) const {
  if (!streams[stream].derived) return {};
  if (into == Into::kBuilding) return positions_built[stream];
  return derived.PositionsOf(stream);
}

// Rows that at least one of the views selects: others must not bring in keys.
std::span<const uint32_t> ViewSet::Impl::WantedRows(const std::vector<KeptView*>& of_views,
                                                    size_t batch_rows) {
  for (const KeptView* view : of_views)
    if (view->selected.size() == batch_rows) return view->selected;
  wanted.assign(batch_rows, 0);
  for (const KeptView* view : of_views)
    for (const uint32_t row : view->selected) wanted[row] = 1;
  wanted_rows.clear();
  for (uint32_t row = 0; row < batch_rows; ++row)
    if (wanted[row] != 0) wanted_rows.push_back(row);
  return wanted_rows;
}

bool ViewSet::Impl::Takes(const KeptView& view, Into into, const StreamBatch& batch) {
  return view.live == (into == Into::kLive) && batch.epoch > view.since;
}

void ViewSet::Impl::ApplyBatch(const StreamBatch& of, Into into, Step step) {
  rows_applied += of.rows.rows();
  for (Keying& keying : keyings) {
    if (keying.stream != of.stream) continue;
    const StreamDefinition& rows_of = keying.views.front()->rows_of();
    const columns::ColumnBatch batch = columns::ConformTo(rows_of.schema(), of.rows);
    const auto times = batch.column(rows_of.timing.event_time_field).Int64s();
    takers.clear();
    for (KeptView* view : keying.views) {
      if (!Takes(*view, into, of)) continue;
      view->selected = view->view.Select(batch);
      if (of.is_history) view->selected = AfterEpoch(view->selected, of, view->since);
      takers.push_back(view);
    }
    if (takers.empty()) continue;
    const auto of_views = WantedRows(takers, batch.rows());
    const auto numbers = keying.keys.Resolve(batch, of_views, step);
    if (into == Into::kLive) keying.hot_keys->Note(batch, of_views, numbers, clock.Now());
    for (KeptView* view : takers) {
      view->view.Apply({.batch = batch,
                        .times = times,
                        .rows = view->selected,
                        .numbers = numbers,
                        .numbers_end = keying.keys.index().size(),
                        .epoch = of.epoch,
                        .clock = of.clock,
                        .positions = of.positions},
                       groups, step);
    }
  }
}

// Where keys are forgotten, more of them than come in must be looked at: with four for one there
// are at most a third more than need be. Likewise of those that may be removed.
void ViewSet::Impl::Sweep(base::EpochId last, base::Timestamp log_clock, Step step) {
  const size_t least = rows_applied == 0 && budget.IsNearlyFull() ? kSweepWhenFull : kSweepMin;
  const size_t by_rows = least + rows_applied / kRowsPerSweptKey;
  for (const ViewsOfKeys& of : by_entity) {
    const size_t with_new = by_rows + of.index->TakeAdded() * kSweptPerKey;
    bool forgets = false;
    size_t forgotten = 0;
    for (KeptView* view : of.views) {
      const bool keys_go = view->view.store().keys_kept().has_value();
      forgotten += view->view.Sweep(keys_go ? with_new : by_rows, log_clock, step);
      forgets = forgets || keys_go;
    }
    if (!forgets || last < captured_through) continue;
    RemoveUnusedKeys(of, (by_rows + forgotten * kSweptPerKey) * kSlotsPerKey, step);
  }
}

// Of what was forgotten in a step before this one: readers of the visible step see nothing of it,
// those of earlier ones were revoked or have what they read. When its number goes to another key,
// rows that a capture may have written of it are behind whatever a question can reach, and so count
// for nothing with that one.
void ViewSet::Impl::RemoveUnusedKeys(const ViewsOfKeys& of, size_t looked_at, Step step) {
  const std::lock_guard lock(key_walks.mutex);
  if (key_walks.under_way > 0) return;
  const Step seen = visible.load(std::memory_order_relaxed);
  of.index->RemoveUnused(looked_at, step, [&](std::span<const uint32_t> numbers) {
    for (const KeptView* view : of.views)
      for (const uint32_t number : numbers) view->view.store().PrefetchRow(number);
    uint64_t unused = 0;
    for (size_t i = 0; i < numbers.size(); ++i) {
      const bool none = std::ranges::all_of(of.views, [&](const KeptView* view) {
        return view->view.store().IsUnused(numbers[i], seen);
      });
      if (none) unused |= uint64_t{1} << i;
    }
    return unused;
  });
}

void ViewSet::Impl::Publish(base::EpochId last, base::Timestamp log_clock, Step step) {
  StepEpoch& of_step = step_epochs[step % kStepEpochs];
  of_step.epoch.store(last.value, std::memory_order_relaxed);
  of_step.clock_us.store(log_clock.us, std::memory_order_relaxed);
  of_step.table.store(table.get(), std::memory_order_relaxed);
  for (size_t stream = 0; stream < heard_us.size(); ++stream)
    of_step.heard_us[stream].store(heard_us[stream], std::memory_order_relaxed);
  if (visible_table == table) return visible.store(step);
  // Both at once: whoever has pinned a definition finds it in Table(), and nobody finds it sooner.
  const std::lock_guard lock(table_mutex);
  visible_table = table;
  visible_definition.store(table->definition.get(), std::memory_order_relaxed);
  visible.store(step);
}

void ViewSet::Impl::Collect(Step step) {
  const Step oldest = pins.Oldest(step);
  for (const auto& view : active) {
    for (StateMemory* memory : {&view->memory, &view->keys->memory}) {
      memory->Collect(oldest);
      memory->SettleCharges();
    }
  }
  while (!gone.empty() && gone.front().step <= oldest) {
    if (dispose) dispose(std::move(gone.front().what));
    gone.pop_front();
  }
}

ViewSet::ViewSet(PipelineRef definition, base::MemoryBudget& budget, env::Clock& clock,
                 ViewsSince since)
    : impl_(std::make_unique<Impl>(std::move(definition), std::move(since), budget, clock)) {}

ViewSet::~ViewSet() = default;

void ViewSet::BindStream(size_t stream, base::StreamId id) {
  HR_CHECK(stream < impl_->streams.size(), "no such stream");
  auto& bound = impl_->streams[stream].id;
  HR_CHECK(!bound || *bound == id, "a stream's id never changes");
  bound = id;
}

std::optional<size_t> ViewSet::StreamNumber(std::string_view name) const {
  for (size_t i = 0; i < impl_->streams.size(); ++i)
    if (impl_->streams[i].name == name && !impl_->streams[i].derived) return i;
  return std::nullopt;
}

std::optional<size_t> ViewSet::NumberOf(const PipelineDefinition& definition, size_t stream) const {
  const StreamDefinition& wanted = definition.streams[stream];
  const auto number = impl_->origin->StreamNamed(wanted.name);
  if (!number) return std::nullopt;
  const StreamDefinition& ours = impl_->origin->streams[*number];
  if (ours.derived() != wanted.derived()) return std::nullopt;
  // One that comes in may have got more fields: each view has its rows as it knows them.
  if (!ours.derived()) return number;
  const bool same = *ours.schema() == *wanted.schema() &&
                    ours.timing.event_time_field == wanted.timing.event_time_field &&
                    DerivationText(*impl_->origin, *number) == DerivationText(definition, stream);
  return same ? number : std::nullopt;
}

void ViewSet::Apply(std::span<const log::EpochRef> epochs, const HistoryRows* history) {
  if (epochs.empty() && history == nullptr) return;
  const Step before = impl_->visible.load(std::memory_order_relaxed);
  const Step step = before + 1;
  const Impl::StepEpoch& was = impl_->VisibleStep();
  base::EpochId last{was.epoch.load(std::memory_order_relaxed)};
  base::Timestamp clock{was.clock_us.load(std::memory_order_relaxed)};
  impl_->pins.RevokeBefore(before, env::MonotonicTime::max());
  impl_->rows_applied = 0;
  std::unique_lock derived(impl_->derived_mutex, std::defer_lock);
  if (!impl_->derived.empty()) derived.lock();
  if (history != nullptr) impl_->ApplyHistory(*history, clock, step);
  impl_->ApplyAside(epochs, step);
  for (const log::EpochRef& epoch : epochs) impl_->ApplyEpoch(epoch, step);
  if (!epochs.empty()) {
    last = epochs.back()->id;
    clock = epochs.back()->clock;
  }
  impl_->Sweep(last, clock, step);
  impl_->Publish(last, clock, step);
  impl_->Collect(step);
  impl_->derived.SettleCharges();
}

void ViewSet::FreeRetired() {
  impl_->Collect(impl_->visible.load(std::memory_order_relaxed));
  impl_->derived.SettleCharges();
}

void ViewSet::AnswerRows(size_t view, RowAnswerReader* reader) {
  HR_CHECK(view < impl_->table->views.size(), "no such view");
  impl_->table->views[view]->view.AnswerRows(view, reader);
}

void ViewSet::ReadDerived(size_t stream, DerivedReader reader) {
  HR_CHECK(stream < impl_->streams.size() && impl_->streams[stream].derived, "no derived stream");
  impl_->derived_readers.emplace_back(stream, std::move(reader));
}

bool ViewSet::HeldByReaders() {
  const Step visible_step = impl_->visible.load(std::memory_order_relaxed);
  if (!impl_->pins.AnyBefore(visible_step)) return false;
  const size_t revoked = impl_->pins.RevokeBefore(visible_step, impl_->clock.Now() - kPinLifetime);
  if (revoked > 0)
    base::Log(base::LogLevel::kDebug, "pipeline.pins_revoked", {{"pins", std::to_string(revoked)}});
  return impl_->pins.AnyBefore(visible_step);
}

base::Result<Pin> ViewSet::PinNewest() {
  const env::MonotonicTime now = impl_->clock.Now();
  const auto taken = impl_->pins.Take(impl_->visible, now);
  if (!taken)
    return base::Fail(
        base::ErrorCode::kResourceExhausted,
        "256 requests are reading the online state already: retry, or send fewer at once");
  if (taken->step == 0) {
    impl_->pins.Release(taken->slot);
    return base::Fail(base::ErrorCode::kUnavailable,
                      "nothing is visible yet: the engine is starting");
  }
  const Impl::StepEpoch& of_step = impl_->step_epochs[taken->step % Impl::kStepEpochs];
  return Pin(this, taken->slot, of_step.table.load(std::memory_order_relaxed),
             {of_step.epoch.load(std::memory_order_relaxed)},
             {of_step.clock_us.load(std::memory_order_relaxed)}, now);
}

base::EpochId ViewSet::visible() const {
  while (true) {
    const Step step = impl_->visible.load();
    if (step == 0) return {0};
    const uint64_t epoch =
        impl_->step_epochs[step % Impl::kStepEpochs].epoch.load(std::memory_order_acquire);
    if (impl_->visible.load() == step) return {epoch};
  }
}

void ViewSet::Prefetch(const Pin& pin, std::span<const ViewKey> keys) const {
  constexpr size_t kAtOnce = EntityIndex::kAtOnce;
  std::array<uint64_t, kAtOnce> hashes;
  std::array<std::optional<uint32_t>, kAtOnce> numbers;
  const Step step = impl_->pins.StepOfSlot(pin.slot_);
  const auto view = [&](const ViewKey& key) -> const KeptView& {
    HR_CHECK(key.view < pin.table_->views.size(), "no such view");
    return *pin.table_->views[key.view];
  };
  for (; !keys.empty(); keys = keys.subspan(std::min(kAtOnce, keys.size()))) {
    const auto now = keys.first(std::min(kAtOnce, keys.size()));
    for (size_t i = 0; i < now.size(); ++i) {
      hashes[i] = EntityIndex::HashOf(now[i].key);
      view(now[i]).keys->index.Prefetch(hashes[i]);
    }
    for (size_t i = 0; i < now.size(); ++i) view(now[i]).keys->index.PrefetchRecord(hashes[i]);
    for (size_t i = 0; i < now.size(); ++i) {
      numbers[i] = view(now[i]).keys->index.FindHashed(now[i].key, hashes[i]);
      if (numbers[i]) view(now[i]).view.store().PrefetchRow(*numbers[i]);
    }
    for (size_t i = 0; i < now.size(); ++i)
      if (numbers[i]) view(now[i]).view.store().PrefetchNewest(*numbers[i], step);
    for (size_t i = 0; i < now.size(); ++i)
      if (numbers[i]) view(now[i]).view.store().PrefetchTree(*numbers[i], step);
  }
}

ViewSet::FoundKey ViewSet::Find(const Pin& pin, size_t view, std::string_view key) const {
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  const KeptView& kept = *pin.table_->views[view];
  const auto number = kept.keys->index.Find(key);
  if (!number) return {};
  return FoundKey(kept.view.store().Find(*number, impl_->pins.StepOfSlot(pin.slot_)));
}

base::Result<ViewAnswer> ViewSet::Get(const Pin& pin, size_t view, std::string_view key,
                                      base::Timestamp as_of,
                                      const std::optional<OwnRow>& own) const {
  return Answer(pin, view, Find(pin, view, key), as_of, own);
}

base::Result<ViewAnswer> ViewSet::Answer(const Pin& pin, size_t view, const FoundKey& found,
                                         base::Timestamp as_of,
                                         const std::optional<OwnRow>& own) const {
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  const KeptView& kept = *pin.table_->views[view];
  const OnlineView& online = kept.view;
  if (as_of < pin.clock() - online.definition().history) {
    return base::Fail(
        base::Error(
            base::ErrorCode::kFailedPrecondition,
            "as_of is before the history that the online state keeps: raise the view's history, or "
            "ask for training rows")
            .With("view", online.definition().name)
            .With("as_of", base::FormatTimestamp(as_of))
            .With("history", base::FormatDuration(online.definition().history)));
  }
  std::optional<LeftOutRow> without;
  if (own) without = LeftOutOf(*pin.definition(), pin.definition()->views[view], *own);
  const auto kept_row = without ? online.KeptOf(*without, pin.clock()) : OnlineView::Kept::kYes;
  if (kept_row == OnlineView::Kept::kPerhapsNot) return base::Fail(TooOldToLeaveOut(online));
  ViewAnswer answer =
      found.image_ ? online.Answer(*found.image_, as_of, without) : online.NotFound();
  if (kept_row == OnlineView::Kept::kOutsideWindows && answer.event_time &&
      answer.event_time->us <= without->time)
    return base::Fail(TooOldToLeaveOut(online));  // which row is the newest but for it?
  if (pin.revoked())
    return base::Fail(base::ErrorCode::kUnavailable,
                      "the read took longer than 5 ms and its version was taken away: retry");
  return answer;
}

base::Result<ViewAnswer> ViewSet::GetAhead(const Pin& pin, size_t view, std::string_view key,
                                           base::Timestamp as_of, const EventAhead& ahead) const {
  return AnswerAhead(pin, view, key, Find(pin, view, key), as_of, ahead);
}

base::Result<ViewAnswer> ViewSet::AnswerAhead(const Pin& pin, size_t view, std::string_view key,
                                              const FoundKey& found, base::Timestamp as_of,
                                              const EventAhead& ahead) const {
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  const KeptView& kept = *pin.table_->views[view];
  HR_TRY(const std::optional<AheadRow> row,
         AheadRow::Of(*kept.of, kept.view.definition(), ahead, key));
  if (!row) return Answer(pin, view, found, as_of);
  auto answer = kept.view.AnswerAhead(found.image_.value_or(RowImage{}), as_of, *row);
  if (pin.revoked())
    return base::Fail(base::ErrorCode::kUnavailable,
                      "the read took longer than 5 ms and its version was taken away: retry");
  if (!answer)
    return base::Fail(base::ErrorCode::kUnsupported,
                      "the key has newer rows than the event, and the view windows of rows");
  return *std::move(answer);
}

base::Result<KeyRows> ViewSet::RowsOf(const Pin& pin, size_t view, std::string_view key,
                                      size_t rows_max) const {
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  const KeptView& kept = *pin.table_->views[view];
  return kept.view.RowsOf(kept.keys->index.Find(key), impl_->pins.StepOfSlot(pin.slot_),
                          pin.clock(), rows_max);
}

base::Timestamp ViewSet::ProgressOf(const Pin& pin, size_t view) const {
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  const Impl::StepEpoch& of_step =
      impl_->step_epochs[impl_->pins.StepOfSlot(pin.slot_) % Impl::kStepEpochs];
  int64_t behind = base::Timestamp::Max().us;
  for (const size_t source : impl_->sources[pin.table_->views[view]->stream])
    behind = std::min(behind, of_step.heard_us[source].load(std::memory_order_relaxed));
  return {behind};
}

std::vector<ViewStatus> ViewSet::status() const {
  const ViewTableRef table = impl_->Table();
  const env::MonotonicTime now = impl_->clock.Now();
  std::vector<ViewStatus> all;
  for (const auto& kept : table->views) {
    const RowStore& store = kept->view.store();
    all.push_back({.name = kept->view.definition().name,
                   .keys = store.keys(),
                   .rows = store.rows(),
                   .bytes = store.bytes(),
                   .hot_keys = kept->hot_keys->Newest(now),
                   .tiles = store.tile_figures()});
  }
  return all;
}

std::vector<DerivedStreamStatus> ViewSet::derived_status() const { return impl_->derived.status(); }

uint64_t ViewSet::bytes() const {
  uint64_t bytes = impl_->derived.bytes();
  const std::lock_guard lock(impl_->table_mutex);
  for (const auto& [entity, keys] : impl_->table->Keys()) bytes += keys->index.bytes();
  for (const auto& kept : impl_->table->views) bytes += kept->view.store().bytes();
  for (const auto& kept : impl_->spare) bytes += kept->view.store().bytes();
  return bytes;
}

const PipelineDefinition& ViewSet::definition() const { return *impl_->Table()->definition; }

bool ViewSet::IsVisible(const PipelineDefinition& definition) const {
  return impl_->visible_definition.load(std::memory_order_relaxed) == &definition;
}

base::Result<void> ViewSet::CorruptForDemonstration(size_t view, std::string_view key) {
  HR_TRY(const Pin pin, PinNewest());  // what is found stays meanwhile
  HR_CHECK(view < pin.table_->views.size(), "no such view");
  KeptView& kept = *pin.table_->views[view];
  const auto number = kept.keys->index.Find(key);
  if (!number || !kept.view.FlipBit(*number, impl_->pins.StepOfSlot(pin.slot_)))
    return base::Fail(base::ErrorCode::kNotFound, "the key has no stored argument in this view");
  return {};
}

Pin::Pin(Pin&& other) noexcept
    : views_(std::exchange(other.views_, nullptr)),
      slot_(other.slot_),
      table_(other.table_),
      epoch_(other.epoch_),
      clock_(other.clock_),
      taken_at_(other.taken_at_),
      is_hold_(other.is_hold_) {}

Pin::~Pin() {
  if (views_ != nullptr) views_->impl_->pins.Release(slot_);
}

bool Pin::revoked() const { return !is_hold_ && views_->impl_->pins.revoked(slot_); }

bool Pin::TurnIntoHold() {
  is_hold_ = is_hold_ || views_->impl_->pins.TurnIntoHold(slot_);
  return is_hold_;
}

const PipelineRef& Pin::definition() const { return table_->definition; }

}  // namespace headrace::pipeline

// Applying, in steps:
// 1. pins of older versions than the visible one are revoked (HeldByReaders has given them their
// time);
// 2. per epoch: the rows of derived streams are made; per stream: select rows, resolve keys once
// per entity, append to each view, all under the next step's number;
// 3. some keys are swept for rows that time has left behind;
// 4. the step is published: one sequentially consistent store that every reader begins with;
// 5. memory that no pin can see any more is freed, and the budget is told.

#include <algorithm>

#include "base/log.h"
#include "pipeline/views/conform.h"
#include "pipeline/views/view_set_impl.h"

namespace headrace::pipeline {
namespace {

static_assert(PinTable::kSlots == ViewSet::kPinsMax);

constexpr size_t kSweepMin = 16;        // keys looked at per step, at least
constexpr size_t kRowsPerSweptKey = 8;  // and one more per so many rows applied

}  // namespace

ViewSet::Impl::Impl(PipelineRef pipeline, base::MemoryBudget& budget, env::Clock& monotonic)
    : definition(std::move(pipeline)),
      clock(monotonic),
      memory(budget),
      stream_ids(definition->streams.size()),
      derived(*definition, budget),
      batches(definition->streams.size()) {
  for (size_t i = 0; i < definition->views.size(); ++i) {
    const ViewDefinition& view = definition->views[i];
    views.emplace_back(view, memory);
    auto& index = indexes[view.entity];
    if (index == nullptr) index = std::make_unique<EntityIndex>(memory);
    const auto same = std::find_if(keyings.begin(), keyings.end(), [&](const Keying& keying) {
      return keying.stream == view.stream && keying.keys.by() == view.by &&
             &keying.keys.index() == index.get();
    });
    if (same != keyings.end()) {
      same->views.push_back(i);
    } else {
      keyings.push_back(
          {view.stream, EntityKeys(*index, view.by), std::make_unique<HotKeys>(view.by), {i}});
    }
  }
  selections.resize(views.size());
  memory.SettleCharges();
}

void ViewSet::Impl::ApplyEpoch(const log::Epoch& epoch, Step step) {
  for (size_t stream = 0; stream < stream_ids.size(); ++stream) {
    batches[stream] = {};
    if (!stream_ids[stream]) continue;
    const columns::ColumnBatch* rows = epoch.RowsOf(*stream_ids[stream]);
    if (rows != nullptr && rows->rows() > 0)
      batches[stream] = ConformTo(definition->streams[stream].schema(), *rows);
  }
  derived.Apply(epoch.id, batches);
  for (size_t stream = 0; stream < batches.size(); ++stream)
    if (batches[stream].rows() > 0) ApplyStream(stream, batches[stream], epoch, step);
  std::ranges::fill(batches, columns::ColumnBatch());  // the epoch's memory is not kept
}

// Rows that at least one of the views selects: others must not bring in keys.
std::span<const uint32_t> ViewSet::Impl::WantedRows(const std::vector<size_t>& of_views,
                                                    size_t batch_rows) {
  for (const size_t view : of_views)
    if (selections[view].size() == batch_rows) return selections[view];
  wanted.assign(batch_rows, 0);
  for (const size_t view : of_views)
    for (const uint32_t row : selections[view]) wanted[row] = 1;
  wanted_rows.clear();
  for (uint32_t row = 0; row < batch_rows; ++row)
    if (wanted[row] != 0) wanted_rows.push_back(row);
  return wanted_rows;
}

void ViewSet::Impl::ApplyStream(size_t stream, const columns::ColumnBatch& batch,
                                const log::Epoch& epoch, Step step) {
  const StreamDefinition& of = definition->streams[stream];
  const auto times = batch.column(of.timing.event_time_field).Int64s();
  rows_applied += batch.rows();
  for (Keying& keying : keyings) {
    if (keying.stream != stream) continue;
    for (const size_t view : keying.views) selections[view] = views[view].Select(batch);
    const auto of_views = WantedRows(keying.views, batch.rows());
    const auto numbers = keying.keys.Resolve(batch, of_views, step);
    keying.hot_keys->Note(batch, of_views, numbers, clock.Now());
    for (const size_t view : keying.views) {
      views[view].Apply({.batch = batch,
                         .times = times,
                         .rows = selections[view],
                         .numbers = numbers,
                         .numbers_end = keying.keys.index().size(),
                         .epoch = epoch.id,
                         .clock = epoch.clock},
                        groups, step);
    }
  }
}

void ViewSet::Impl::Publish(base::EpochId last, base::Timestamp log_clock, Step step) {
  StepEpoch& of_step = step_epochs[step % kStepEpochs];
  of_step.epoch.store(last.value, std::memory_order_relaxed);
  of_step.clock_us.store(log_clock.us, std::memory_order_relaxed);
  visible.store(step);
}

ViewSet::ViewSet(PipelineRef definition, base::MemoryBudget& budget, env::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(definition), budget, clock)) {}

ViewSet::~ViewSet() = default;

void ViewSet::BindStream(size_t stream, base::StreamId id) {
  HR_CHECK(stream < impl_->stream_ids.size(), "no such stream");
  auto& bound = impl_->stream_ids[stream];
  HR_CHECK(!bound || *bound == id, "a stream's id never changes");
  bound = id;
}

void ViewSet::Apply(std::span<const log::EpochRef> epochs) {
  if (epochs.empty()) return;
  const Step before = impl_->visible.load(std::memory_order_relaxed);
  const Step step = before + 1;
  impl_->pins.RevokeBefore(before, env::MonotonicTime::max());
  impl_->rows_applied = 0;
  std::unique_lock derived(impl_->derived_mutex, std::defer_lock);
  if (!impl_->derived.empty()) derived.lock();
  for (const log::EpochRef& epoch : epochs) impl_->ApplyEpoch(*epoch, step);
  const size_t sweep = kSweepMin + impl_->rows_applied / kRowsPerSweptKey;
  for (OnlineView& view : impl_->views) view.Sweep(sweep, epochs.back()->clock, step);
  impl_->Publish(epochs.back()->id, epochs.back()->clock, step);
  impl_->memory.Collect(impl_->pins.Oldest(step));
  impl_->memory.SettleCharges();
  impl_->derived.SettleCharges();
}

void ViewSet::AnswerRows(size_t view, RowAnswerReader* reader) {
  HR_CHECK(view < impl_->views.size(), "no such view");
  impl_->views[view].AnswerRows(view, reader);
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
  const auto taken = impl_->pins.Take(impl_->visible, impl_->clock.Now());
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
  return Pin(this, taken->slot, {of_step.epoch.load(std::memory_order_relaxed)},
             {of_step.clock_us.load(std::memory_order_relaxed)});
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

base::Result<ViewAnswer> ViewSet::Get(const Pin& pin, size_t view, std::string_view key,
                                      base::Timestamp as_of) const {
  HR_CHECK(view < impl_->views.size(), "no such view");
  const OnlineView& online = impl_->views[view];
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
  const auto number = impl_->IndexOf(view).Find(key);
  ViewAnswer answer =
      number ? online.Answer(*number, impl_->pins.StepOfSlot(pin.slot_), as_of) : online.NotFound();
  if (pin.revoked())
    return base::Fail(base::ErrorCode::kUnavailable,
                      "the read took longer than 5 ms and its version was taken away: retry");
  return answer;
}

std::vector<ViewStatus> ViewSet::status() const {
  std::vector<ViewStatus> all;
  for (const OnlineView& view : impl_->views)
    all.push_back({.name = view.definition().name,
                   .keys = view.store().keys(),
                   .rows = view.store().rows(),
                   .bytes = view.store().bytes(),
                   .hot_keys = {}});
  const env::MonotonicTime now = impl_->clock.Now();
  for (const Impl::Keying& keying : impl_->keyings)
    for (const size_t view : keying.views) all[view].hot_keys = keying.hot_keys->Newest(now);
  return all;
}

std::vector<DerivedStreamStatus> ViewSet::derived_status() const { return impl_->derived.status(); }

uint64_t ViewSet::bytes() const {
  uint64_t bytes = impl_->derived.bytes();
  for (const auto& [entity, index] : impl_->indexes) bytes += index->bytes();
  for (const OnlineView& view : impl_->views) bytes += view.store().bytes();
  return bytes;
}

const PipelineDefinition& ViewSet::definition() const { return *impl_->definition; }

base::Result<void> ViewSet::CorruptForDemonstration(size_t view, std::string_view key) {
  HR_CHECK(view < impl_->views.size(), "no such view");
  const auto number = impl_->IndexOf(view).Find(key);
  if (!number || !impl_->views[view].FlipBit(*number))
    return base::Fail(base::ErrorCode::kNotFound, "the key has no stored argument in this view");
  return {};
}

Pin::Pin(Pin&& other) noexcept
    : views_(std::exchange(other.views_, nullptr)),
      slot_(other.slot_),
      epoch_(other.epoch_),
      clock_(other.clock_) {}

Pin::~Pin() {
  if (views_ != nullptr) views_->impl_->pins.Release(slot_);
}

bool Pin::revoked() const { return views_->impl_->pins.revoked(slot_); }

}  // namespace headrace::pipeline

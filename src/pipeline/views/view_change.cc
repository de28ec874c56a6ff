// A change of definition while the views are applied and read:
// 1. BeginChange finds out which views of the next definition are here already, and makes the rest,
//    which nobody sees and no epoch reaches;
// 2. their history is applied to them, by position, beside the epochs to all others;
// 3. when little is missing, epochs are put aside as well, and what is missing then ends with a
//    known one;
// 4. what was put aside is applied, more each step than comes in: the views are as new as all
//    others, and take part from then on;
// 5. the epoch that holds the definition is the cut-over: the step that holds it has the next
// table. Rows reach a view in the order of their positions throughout, as in a view that was there
// from the beginning: equal event times are told apart by it.

#include <algorithm>
#include <iterator>
#include <utility>

#include "pipeline/definition_diff.h"
#include "pipeline/views/view_set_impl.h"

namespace headrace::pipeline {
namespace {

// What was put aside is applied in steps of so many rows more than come in.
constexpr uint64_t kAsideRowsPerStep = 1 << 13;

}  // namespace

std::map<std::string, std::shared_ptr<KeptKeys>> ViewTable::Keys() const {
  std::map<std::string, std::shared_ptr<KeptKeys>> keys;
  for (const auto& kept : views) keys.emplace(kept->view.definition().entity, kept->keys);
  return keys;
}

std::shared_ptr<KeptView> ViewSet::Impl::FindKept(const std::string& identity,
                                                  base::EpochId since) const {
  for (const auto& view : active)
    if (view->live && view->identity == identity && view->since == since) return view;
  return nullptr;
}

std::shared_ptr<HotKeys> ViewSet::Impl::HotKeysOf(const KeptView& view,
                                                  const ViewTable& beside) const {
  for (const auto* views : {&active, &beside.views})
    for (const auto& other : *views)
      if (other->KeyedAs(view)) return other->hot_keys;
  return std::make_shared<HotKeys>(view.view.definition().by);
}

// `made`: those of its views that are new.
ViewTable ViewSet::Impl::TableOf(PipelineRef definition, ViewsSince since,
                                 std::vector<std::shared_ptr<KeptView>>& made) {
  ViewTable next{std::move(definition), std::move(since), {}};
  const std::vector<std::string> identities = IdentitiesOf(*next.definition);
  std::map<std::string, std::shared_ptr<KeptKeys>> keys;
  for (const auto& view : active) keys.emplace(view->view.definition().entity, view->keys);
  for (size_t i = 0; i < next.definition->views.size(); ++i) {
    const ViewDefinition& view = next.definition->views[i];
    const base::EpochId begins = SinceOf(next.since, view.name);
    if (auto same = FindKept(identities[i], begins)) {
      next.views.push_back(std::move(same));
      continue;
    }
    const std::string& stream = next.definition->streams[view.stream].name;
    const auto of_stream = std::ranges::find(streams, stream, &StreamOfRows::name);
    HR_CHECK(of_stream != streams.end(), "a view is of a stream that is not here");
    auto& of_keys = keys[view.entity];
    if (of_keys == nullptr) of_keys = std::make_shared<KeptKeys>(budget);
    auto fresh = std::make_shared<KeptView>(
        next.definition, i, static_cast<size_t>(of_stream - streams.begin()), of_keys, budget);
    fresh->hot_keys = HotKeysOf(*fresh, next);
    fresh->identity = identities[i];
    fresh->since = begins;
    made.push_back(fresh);
    next.views.push_back(std::move(fresh));
  }
  return next;
}

void ViewSet::Impl::RenewKeyings() {
  active.clear();
  const auto add = [&](const std::vector<std::shared_ptr<KeptView>>& views) {
    for (const auto& view : views)
      if (std::ranges::find(active, view) == active.end()) active.push_back(view);
  };
  add(table->views);
  if (kept) add(kept->views);
  if (change) add(change->next.views);
  RenewSpare();
  by_entity.clear();
  for (const auto& view : active) {
    const auto same = std::ranges::find(by_entity, &view->keys->index, &ViewsOfKeys::index);
    if (same != by_entity.end()) {
      same->views.push_back(view.get());
    } else {
      by_entity.push_back({&view->keys->index, {view.get()}});
    }
  }
  keyings.clear();
  for (const auto& view : active) {
    const auto same = std::ranges::find_if(
        keyings, [&](const Keying& keying) { return keying.views.front()->KeyedAs(*view); });
    if (same != keyings.end()) {
      same->views.push_back(view.get());
    } else {
      keyings.push_back({view->stream,
                         EntityKeys(view->keys->index, view->view.definition().by),
                         view->hot_keys.get(),
                         {view.get()}});
    }
  }
}

void ViewSet::Impl::RenewSpare() {
  const auto is_spare = [&](const std::shared_ptr<KeptView>& view) {
    const bool once =
        origin->DependsOnOtherRows(view->stream) || !origin->HasTable(origin->RootOf(view->stream));
    return once && view->live && view->since != kSinceThisEntry &&
           std::ranges::find(table->views, view) == table->views.end();
  };
  const std::lock_guard lock(table_mutex);
  spare.clear();
  std::ranges::copy_if(active, std::back_inserter(spare), is_spare);
}

void ViewSet::Impl::LetGo(std::shared_ptr<const void> what, Step step) {
  if (what != nullptr) gone.push_back({step, std::move(what)});
}

void ViewSet::Impl::ApplyHistory(const HistoryRows& history, base::Timestamp log_clock, Step step) {
  if (!change || history.rows.rows() == 0) return;
  ApplyBatch({.stream = history.stream,
              .rows = history.rows,
              .epoch = history.positions.back().epoch(),
              .clock = log_clock,
              .positions = history.positions,
              .is_history = true},
             Into::kBuilding, step);
}

void ViewSet::Impl::PutAside(const log::EpochRef& epoch) {
  if (!change->aside) return;
  const uint64_t bytes = epoch->row_bytes();
  budget.Force(base::MemoryAccount::kState, static_cast<int64_t>(bytes));  // it is there already
  change->epochs.push_back({epoch, {&budget, base::MemoryAccount::kState, bytes}});
  change->rows += epoch->row_count();
  if (change->catching_up || change->rows <= kAsideRowsMax) return;
  change->aside = false;
  change->epochs.clear();
  change->rows = 0;
}

void ViewSet::Impl::ApplyAside(std::span<const log::EpochRef> epochs, Step step) {
  if (!change || !change->catching_up) return;
  uint64_t wanted_now = kAsideRowsPerStep;
  for (const log::EpochRef& epoch : epochs) wanted_now += epoch->row_count();
  for (uint64_t done = 0; done < wanted_now && !change->epochs.empty();) {
    const log::EpochRef epoch = std::move(change->epochs.front().epoch);
    change->epochs.pop_front();
    ApplyRows(*epoch, Into::kBuilding, step);
    done += epoch->row_count();
  }
  if (!change->epochs.empty()) return;
  for (const auto& view : change->building) view->live = true;
  change->catching_up = false;
  change->aside = false;
}

void ViewSet::Impl::CutOver(base::EpochId at, Step step) {
  for (auto& [view, since] : change->next.since)
    if (since == kSinceThisEntry) since = at;
  for (const auto& view : change->next.views) {
    HR_CHECK(view->live, "a view is cut over to before it has its history");
    if (view->since == kSinceThisEntry) view->since = at;
  }
  {
    const std::lock_guard lock(table_mutex);
    kept = std::exchange(table, std::make_shared<const ViewTable>(std::move(change->next)));
  }
  change.reset();
  RenewKeyings();
  LetGo(kept, step);
}

ViewSet::ToBuild ViewSet::BeginChange(PipelineRef next, ViewsSince since) {
  HR_CHECK(!impl_->change, "one change at a time");
  ToBuild found;
  std::vector<std::shared_ptr<KeptView>> made;
  ViewTable table = impl_->TableOf(std::move(next), std::move(since), made);
  found.kept = table.views.size() - made.size();
  Impl::Change& change = impl_->change.emplace(Impl::Change{});
  for (const auto& view : made) {
    if (view->since == kSinceThisEntry) continue;  // live, and no epoch is after that
    view->live = false;
    change.building.push_back(view);
    found.views.push_back(
        static_cast<size_t>(std::ranges::find(table.views, view) - table.views.begin()));
  }
  change.next = std::move(table);
  DropKept();
  return found;
}

base::EpochId ViewSet::PutAside() {
  HR_CHECK(impl_->change.has_value(), "there is no change");
  impl_->change->aside = true;
  return visible();
}

ViewSet::CatchingUp ViewSet::CatchUp() {
  HR_CHECK(impl_->change.has_value(), "there is no change");
  Impl::Change& change = *impl_->change;
  if (std::ranges::all_of(change.building, [](const auto& view) { return view->live; }))
    return CatchingUp::kDone;
  if (!change.aside) return CatchingUp::kLost;
  change.catching_up = true;
  return CatchingUp::kUnderWay;
}

void ViewSet::CutOver() {
  HR_CHECK(impl_->change.has_value(), "there is no change");
  for (const auto& view : impl_->change->building) view->live = true;
  const Step step = impl_->visible.load(std::memory_order_relaxed) + 1;
  const Impl::StepEpoch& was = impl_->VisibleStep();
  const base::EpochId epoch{was.epoch.load(std::memory_order_relaxed)};
  const base::Timestamp clock{was.clock_us.load(std::memory_order_relaxed)};
  impl_->CutOver(epoch, step);
  impl_->Publish(epoch, clock, step);
  DropKept();
  impl_->Collect(step);
}

void ViewSet::DropChange() {
  if (!impl_->change) return;
  auto dropped = std::make_shared<const ViewTable>(std::move(impl_->change->next));
  impl_->change.reset();
  impl_->RenewKeyings();
  impl_->LetGo(std::move(dropped), impl_->visible.load(std::memory_order_relaxed));
}

void ViewSet::DropKept() {
  ViewTableRef dropped;
  {
    const std::lock_guard lock(impl_->table_mutex);
    dropped = std::exchange(impl_->kept, nullptr);
  }
  impl_->LetGo(std::move(dropped), impl_->visible.load(std::memory_order_relaxed));
  impl_->RenewKeyings();
}

std::vector<std::string> ViewSet::KeptUp(const PipelineDefinition& next,
                                         const ViewsSince& since) const {
  ViewTableRef kept;
  {
    const std::lock_guard lock(impl_->table_mutex);
    kept = impl_->kept;
  }
  std::vector<std::string> names;
  if (kept == nullptr) return names;
  const std::vector<std::string> identities = IdentitiesOf(next);
  for (size_t i = 0; i < next.views.size(); ++i) {
    const std::string& name = next.views[i].name;
    if (std::ranges::any_of(kept->views, [&](const auto& view) {
          return view->identity == identities[i] && view->since == SinceOf(since, name);
        }))
      names.push_back(name);
  }
  return names;
}

ViewStatus ViewSet::building() const {
  ViewStatus all;
  if (!impl_->change) return all;
  for (const auto& view : impl_->change->building) {
    all.keys += view->view.store().keys();
    all.rows += view->view.store().rows();
    all.bytes += view->view.store().bytes();
  }
  return all;
}

void ViewSet::DisposeBy(std::function<void(std::shared_ptr<const void>)> dispose) {
  impl_->dispose = std::move(dispose);
}

LoggedDefinition ViewSet::current() const {
  const ViewTableRef table = impl_->Table();
  return {.definition = table->definition, .since = table->since, .started = {}, .before = {}};
}

}  // namespace headrace::pipeline

#include "pipeline/views/view_restore.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "pipeline/views/view_layout.h"
#include "pipeline/views/view_parts.h"
#include "pipeline/views/view_set_impl.h"

namespace headrace::pipeline {
namespace {

using base::ErrorCode;
using base::Fail;

constexpr Step kRestoredStep = 1;

}  // namespace

base::Result<ViewRestore> ViewRestore::Begin(ViewSet& views, std::span<const uint8_t> layout,
                                             base::EpochId through,
                                             const PipelineDefinition* captured_under) {
  HR_CHECK(views.visible().value == 0, "state is restored into a new view set only");
  HR_TRY(const ViewLayout captured, DecodeLayout(layout));
  if (captured_under != nullptr) HR_TRY_VOID(views.impl_->derived.NoteCaptured(*captured_under));
  const ViewTableRef table = views.impl_->Table();
  const ViewLayout ours = LayoutOf(*table->definition, table->since);
  ViewRestore restore(views);
  for (const ViewLayout::View& view : captured.views) {
    const auto same = std::find_if(ours.views.begin(), ours.views.end(), [&](const auto& each) {
      return each.name == view.name && IsStateOf(view, each);
    });
    std::optional<size_t> number;
    if (same != ours.views.end()) number = static_cast<size_t>(same - ours.views.begin());
    // Two that keep the same rows, as only what they answer is different: one of them will do.
    if (number && std::ranges::find(restore.view_numbers_, number) != restore.view_numbers_.end())
      number.reset();
    restore.view_numbers_.push_back(number);
  }
  for (size_t i = 0; i < ours.views.size(); ++i) {
    if (std::ranges::find(restore.view_numbers_, std::optional<size_t>(i)) !=
        restore.view_numbers_.end())
      continue;
    if (table->definition->DependsOnOtherRows(table->definition->views[i].stream)) {
      if (table->views[i]->since >= through) continue;
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("view `{}` is new, or keeps other rows than when the state was "
                              "captured, and is of a stream that is joined or has no repeats",
                              ours.views[i].name));
    }
    restore.missing_.push_back(ours.views[i].name);
    table->views[i]->live = false;
  }
  for (const std::string& entity : captured.entities) {
    const bool known = std::ranges::find(ours.entities, entity) != ours.entities.end();
    restore.entity_numbers_.push_back(known ? std::optional<std::string>(entity) : std::nullopt);
  }
  return restore;
}

base::Result<void> ViewRestore::Add(std::span<const uint8_t> piece) {
  columns::ByteReader in(piece);
  while (in.remaining() > 0) {
    HR_TRY(const uint8_t kind, in.U8());
    HR_TRY(const uint32_t bytes, in.U32());
    HR_TRY(const auto body, in.Bytes(bytes));
    if (kind == kRowsPart) {
      HR_TRY_VOID(AddPage(columns::ByteReader(body)));
    } else if (kind == kKeysPart) {
      HR_TRY_VOID(AddKeys(columns::ByteReader(body)));
    } else if (kind == kDerivedPart) {
      HR_TRY_VOID(AddDerived(columns::ByteReader(body)));
    } else if (kind == kHeardPart) {
      HR_TRY_VOID(AddHeard(columns::ByteReader(body)));
    } else {
      return Fail(ErrorCode::kCorruption, "a captured piece has a part of no known kind");
    }
  }
  views_->impl_->Collect(0);
  return {};
}

base::Result<void> ViewRestore::AddPage(columns::ByteReader in) {
  HR_TRY(const uint32_t captured_view, in.U32());
  if (captured_view >= view_numbers_.size())
    return Fail(ErrorCode::kCorruption, "a captured page is of no view");
  if (!view_numbers_[captured_view]) return {};  // the definition has no such view any more
  OnlineView& view = views_->impl_->table->views[*view_numbers_[captured_view]]->view;
  HR_TRY(const uint32_t page, in.U32());
  HR_TRY(const uint64_t epoch, in.U64());
  HR_TRY(const uint32_t keys, in.U32());
  if (page > ~uint32_t{0} / RowStore::kPageRows)
    return Fail(ErrorCode::kCorruption, "a captured page has no such number");
  view.NoteCaptured(page, {epoch});
  for (uint32_t i = 0; i < keys; ++i) {
    HR_TRY(const uint8_t number, in.U8());
    HR_TRY_VOID(view.RestoreKey(page * RowStore::kPageRows + number, in, kRestoredStep));
  }
  return {};
}

base::Result<void> ViewRestore::AddKeys(columns::ByteReader in) {
  HR_TRY(const uint32_t entity, in.U32());
  if (entity >= entity_numbers_.size())
    return Fail(ErrorCode::kCorruption, "captured keys are of no entity");
  if (!entity_numbers_[entity]) return {};
  EntityIndex& index = views_->impl_->table->Keys().at(*entity_numbers_[entity])->index;
  HR_TRY(const uint32_t keys, in.U32());
  for (uint32_t i = 0; i < keys; ++i) {
    HR_TRY(const uint32_t number, in.U32());
    HR_TRY(const std::string_view key, in.Text());
    HR_TRY_VOID(index.Restore(key, number));
  }
  return {};
}

base::Result<void> ViewRestore::AddDerived(columns::ByteReader in) {
  HR_TRY(const uint64_t epoch, in.U64());
  return views_->impl_->derived.Restore(in, {epoch});
}

base::Result<void> ViewRestore::AddHeard(columns::ByteReader in) {
  ViewSet::Impl& impl = *views_->impl_;
  HR_TRY(const uint32_t streams, in.U32());
  for (uint32_t i = 0; i < streams; ++i) {
    HR_TRY(const std::string_view name, in.Text());
    HR_TRY(const int64_t heard_us, in.I64());
    for (size_t stream = 0; stream < impl.streams.size(); ++stream)
      if (impl.streams[stream].name == name) impl.heard_us[stream] = heard_us;
  }
  return {};
}

base::Result<void> ViewRestore::Finish(base::EpochId after, base::Timestamp clock) {
  HR_TRY_VOID(views_->impl_->derived.CheckRestored());
  for (const ViewSet::Impl::ViewsOfKeys& of : views_->impl_->by_entity)
    HR_TRY_VOID(of.index->FinishRestore());
  base::EpochId& captured_through = views_->impl_->captured_through;
  for (const auto& kept : views_->impl_->table->views) {
    captured_through = std::max(captured_through, kept->view.captured_through());
    kept->view.NoteClock(clock);
  }
  views_->impl_->Publish(after, clock, kRestoredStep);
  return {};
}

}  // namespace headrace::pipeline

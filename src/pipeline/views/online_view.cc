#include "pipeline/views/online_view.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "pipeline/views/nested_windows.h"

namespace headrace::pipeline {
namespace {

Retention RetentionOf(const ViewDefinition& view) {
  return {.horizon = view.horizon(),
          .kind = view.lifetime() ? Retention::Kind::kLifetime : Retention::Kind::kWindowed};
}

// How many groups ahead each part of a key's state is asked for.
constexpr size_t kRowsAhead = 9;
constexpr size_t kDirectoriesAhead = 6;
constexpr size_t kChunksAhead = 3;

}  // namespace

OnlineView::OnlineView(const ViewDefinition& view, StateMemory& memory)
    : view_(view), plan_(PlanOf(view)), outputs_(view), store_(plan_, RetentionOf(view), memory) {}

std::span<const uint32_t> OnlineView::Select(const columns::ColumnBatch& batch) {
  selected_.resize(batch.rows());
  if (!view_.where) {
    std::iota(selected_.begin(), selected_.end(), 0U);
    return selected_;
  }
  const columns::Column condition = view_.where->Evaluate(batch);
  size_t count = 0;
  for (uint32_t row = 0; row < batch.rows(); ++row)
    if (!condition.IsNull(row) && condition.Bool(row)) selected_[count++] = row;
  return std::span<const uint32_t>(selected_).first(count);
}

void OnlineView::Apply(const EpochRows& epoch, RowGroups& groups, Step step) {
  if (epoch.rows.empty()) return;
  std::vector<columns::Column> arguments;
  for (const Expression& argument : view_.arguments)
    arguments.push_back(argument.Evaluate(epoch.batch));
  const BatchRows batch{.times = epoch.times, .epoch = epoch.epoch, .arguments = arguments};
  const auto grouped = groups.Build(epoch.rows, epoch.numbers, epoch.numbers_end, epoch.times);
  const bool catching_up = epoch.epoch <= captured_through_;
  if (!catching_up) captured_ = {};
  for (size_t i = 0; i < grouped.size(); ++i) {
    if (i + kRowsAhead < grouped.size()) store_.PrefetchRow(grouped[i + kRowsAhead].number);
    if (i + kDirectoriesAhead < grouped.size())
      store_.PrefetchDirectory(grouped[i + kDirectoriesAhead].number);
    if (i + kChunksAhead < grouped.size()) store_.PrefetchChunk(grouped[i + kChunksAhead].number);
    if (catching_up && IsCaptured(grouped[i].number, epoch.epoch)) continue;
    store_.Append(grouped[i].number, batch, grouped[i].rows, epoch.clock, step);
  }
}

void OnlineView::NoteCaptured(uint32_t page, base::EpochId epoch) {
  if (page >= captured_.size()) captured_.resize(page + 1);
  captured_[page] = epoch;
  captured_through_ = std::max(captured_through_, epoch);
}

bool OnlineView::IsCaptured(uint32_t number, base::EpochId epoch) const {
  const size_t page = number / RowStore::kPageRows;
  return page < captured_.size() && epoch <= captured_[page];
}

ViewAnswer OnlineView::Answer(uint32_t number, Step step, base::Timestamp as_of) const {
  const auto image = store_.Find(number, step);
  if (!image || image->first_time > as_of.us) return NotFound();
  const ChunkLayout& layout = store_.layout();
  std::vector<ArgumentBlock> arguments(layout.arguments());
  NestedWindows windows(outputs_, plan_, as_of);
  int64_t newest = image->dropped_time;
  bool newest_seen = false;
  for (uint32_t i = image->end; i-- > image->begin && !(windows.done() && newest_seen);) {
    const RowChunk& chunk = *image->chunk(i);
    const uint32_t count = image->count(i);
    const RowBlock block = chunk.Block(layout, arguments.data());
    const uint32_t end = RowsUpTo(block.times, count, as_of.us);
    if (end == 0) continue;
    if (!newest_seen) newest = std::max(newest, block.times[end - 1]);
    newest_seen = true;
    const bool sealed = i + 1 < image->end;
    windows.Add(block, 0, end, RowsBelow(end),
                sealed && end == count ? chunk.partials(layout) : std::span<const SlotPartial>());
  }
  return windows.Finish({newest});
}

bool OnlineView::FlipBit(uint32_t number) {
  const auto image = store_.Newest(number);
  if (!image || image->chunks() == 0 || image->open_count == 0) return false;
  const ChunkLayout& layout = store_.layout();
  const RowChunk& chunk = *image->last();
  std::vector<ArgumentBlock> arguments(layout.arguments());
  chunk.Block(layout, arguments.data());
  for (uint32_t row = image->open_count; row-- > 0;) {
    for (size_t i = 0; i < layout.arguments(); ++i) {
      if (layout.kind(i) == CellKind::kBool || ((arguments[i].valid >> row) & 1) == 0) continue;
      auto* cell = const_cast<uint64_t*>(chunk.cells(layout, i)) + row;
      if (layout.kind(i) == CellKind::kText && TextCell::Read(*cell).empty()) continue;
      if (layout.kind(i) == CellKind::kText && TextCell::IsOutside(*cell)) {
        *const_cast<char*>(TextCell::Read(*cell).data()) ^= 1;
      } else {
        std::atomic_ref<uint64_t>(*cell).fetch_xor(1, std::memory_order_relaxed);
      }
      return true;
    }
  }
  return false;
}

}  // namespace headrace::pipeline

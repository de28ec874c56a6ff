#include "pipeline/views/online_view.h"

#include <algorithm>
#include <atomic>
#include <numeric>

namespace headrace::pipeline {
namespace {

Retention RetentionOf(const ViewDefinition& view) {
  return {.horizon = view.horizon(),
          .kind = view.lifetime() ? Retention::Kind::kLifetime : Retention::Kind::kWindowed};
}

// Groups ahead whose state row is asked for.
constexpr size_t kGroupsAhead = 4;

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
  for (const Expression& argument : view_.arguments) arguments.push_back(argument.Evaluate(epoch.batch));
  const BatchRows batch{.times = epoch.times, .epoch = epoch.epoch, .arguments = arguments};
  const auto grouped = groups.Build(epoch.rows, epoch.numbers, epoch.numbers_end, epoch.times);
  for (size_t i = 0; i < grouped.size(); ++i) {
    if (i + kGroupsAhead < grouped.size()) store_.Prefetch(grouped[i + kGroupsAhead].number);
    store_.Append(grouped[i].number, batch, grouped[i].rows, epoch.clock, step);
  }
}

// One pass from the newest chunk to the oldest that a window reaches. Windows are nested: each is the one before it and the rows
// between their edges, so what is accumulated at an edge is that window's answer.
class OnlineView::Reading {
 public:
  Reading(const OnlineView& view, base::Timestamp as_of)
      : view_(view),
        layout_(view.store_.layout()),
        as_of_(as_of),
        rows_(view.plan_),
        arguments_(layout_.arguments()),
        answer_(view.NotFound()) {}

  ViewAnswer Run(const RowImage& image) {
    int64_t newest = image.dropped_time;
    bool newest_seen = false;
    for (uint32_t i = image.end; i-- > image.begin && window_ < view_.outputs_.windows();) {
      const RowChunk& chunk = *image.chunk(i);
      const uint32_t count = image.count(i);
      const int64_t* times = chunk.times(layout_);
      const uint32_t end = RowsUpTo(times, count, as_of_.us);
      if (end == 0) continue;
      if (!newest_seen) newest = std::max(newest, times[end - 1]);
      newest_seen = true;
      AddChunk(chunk, count, end, i + 1 < image.end);
    }
    while (window_ < view_.outputs_.windows()) view_.outputs_.Write(window_++, rows_, answer_);
    view_.outputs_.WriteEventTime({newest}, as_of_, answer_);
    return std::move(answer_);
  }

 private:
  static uint32_t RowsUpTo(const int64_t* times, uint32_t count, int64_t time) {
    if (count == 0 || times[count - 1] <= time) return count;
    return static_cast<uint32_t>(std::upper_bound(times, times + count, time) - times);
  }

  // Adds rows [0, end), closing the windows whose edge lies among them.
  void AddChunk(const RowChunk& chunk, uint32_t count, uint32_t end, bool sealed) {
    const RowBlock block = chunk.Block(layout_, arguments_.data());
    while (window_ < view_.outputs_.windows()) {
      const int64_t edge = view_.outputs_.EdgeOf(window_, as_of_);
      const uint32_t begin = block.times[0] > edge ? 0 : RowsUpTo(block.times, end, edge);
      const auto partials = sealed && begin == 0 && end == count ? chunk.partials(layout_) : std::span<const SlotPartial>();
      if (partials.empty()) {
        rows_.Add(block, RowsBetween(begin, end));
      } else {
        rows_.MergePartials(partials);
        if (view_.plan_.rereads_rows()) rows_.AddWithoutPartial(block, RowsBelow(count));
      }
      if (begin == 0) return;
      end = begin;
      view_.outputs_.Write(window_++, rows_, answer_);
    }
  }

  const OnlineView& view_;
  const ChunkLayout& layout_;
  const base::Timestamp as_of_;
  Accumulators rows_;
  std::vector<ArgumentBlock> arguments_;
  ViewAnswer answer_;
  size_t window_ = 0;
};

ViewAnswer OnlineView::Answer(uint32_t number, Step step, base::Timestamp as_of) const {
  const auto image = store_.Find(number, step);
  if (!image || image->first_time > as_of.us) return NotFound();
  return Reading(*this, as_of).Run(*image);
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

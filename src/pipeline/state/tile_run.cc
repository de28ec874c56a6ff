#include "pipeline/state/tile_run.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "pipeline/expressions/calendar.h"

namespace headrace::pipeline {
namespace {

// No window's edge is before it, so the tile of all time is in those that reach back for ever.
constexpr int64_t kEver = std::numeric_limits<int64_t>::min() + 1;

bool Needs(const TileDraft& draft) { return !draft.more.empty(); }

uint32_t TilesUpTo(const TileRun& run, int64_t start) {
  const int64_t* starts = run.array->starts();
  return static_cast<uint32_t>(std::upper_bound(starts + run.begin, starts + run.end, start) -
                               starts);
}

}  // namespace

int64_t TileLayout::StartOf(int64_t time) const {
  return precision_us_ == 0 ? kEver : BoundaryUpTo(time);
}

int64_t TileLayout::BoundaryUpTo(int64_t time) const {
  if (precision_us_ == 0) return time;
  // The first tile there is may begin later than a multiple that is beyond all times.
  const int64_t number = FloorDivide(time, precision_us_);
  int64_t boundary;
  return __builtin_mul_overflow(number, precision_us_, &boundary) ? kEver : boundary;
}

int64_t TileLayout::EndOf(int64_t start) const {
  int64_t end;
  if (precision_us_ == 0 || __builtin_add_overflow(start, precision_us_, &end))
    return std::numeric_limits<int64_t>::max();
  return end;
}

uint64_t TileLayout::TilesBetween(int64_t edge, int64_t last) const {
  if (edge >= last) return 0;
  const uint64_t between = static_cast<uint64_t>(last) - static_cast<uint64_t>(edge);
  return precision_us_ == 0 ? 1 : (between - 1) / static_cast<uint64_t>(precision_us_) + 1;
}

size_t TileLayout::tile_bytes() const {
  return sizeof(int64_t) + records_.bytes() +
         (records_.need_more() ? sizeof(void*) + sizeof(TileBytes) : 0);
}

size_t TileArray::Bytes(const TileLayout& layout, uint32_t capacity, bool has_more) {
  return sizeof(TileArray) +
         capacity * (sizeof(int64_t) + (has_more ? sizeof(void*) : 0) + layout.records().bytes());
}

// Of a key with rows in every tile the first guess is right, and its neighbours are not looked at.
uint32_t FirstTileAfter(const TileLayout& layout, const TileRun& run, uint32_t next, int64_t edge) {
  if (next == run.begin) return next;
  const int64_t* starts = run.array->starts();
  const uint64_t most = layout.TilesBetween(edge, starts[next - 1]);
  const uint32_t first = most >= next - run.begin ? run.begin : next - static_cast<uint32_t>(most);
  if (first == next || starts[first] > edge) return first;
  return static_cast<uint32_t>(std::upper_bound(starts + first, starts + next, edge) - starts);
}

void PrefetchTilesAfter(const TileLayout& layout, const TileRun& run, int64_t edge) {
  const size_t bytes = layout.records().bytes();
  const auto record = [&](uint32_t at) {
    const uint8_t* begin = run.array->records() + at * bytes;
    __builtin_prefetch(begin);
    __builtin_prefetch(begin + bytes - 1);
  };
  const uint64_t most = layout.TilesBetween(edge, run.until - 1);
  const uint64_t there = run.end - run.begin;
  const uint32_t first = run.end - static_cast<uint32_t>(std::min(most, there));
  __builtin_prefetch(run.array->starts() + first);
  __builtin_prefetch(run.array->starts() + run.end - 1);
  if (first > 0) record(first - 1);
  record(run.end - 1);
}

template <typename Into, typename AddMore>
void TilesBack::AddAfter(int64_t edge, Into& into, AddMore add_more) {
  if (run_ == nullptr) return;
  const uint32_t first = FirstTileAfter(*layout_, *run_, next_, edge);
  if (first == next_) return;
  layout_->records().Merge(run_->array->records(), first, next_, into);
  for (uint32_t at = next_; run_->array->has_more() && at-- > first;)
    if (const TileBytes* more = run_->array->more(at)) add_more(*more);
  next_ = first;
}

void TilesBack::AddAfter(int64_t edge, Accumulators& into) {
  AddAfter(edge, into, [&](const TileBytes& more) {
    const auto merged = into.MergeBytes(
        more.whole ? Accumulators::Slots::kAll : Accumulators::Slots::kWithoutRecord, more.bytes());
    HR_CHECK(merged.has_value(), "a tile's bytes are not what was written");
  });
}

void TilesBack::AddAfter(int64_t edge, AdditiveSums& into) {
  AddAfter(edge, into, [&](const TileBytes&) { into.SetUnfit(); });
}

TileDraft TileWriter::DraftOf(int64_t start, const Accumulators& rows) const {
  TileDraft draft{.start = start, .partials = {}, .more = {}};
  draft.partials.resize(layout_.plan().slots().size());
  const bool fits = rows.WritePartials(draft.partials) && layout_.records().Fits(draft.partials);
  if (!fits) draft.partials.clear();
  if (!fits || layout_.records().need_more())
    rows.AppendBytes(fits ? Accumulators::Slots::kWithoutRecord : Accumulators::Slots::kAll,
                     draft.more);
  return draft;
}

size_t TileWriter::BytesOf(std::span<const TileDraft> drafts) const {
  size_t bytes = 0;
  for (const TileDraft& draft : drafts) bytes += layout_.tile_bytes() + draft.more.size();
  return bytes;
}

void TileWriter::Merge(const TileRun* run, int64_t start, Accumulators& into) const {
  if (run == nullptr) return;
  const uint32_t end = TilesUpTo(*run, start);
  if (end == run->begin || run->array->starts()[end - 1] != start) return;
  const TileRun one{run->array, end - 1, end, run->until};
  TilesBack(&layout_, &one).AddAfter(start - 1, into);
}

void* TileWriter::Allocate(size_t bytes) {
  bytes_change_ += static_cast<int64_t>(bytes);
  return memory_.Allocate(bytes);
}

void TileWriter::Retire(const void* memory, size_t bytes, Step step) {
  bytes_change_ -= static_cast<int64_t>(bytes);
  memory_.Retire(const_cast<void*>(memory), bytes, step);
}

void TileWriter::RetireMore(const TileBytes* more, Step step) {
  if (more != nullptr) Retire(more, sizeof(TileBytes) + more->size, step);
}

void TileWriter::RetireArray(TileArray* array, Step step) {
  Retire(array, TileArray::Bytes(layout_, array->capacity(), array->has_more()), step);
}

TileArray* TileWriter::NewArray(uint32_t capacity, bool has_more) {
  return new (Allocate(TileArray::Bytes(layout_, capacity, has_more)))
      TileArray(capacity, has_more);
}

const TileRun* TileWriter::NewRun(const TileRun& run) {
  return new (Allocate(sizeof(TileRun))) TileRun(run);
}

void TileWriter::Write(TileArray& array, uint32_t at, const TileDraft& draft) {
  array.starts()[at] = draft.start;
  layout_.records().Append(array.records(), at, draft.partials);
  if (!array.has_more()) return;
  const TileBytes*& more = array.more()[at];
  more = nullptr;
  if (!Needs(draft)) return;
  auto* bytes = new (Allocate(sizeof(TileBytes) + draft.more.size()))
      TileBytes{.size = static_cast<uint32_t>(draft.more.size()), .whole = draft.partials.empty()};
  std::memcpy(bytes + 1, draft.more.data(), draft.more.size());
  more = bytes;
}

void TileWriter::Copy(const TileArray& from, uint32_t index, TileArray& array, uint32_t at) const {
  array.starts()[at] = from.starts()[index];
  std::vector<SlotPartial> partials(layout_.plan().slots().size());
  layout_.records().Read(from.records(), index, partials);
  layout_.records().Append(array.records(), at, partials);
  if (array.has_more()) array.more()[at] = from.more(index);
}

const TileRun* TileWriter::Put(const TileRun* run, std::span<const TileDraft> drafts, int64_t until,
                               Step step) {
  const auto count = static_cast<uint32_t>(drafts.size());
  const bool has_room = run != nullptr && run->end + count <= run->array->capacity() &&
                        (run->array->has_more() || std::ranges::none_of(drafts, &Needs));
  if (!has_room || (count > 0 && drafts.front().start <= run->array->starts()[run->end - 1]))
    return Rebuild(run, drafts, until, step);
  for (uint32_t i = 0; i < count; ++i) Write(*run->array, run->end + i, drafts[i]);
  const TileRun* longer = NewRun({run->array, run->begin, run->end + count, until});
  Retire(run, sizeof(TileRun), step);
  return longer;
}

// Into an array of its own: tiles are put before others, or there is no room.
const TileRun* TileWriter::Rebuild(const TileRun* run, std::span<const TileDraft> drafts,
                                   int64_t until, Step step) {
  const uint32_t live = run == nullptr ? 0 : run->end - run->begin;
  if (live + drafts.size() == 0) return nullptr;
  const bool has_more = (run != nullptr && run->array->has_more()) ||
                        layout_.records().need_more() || std::ranges::any_of(drafts, &Needs);
  const auto most = live + static_cast<uint32_t>(drafts.size());
  const bool at_end =
      live == 0 || drafts.empty() || drafts.front().start > run->array->starts()[run->end - 1];
  // Keys that have many get room for more; late rows need none.
  TileArray* array = NewArray(at_end ? most + live / 4 : most, has_more);
  uint32_t at = 0;
  size_t next = 0;
  for (uint32_t i = 0; i < live; ++i) {
    const uint32_t index = run->begin + i;
    const int64_t start = run->array->starts()[index];
    while (next < drafts.size() && drafts[next].start < start) Write(*array, at++, drafts[next++]);
    if (next < drafts.size() && drafts[next].start == start) {
      RetireMore(run->array->more(index), step);
      Write(*array, at++, drafts[next++]);
    } else {
      Copy(*run->array, index, *array, at++);
    }
  }
  while (next < drafts.size()) Write(*array, at++, drafts[next++]);
  if (run != nullptr) {
    RetireArray(run->array, step);
    Retire(run, sizeof(TileRun), step);
  }
  return NewRun({array, 0, at, until});
}

const TileRun* TileWriter::DropUpTo(const TileRun* run, int64_t time, Step step) {
  if (run == nullptr || layout_.EndOf(run->array->starts()[run->begin]) > time) return run;
  uint32_t begin = run->begin;
  for (; begin < run->end && layout_.EndOf(run->array->starts()[begin]) <= time; ++begin)
    RetireMore(run->array->more(begin), step);
  const TileRun* shorter =
      begin == run->end ? nullptr : NewRun({run->array, begin, run->end, run->until});
  if (shorter == nullptr) RetireArray(run->array, step);
  Retire(run, sizeof(TileRun), step);
  return shorter;
}

void TileWriter::Clear(const TileRun* run, Step step) {
  if (run == nullptr) return;
  for (uint32_t i = run->begin; i < run->end; ++i) RetireMore(run->array->more(i), step);
  RetireArray(run->array, step);
  Retire(run, sizeof(TileRun), step);
}

}  // namespace headrace::pipeline

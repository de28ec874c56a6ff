#include "pipeline/views/left_out.h"

#include <algorithm>

#include "pipeline/views/nested_windows.h"

namespace headrace::pipeline {
namespace {

// Rows of one event time, or from one on, chunk by chunk.
class Search {
 public:
  Search(const ChunkLayout& layout, const LeftOutRow& wanted, int64_t as_of)
      : layout_(layout),
        wanted_(wanted),
        last_(wanted.or_later ? std::max(as_of, wanted.time) : wanted.time) {}

  // Whether the chunk's last row is looked at: then the next chunk may have some, too.
  bool Look(const RowChunk& chunk, uint32_t count, const LeafCursor* leaf) {
    const int64_t* times = chunk.times(layout_);
    const uint64_t* positions = chunk.positions(layout_);
    uint32_t row = RowsUpTo(times, count, wanted_.time - 1);
    for (; row < count && times[row] <= last_; ++row) {
      ++same_time_;
      if (!wanted_.Is(columns::Position{positions[row]}, times[row])) continue;
      ++candidates_;
      found_.chunk = &chunk;
      found_.row = row;
      found_.in_tree = leaf != nullptr;
      if (leaf != nullptr) found_.leaf = *leaf;
    }
    return row == count;
  }
  FoundRow Finish() {
    found_.alone = same_time_ == 1;
    if (candidates_ > 0)
      found_.where = candidates_ == 1 && !wanted_.or_later ? FoundRow::Where::kThere
                                                           : FoundRow::Where::kUnclear;
    return found_;
  }

 private:
  const ChunkLayout& layout_;
  const LeftOutRow& wanted_;
  const int64_t last_;  // event time that is looked at
  FoundRow found_;
  uint32_t same_time_ = 0;
  uint32_t candidates_ = 0;
};

}  // namespace

FoundRow FindLeftOut(const ChunkLayout& layout, const RowImage& image, int64_t tiles_until,
                     const LeftOutRow& wanted, int64_t as_of) {
  if (image.empty()) return {};
  if (wanted.time < tiles_until) return {.where = FoundRow::Where::kUnclear};
  Search search(layout, wanted, as_of);
  if (!image.tree.empty()) {
    LeafCursor leaf = LeafCursor::After(image.tree, wanted.time - 1);
    while (!leaf.at_end() && search.Look(*leaf.chunk(), leaf.chunk()->count(), &leaf)) leaf.Next();
  }
  search.Look(*image.open, image.open_count, nullptr);
  return search.Finish();
}

}  // namespace headrace::pipeline

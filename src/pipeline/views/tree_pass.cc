// In a node, from its last child to its first:
// 1. children whose last row is after the windows' end are passed over, except the first of them,
// which is entered: the end may lie in it;
// 2. the first child that reaches into the open window is found by time. Those behind it lie in the
// window as a whole: one stretch;
// 3. it is entered itself, as the window's edge may lie in it, and so may that of the next window;
//    A child that leads to the row that does not count is entered, too;
// 4. no child reaches into the window: it is closed, and the next one is looked at.

#include "pipeline/views/tree_pass.h"

#include <algorithm>
#include <bit>

namespace headrace::pipeline {

template <typename Answer>
int64_t TreePass<Answer>::Run() {
  int64_t newest = RowImage::kNever;
  if (!image_.empty()) {
    const RowBlock block = image_.open->Block(layout_, arguments_);
    const uint32_t end = RowsUpTo(block.times, image_.open_count, end_time_);
    if (end > 0) {
      newest = block.times[end - 1];
      rows_after_end_ = false;
      windows_.Add(block, 0, end, CountedOf(*image_.open, end), {});
    }
  }
  if (image_.tree.empty()) return newest;
  if (rows_after_end_) newest = NewestUpTo(layout_, image_, end_time_);
  if (!windows_.done()) Node(*image_.tree.root, image_.tree.height - 1, true, true);
  return newest;
}

template <typename Answer>
RowMask TreePass<Answer>::CountedOf(const RowChunk& chunk, uint32_t end) const {
  if (without_ == nullptr || without_->chunk != &chunk) return RowsBelow(end);
  return RowsBelow(end) & ~(RowMask{1} << without_->row);
}

template <typename Answer>
void TreePass<Answer>::Node(const TreeNode& node, uint32_t level, bool left, bool right) {
  const uint32_t begin = left ? image_.tree.begin(level) : 0;
  const uint32_t last = (right ? image_.tree.end(level) : node.count()) - 1;
  uint32_t end = last + 1;
  const auto enter = [&](uint32_t index) {
    Child(node, level, index, left && index == begin, right && index == last);
    end = index;
  };
  // What is in the last child of the right edge is not known to this node.
  if (right && level > 0) enter(last);
  while (end > begin && !windows_.done()) {
    const int64_t* times = node.last_times() + begin;
    if (rows_after_end_) {
      const uint32_t whole = begin + TimesUpTo(times, end - begin, end_time_);
      if (whole < end) {
        enter(whole);
        continue;
      }
      rows_after_end_ = false;
    }
    const uint32_t first = begin + TimesUpTo(times, end - begin, windows_.edge());
    if (first == end) {
      windows_.Close();
      continue;
    }
    uint32_t inside = first + 1;
    if (without_ != nullptr && without_->ChildOf(node, level, first) < end)
      inside = std::max(inside, without_->ChildOf(node, level, first) + 1);
    const uint32_t whole = end - WholeChildren(node, inside, end);
    if (whole < end) {
      Stretch(node, level, whole, end);
      windows_.CloseFull();
      end = whole;
      if (windows_.done()) return;
      if (!windows_.is_bounded_by_time_alone()) continue;
    }
    enter(end - 1);
  }
}

// How many of the last of children [first, end), none of which the edge in time is in, lie in the
// open window as a whole.
template <typename Answer>
uint32_t TreePass<Answer>::WholeChildren(const TreeNode& node, uint32_t first, uint32_t end) const {
  if (first >= end) return 0;
  if (windows_.is_bounded_by_time_alone()) return end - first;
  // How many rows a loose child has is not in the run.
  if (const uint32_t loose = node.Loose(first, end); loose != 0)
    first = static_cast<uint32_t>(std::bit_width(loose));
  return windows_.WholeBlocks(node.Run(first, end));
}

template <typename Answer>
void TreePass<Answer>::Child(const TreeNode& node, uint32_t level, uint32_t index, bool left,
                             bool right) {
  if (level == 0) return Leaf(node, index);
  Node(*node.node(index), level - 1, left, right);
}

template <typename Answer>
void TreePass<Answer>::Leaf(const TreeNode& node, uint32_t index) {
  const RowChunk& chunk = *node.chunk(index);
  const RowBlock block = chunk.Block(layout_, arguments_);
  const uint32_t count = chunk.count();
  const uint32_t end = rows_after_end_ ? RowsUpTo(block.times, count, end_time_) : count;
  if (end == 0) return;
  rows_after_end_ = false;
  const RowMask counted = CountedOf(chunk, end);
  const bool whole = counted == RowsBelow(count) && !node.IsLoose(index);
  windows_.Add(block, 0, end, counted, whole ? node.Run(index, index + 1) : PartialRun());
}

template <typename Answer>
void TreePass<Answer>::Stretch(const TreeNode& node, uint32_t level, uint32_t first, uint32_t end) {
  windows_.AddRun(node.Run(first, end));
  const uint32_t loose = node.Loose(first, end);
  const bool reread = layout_.plan().rereads_rows();
  if (loose == 0 && !reread) return;
  for (uint32_t i = end; i-- > first;) {
    if (((loose >> i) & 1) == 0) {
      if (reread) RereadChild(node, level, i);
    } else if (level > 0) {
      Stretch(*node.node(i), level - 1, 0, node.node(i)->count());
    } else {
      windows_.AddInside(node.chunk(i)->Block(layout_, arguments_),
                         RowsBelow(node.chunk(i)->count()));
    }
  }
}

template <typename Answer>
void TreePass<Answer>::RereadChild(const TreeNode& node, uint32_t level, uint32_t index) {
  if (!windows_.needs_older_rows()) return;
  if (level == 0) {
    const RowChunk& chunk = *node.chunk(index);
    return windows_.AddWithoutPartial(chunk.Block(layout_, arguments_), RowsBelow(chunk.count()));
  }
  const TreeNode& child = *node.node(index);
  for (uint32_t i = child.count(); i-- > 0;) RereadChild(child, level - 1, i);
}

int64_t NewestUpTo(const ChunkLayout& layout, const RowImage& image, int64_t time) {
  if (image.empty()) return RowImage::kNever;
  const int64_t* open = image.open->times(layout);
  if (const uint32_t rows = RowsUpTo(open, image.open_count, time); rows > 0) return open[rows - 1];
  const auto at = LeafCursor::After(image.tree, time);
  if (at.at_end()) return at.LastTimeBefore(RowImage::kNever);
  const int64_t* times = at.chunk()->times(layout);
  const uint32_t rows = RowsUpTo(times, at.chunk()->count(), time);
  return rows > 0 ? times[rows - 1] : at.LastTimeBefore(RowImage::kNever);
}

template class TreePass<ViewAnswer>;
template class TreePass<RowAnswers::Row>;
template class TreePass<WindowSums>;

}  // namespace headrace::pipeline

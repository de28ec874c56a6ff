// Appending: the lowest node of the right edge that has room gets a new child, with a node for each
// level below it; the nodes below that were full are thereby finished, and their parents note what
// is in them. Only the root grows in size (2, 4, 8, 16 children), so that small keys have small
// nodes; it is then a copy without the children that were dropped.

#include "pipeline/state/row_tree.h"

#include <algorithm>
#include <bit>
#include <new>

namespace headrace::pipeline {
namespace {

constexpr uint32_t kFanOut = TreeNode::kFanOut;
static_assert(std::has_single_bit(kFanOut) && kFanOut == 16, "RowTree has 4 bits a level");

// A root that has lost so many children makes room by leaving them out.
constexpr uint32_t kDroppedToRebuild = kFanOut / 4;

}  // namespace

size_t TreeNode::Bytes(uint32_t capacity, size_t slots) {
  return sizeof(TreeNode) +
         capacity * (sizeof(int64_t) + sizeof(void*) + slots * sizeof(SlotPartial));
}

TreeNode* TreeNode::Make(uint32_t capacity, size_t slots, StateMemory& memory) {
  return new (memory.Allocate(Bytes(capacity, slots))) TreeNode(capacity);
}

// ---- LeafCursor ----

void LeafCursor::Enter(const RowTree& tree, uint32_t level, const TreeNode* node, bool left,
                       bool right) {
  const uint32_t begin = left ? tree.begin(level) : 0;
  steps_[level] = {.node = node,
                   .begin = begin,
                   .end = right ? tree.end(level) : node->count(),
                   .index = begin,
                   .left = left,
                   .right = right};
}

// Enters the child where the way stands at `level`.
void LeafCursor::EnterBelow(uint32_t level) {
  const OnWay& above = steps_[level];
  Enter(tree_, level - 1, above.node->node(above.index), above.left && above.index == above.begin,
        above.right && above.index + 1 == above.end);
}

LeafCursor LeafCursor::First(const RowTree& tree) {
  LeafCursor cursor;
  if (tree.empty()) return cursor;
  cursor.tree_ = tree;
  cursor.at_end_ = false;
  cursor.Enter(tree, tree.height - 1, tree.root, true, true);
  for (uint32_t level = tree.height - 1; level > 0; --level) cursor.EnterBelow(level);
  return cursor;
}

// Goes to the child of the way's node at `level` in which the first row after `time` lies.
void LeafCursor::Seek(uint32_t level, int64_t time) {
  OnWay& step = steps_[level];
  // The last child of the right edge is where everything newer is.
  const bool last_is_open = step.right && level > 0;
  const uint32_t known = step.end - step.begin - (last_is_open ? 1 : 0);
  step.index += TimesUpTo(step.node->last_times() + step.begin, known, time);
}

LeafCursor LeafCursor::After(const RowTree& tree, int64_t time) {
  LeafCursor cursor;
  if (tree.empty()) return cursor;
  cursor.tree_ = tree;
  cursor.Enter(tree, tree.height - 1, tree.root, true, true);
  for (uint32_t level = tree.height - 1; level > 0; --level) {
    cursor.Seek(level, time);
    cursor.EnterBelow(level);
  }
  cursor.Seek(0, time);
  cursor.at_end_ = cursor.steps_[0].index == cursor.steps_[0].end;
  return cursor;
}

const TreeNode* LeafCursor::LastNode(const RowTree& tree, int64_t time) {
  LeafCursor cursor;
  cursor.tree_ = tree;
  cursor.Enter(tree, tree.height - 1, tree.root, true, true);
  for (uint32_t level = tree.height - 1; level > 1; --level) {
    cursor.Seek(level, time);
    cursor.EnterBelow(level);
  }
  cursor.Seek(1, time);
  return cursor.steps_[1].node->node(cursor.steps_[1].index);
}

int64_t LeafCursor::LastTimeBefore(int64_t otherwise) const {
  for (uint32_t level = 0; level < tree_.height; ++level)
    if (steps_[level].index > steps_[level].begin)
      return steps_[level].node->last_times()[steps_[level].index - 1];
  return otherwise;
}

void LeafCursor::Next() {
  uint32_t level = 0;
  while (++steps_[level].index == steps_[level].end) {
    if (++level == tree_.height) {
      at_end_ = true;
      return;
    }
  }
  for (; level > 0; --level) EnterBelow(level);
}

// ---- TreeWriter ----

TreeWriter::TreeWriter(const ChunkLayout& layout, StateMemory& memory)
    : layout_(layout), memory_(memory), scratch_(layout.plan()), arguments_(layout.arguments()) {}

TreeNode* TreeWriter::NewNode(uint32_t capacity) {
  bytes_change_ += static_cast<int64_t>(TreeNode::Bytes(capacity, layout_.plan().slots().size()));
  return TreeNode::Make(capacity, layout_.plan().slots().size(), memory_);
}

void TreeWriter::Retire(TreeNode* node, Step step) {
  const size_t bytes = TreeNode::Bytes(node->capacity(), layout_.plan().slots().size());
  bytes_change_ -= static_cast<int64_t>(bytes);
  memory_.Retire(node, bytes, step);
}

TreeWriter::Sealed TreeWriter::Seal(RowChunk* chunk, uint32_t count) {
  chunk->Seal(count);
  scratch_.Reset();
  scratch_.AddWithPartial(chunk->Block(layout_, arguments_.data()), RowsBelow(count));
  Sealed sealed{.chunk = chunk, .partials = {}};
  sealed.partials.resize(layout_.plan().slots().size());
  if (!scratch_.WritePartials(sealed.partials)) sealed.partials.clear();
  return sealed;
}

void TreeWriter::Put(TreeNode& node, uint32_t index, void* pointer, int64_t last_time,
                     std::span<const SlotPartial> partials) {
  node.children()[index] = pointer;
  node.set_count(index + 1);
  Note(node, index, last_time, partials);
}

void TreeWriter::Note(TreeNode& node, uint32_t index, int64_t last_time,
                      std::span<const SlotPartial> partials) {
  node.last_times()[index] = last_time;
  const bool fits = AppendToRun(layout_.plan(), node.partials(), index, partials);
  node.SetLoose(index, !fits || partials.empty());
}

bool TreeWriter::Total(const TreeNode& node, std::span<SlotPartial> out) {
  if (node.Loose(0, node.count()) != 0) return false;
  scratch_.Reset();
  scratch_.MergeRun(node.Run(0, node.count()));
  return scratch_.WritePartials(out);
}

void TreeWriter::Finish(RowTree& tree, TreeNode& parent, uint32_t level) {
  const uint32_t index = tree.end(level + 1) - 1;
  const TreeNode& node = *parent.node(index);
  values_.resize(layout_.plan().slots().size());
  // Nobody takes a node of the left edge as a whole: it may have lost children.
  const bool left = tree.height == level + 2 && index == tree.begin(level + 1);
  const bool whole = !left && Total(node, values_);
  Note(parent, index, node.last_times()[node.count() - 1],
       whole ? std::span<const SlotPartial>(values_) : std::span<const SlotPartial>());
}

void TreeWriter::Append(RowTree& tree, const Sealed& sealed, Step step) {
  const int64_t last_time = sealed.chunk->times(layout_)[sealed.chunk->count() - 1];
  if (tree.empty()) {
    tree = {.root = NewNode(2), .height = 1, .edges = 0};
    Put(*tree.root, 0, sealed.chunk, last_time, sealed.partials);
    return;
  }
  std::array<TreeNode*, RowTree::kLevelsMax> edge;
  const auto find_edge = [&] {
    edge[tree.height - 1] = tree.root;
    for (uint32_t level = tree.height - 1; level > 0; --level)
      edge[level - 1] = edge[level]->node(tree.end(level) - 1);
  };
  find_edge();
  uint32_t level = 0;
  while (level < tree.height && tree.end(level) == edge[level]->capacity()) ++level;
  if (level == tree.height) {
    GrowRoot(tree, step);
    find_edge();
    level = tree.height - 1;
  }
  for (uint32_t below = 0; below < level; ++below) Finish(tree, *edge[below + 1], below);
  void* child = sealed.chunk;
  for (uint32_t below = 0; below < level; ++below) {
    TreeNode* node = NewNode(kFanOut);
    PutLast(*node, 0, below, child, sealed, last_time);
    tree.set_end(below, 1);
    child = node;
  }
  PutLast(*edge[level], tree.end(level), level, child, sealed, last_time);
  tree.set_end(level, tree.end(level) + 1);
}

// What is in a node is noted when it is full (Finish).
void TreeWriter::PutLast(TreeNode& node, uint32_t index, uint32_t level, void* child,
                         const Sealed& sealed, int64_t last_time) {
  Put(node, index, child, last_time,
      level == 0 ? std::span<const SlotPartial>(sealed.partials) : std::span<const SlotPartial>());
}

// The nodes of the right edge are full: makes room in the root, or a new one above it.
void TreeWriter::GrowRoot(RowTree& tree, Step step) {
  const uint32_t top = tree.height - 1;
  const uint32_t begin = tree.begin(top);
  const uint32_t end = tree.end(top);
  if (end == kFanOut && begin < kDroppedToRebuild) {
    HR_CHECK(tree.height < RowTree::kLevelsMax, "a key has more chunks than its tree has room for");
    TreeNode* root = NewNode(kFanOut);
    Put(*root, 0, tree.root, 0, {});
    tree.root = root;
    tree.set_begin(tree.height, 0);
    tree.set_end(tree.height, 1);
    ++tree.height;
    return;
  }
  values_.clear();
  std::vector<Child> children;
  Collect(*tree.root, begin, end, children);
  if (top > 0) children.front().loose = true;
  const uint32_t live = end - begin;
  TreeNode* root = Build(children, std::min(kFanOut, std::max(2U, std::bit_ceil(live + 1))));
  Retire(tree.root, step);
  tree.root = root;
  tree.set_begin(top, 0);
  tree.set_end(top, live);
}

size_t TreeWriter::NewValues() {
  const size_t at = values_.size();
  values_.resize(at + layout_.plan().slots().size());
  return at;
}

std::span<SlotPartial> TreeWriter::ValuesOf(const Child& child) {
  return {values_.data() + child.partials, layout_.plan().slots().size()};
}

void TreeWriter::Collect(const TreeNode& node, uint32_t begin, uint32_t end,
                         std::vector<Child>& out) {
  for (uint32_t i = begin; i < end; ++i) {
    out.push_back({node.children()[i], node.last_times()[i], NewValues(), node.IsLoose(i)});
    if (!node.IsLoose(i)) BlockOfRun(layout_.plan(), node.partials(), i, ValuesOf(out.back()));
  }
}

TreeNode* TreeWriter::Build(std::span<const Child> children, uint32_t capacity) {
  TreeNode* node = NewNode(capacity);
  for (uint32_t i = 0; i < children.size(); ++i) {
    Put(*node, i, children[i].pointer, children[i].last_time,
        children[i].loose ? std::span<const SlotPartial>() : ValuesOf(children[i]));
  }
  return node;
}

std::vector<TreeWriter::Child> TreeWriter::BuildLevel(std::span<const Child> children, bool root) {
  const size_t nodes = (children.size() + kFanOut - 1) / kFanOut;
  const size_t per_node = (children.size() + nodes - 1) / nodes;
  std::vector<Child> level;
  for (size_t first = 0; first < children.size(); first += per_node) {
    const auto of_node = children.subspan(first, std::min(per_node, children.size() - first));
    const uint32_t capacity =
        root && nodes == 1 ? std::max(2U, std::bit_ceil(static_cast<uint32_t>(of_node.size())))
                           : kFanOut;
    TreeNode* node = Build(of_node, capacity);
    level.push_back({node, of_node.back().last_time, NewValues(), false});
    level.back().loose = !Total(*node, ValuesOf(level.back()));
  }
  return level;
}

void TreeWriter::Replace(RowTree& tree, const LeafCursor& at, std::span<const Sealed> chunks,
                         Step step) {
  values_.clear();
  std::vector<Child> in_place;
  for (const Sealed& sealed : chunks) {
    in_place.push_back({sealed.chunk, sealed.chunk->times(layout_)[sealed.chunk->count() - 1],
                        NewValues(), sealed.partials.empty()});
    if (!sealed.partials.empty())
      std::copy(sealed.partials.begin(), sealed.partials.end(), ValuesOf(in_place.back()).begin());
  }
  const uint32_t height = tree.height;
  for (uint32_t level = 0; level < height; ++level) {
    const LeafCursor::OnWay& way = at.step(level);
    std::vector<Child> children;
    Collect(*way.node, way.begin, way.index, children);
    children.insert(children.end(), in_place.begin(), in_place.end());
    Collect(*way.node, way.index + 1, way.end, children);
    // Nodes of the left edge may have lost children, those of the right edge will get some: nobody
    // takes them as a whole.
    if (level > 0 && way.left) children.front().loose = true;
    if (level > 0 && way.right) children.back().loose = true;
    in_place = BuildLevel(children, level + 1 == height);
    if (way.left) tree.set_begin(level, 0);
    if (way.right) tree.set_end(level, static_cast<TreeNode*>(in_place.back().pointer)->count());
    Retire(const_cast<TreeNode*>(way.node), step);
  }
  while (in_place.size() > 1) {
    HR_CHECK(tree.height < RowTree::kLevelsMax, "a key has more chunks than its tree has room for");
    in_place = BuildLevel(in_place, true);
    tree.set_begin(tree.height, 0);
    tree.set_end(tree.height, static_cast<TreeNode*>(in_place.back().pointer)->count());
    ++tree.height;
  }
  tree.root = static_cast<TreeNode*>(in_place.front().pointer);
}

void TreeWriter::DropFirst(RowTree& tree, Step step) {
  std::array<TreeNode*, RowTree::kLevelsMax> edge;
  edge[tree.height - 1] = tree.root;
  for (uint32_t level = tree.height - 1; level > 0; --level)
    edge[level - 1] = edge[level]->node(tree.begin(level));
  // A node of the left edge is on the right one as well only if all above it have one child, and
  // such roots are left out below.
  for (uint32_t level = 0;; ++level) {
    const bool root = level + 1 == tree.height;
    const uint32_t begin = tree.begin(level) + 1;
    if (begin < (root ? tree.end(level) : edge[level]->count())) {
      tree.set_begin(level, begin);
      break;
    }
    Retire(edge[level], step);
    tree.set_begin(level, 0);
    if (root) {
      tree = {};
      return;
    }
  }
  while (tree.height > 1 && tree.begin(tree.height - 1) + 1 == tree.end(tree.height - 1)) {
    const uint32_t top = tree.height - 1;
    TreeNode* child = tree.root->node(tree.begin(top));
    Retire(tree.root, step);
    tree.root = child;
    tree.set_begin(top, 0);
    tree.set_end(top, 1);
    --tree.height;
  }
}

void TreeWriter::ClearNode(RowTree& tree, TreeNode* node, uint32_t level, bool left, bool right,
                           Step step) {
  if (level > 0) {
    const uint32_t begin = left ? tree.begin(level) : 0;
    const uint32_t end = right ? tree.end(level) : node->count();
    for (uint32_t i = begin; i < end; ++i)
      ClearNode(tree, node->node(i), level - 1, left && i == begin, right && i + 1 == end, step);
  }
  Retire(node, step);
}

void TreeWriter::Clear(RowTree& tree, Step step) {
  if (!tree.empty()) ClearNode(tree, tree.root, tree.height - 1, true, true, step);
  tree = {};
}

}  // namespace headrace::pipeline

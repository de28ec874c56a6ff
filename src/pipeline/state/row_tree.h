#pragma once
// A key's sealed chunks in (event time, position) order, as the leaves of a tree whose nodes have
// up to 16 children and the partials of each. Where a window begins is found by going down once,
// and what lies behind it is summed on the way: one stretch of children a level.
//
// Readers hold a RowTree, a value: the root, the height, and how far the nodes on its left and
// right edges reach, a number each per level. Nothing that such a value can find ever changes:
// - appended chunks come behind the end of the right edge's nodes;
// - what a node says about its last child, while that is on the right edge, readers do not look at
//   (it is not known before the child is full);
// - dropped chunks are left of the begin of the left edge's nodes;
// - a chunk inside is replaced in copies of the nodes on the way to it.
// What is replaced is retired with the step that no longer finds it.

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "pipeline/aggregates/accumulator.h"
#include "pipeline/state/row_chunk.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// A node of level 0 has chunks as children, others have nodes. Made and changed by the applier.
class TreeNode {
 public:
  static constexpr uint32_t kFanOut = 16;

  static size_t Bytes(uint32_t capacity, size_t slots);
  // Without children.
  static TreeNode* Make(uint32_t capacity, size_t slots, StateMemory& memory);

  uint32_t capacity() const { return capacity_; }
  // Readers: only of nodes that are not on their right edge.
  uint32_t count() const { return count_; }
  void set_count(uint32_t count) { count_ = count; }
  // Event time of each child's last row.
  const int64_t* last_times() const { return reinterpret_cast<const int64_t*>(this + 1); }
  int64_t* last_times() { return reinterpret_cast<int64_t*>(this + 1); }
  RowChunk* chunk(uint32_t i) const { return static_cast<RowChunk*>(children()[i]); }
  TreeNode* node(uint32_t i) const { return static_cast<TreeNode*>(children()[i]); }
  void* const* children() const { return reinterpret_cast<void* const*>(last_times() + capacity_); }
  void** children() { return reinterpret_cast<void**>(last_times() + capacity_); }
  // A run of `count` blocks.
  const SlotPartial* partials() const {
    return reinterpret_cast<const SlotPartial*>(children() + capacity_);
  }
  SlotPartial* partials() { return reinterpret_cast<SlotPartial*>(children() + capacity_); }
  PartialRun Run(uint32_t first, uint32_t end) const { return {partials(), first, end}; }

  // Children whose partials do not fit: they count for nothing in the run, and are to be added one
  // by one.
  bool IsLoose(uint32_t i) const {
    return ((loose_.load(std::memory_order_relaxed) >> i) & 1) != 0;
  }
  uint32_t Loose(uint32_t first, uint32_t end) const {
    return loose_.load(std::memory_order_relaxed) & ((1U << end) - (1U << first));
  }
  void SetLoose(uint32_t i, bool loose) {
    const uint32_t others = loose_.load(std::memory_order_relaxed) & ~(1U << i);
    loose_.store(others | (loose ? 1U << i : 0), std::memory_order_relaxed);
  }

 private:
  explicit TreeNode(uint32_t capacity) : capacity_(capacity) {}
  uint32_t capacity_;
  uint32_t count_ = 0;
  std::atomic<uint32_t> loose_{0};  // shared by readers of the children before the new one
  [[maybe_unused]] uint32_t padding_ = 0;
};
static_assert(sizeof(TreeNode) == 16);

// What a reader of one step knows of a key's tree. A value.
struct RowTree {
  static constexpr uint32_t kLevelsMax = 8;  // 16^8 chunks

  TreeNode* root = nullptr;
  uint32_t height = 0;  // levels of nodes; 0: no chunk
  uint64_t edges = 0;   // 4 bits a level: where the left edge's node begins; from bit 32 on: the
                        // last child of the right edge's node

  bool empty() const { return height == 0; }
  uint32_t begin(uint32_t level) const { return edges >> (4 * level) & 15; }
  uint32_t end(uint32_t level) const { return (edges >> (32 + 4 * level) & 15) + 1; }
  void set_begin(uint32_t level, uint32_t begin) { Set(4 * level, begin); }
  void set_end(uint32_t level, uint32_t end) { Set(32 + 4 * level, end - 1); }
  bool operator==(const RowTree&) const = default;

 private:
  void Set(uint32_t shift, uint64_t value) {
    edges = (edges & ~(uint64_t{15} << shift)) | value << shift;
  }
};

// How many of `count` ascending times are at or before `time`; for a node's worth of them.
inline uint32_t TimesUpTo(const int64_t* times, uint32_t count, int64_t time) {
  uint32_t up_to = 0;
  for (uint32_t i = 0; i < count; ++i) up_to += times[i] <= time ? 1U : 0U;
  return up_to;
}

// Stands at a chunk of a tree, and knows the way to it. As long-lived as the tree's step is held.
class LeafCursor {
 public:
  LeafCursor() = default;
  // At the first chunk.
  static LeafCursor First(const RowTree& tree);
  // At the first chunk whose last row is after `time`; at the end when there is none.
  static LeafCursor After(const RowTree& tree, int64_t time);
  // The node of level 0 in which After will look, of a tree with more levels than that.
  static const TreeNode* LastNode(const RowTree& tree, int64_t time);

  bool at_end() const { return at_end_; }
  RowChunk* chunk() const { return steps_[0].node->chunk(steps_[0].index); }
  int64_t last_time() const { return steps_[0].node->last_times()[steps_[0].index]; }
  bool is_loose() const { return steps_[0].node->IsLoose(steps_[0].index); }
  // The chunk's partials, unless it is loose.
  void Partials(const AggregatePlan& plan, std::span<SlotPartial> out) const {
    BlockOfRun(plan, steps_[0].node->partials(), steps_[0].index, out);
  }
  // The last time of the chunk before; `otherwise` when there is none.
  int64_t LastTimeBefore(int64_t otherwise) const;
  void Next();

  // Whether `chunk` is the one before, in the same node.
  bool IsBehind(const RowChunk* chunk) const {
    const OnWay& step = steps_[0];
    return step.node != nullptr && step.index > step.begin &&
           step.node->chunk(step.index - 1) == chunk;
  }

  // The way, from the root's level down to 0.
  struct OnWay {
    const TreeNode* node = nullptr;
    uint32_t begin;
    uint32_t end;
    uint32_t index;
    bool left;   // on the left edge
    bool right;  // on the right edge
  };
  const OnWay& step(uint32_t level) const { return steps_[level]; }

 private:
  void Enter(const RowTree& tree, uint32_t level, const TreeNode* node, bool left, bool right);
  void EnterBelow(uint32_t level);
  void Seek(uint32_t level, int64_t time);

  RowTree tree_;
  std::array<OnWay, RowTree::kLevelsMax> steps_;
  bool at_end_ = true;
};

// Changes trees. Applier only; each change leaves what readers of older values find as it was.
// Chunks are the caller's: it makes them, and retires those that are dropped or replaced.
class TreeWriter {
 public:
  // Both outlive it.
  TreeWriter(const ChunkLayout& layout, StateMemory& memory);

  // A chunk with its partials, of none when they do not fit.
  struct Sealed {
    RowChunk* chunk;
    std::vector<SlotPartial> partials;
  };
  // `chunk` has `count` rows for ever.
  Sealed Seal(RowChunk* chunk, uint32_t count);
  void Append(RowTree& tree, const Sealed& chunk, Step step);
  // Lets the first chunk go.
  void DropFirst(RowTree& tree, Step step);
  // Puts `chunks` (at least one) in the place of the one where `at` stands, a cursor of this tree.
  void Replace(RowTree& tree, const LeafCursor& at, std::span<const Sealed> chunks, Step step);
  // Retires all nodes, and forgets the chunks.
  void Clear(RowTree& tree, Step step);

  // Of nodes that were made and not retired; change since it was last asked.
  int64_t TakeBytesChange() { return std::exchange(bytes_change_, 0); }

 private:
  // A child in the making, its partials among values_; no partials when `loose`.
  struct Child {
    void* pointer;
    int64_t last_time;
    size_t partials;
    bool loose;
  };
  std::span<SlotPartial> ValuesOf(const Child& child);
  size_t NewValues();
  void Collect(const TreeNode& node, uint32_t begin, uint32_t end, std::vector<Child>& out);
  TreeNode* Build(std::span<const Child> children, uint32_t capacity);
  // Children in as few nodes as hold them, as children of the level above.
  std::vector<Child> BuildLevel(std::span<const Child> children, bool root);
  void Put(TreeNode& node, uint32_t index, void* pointer, int64_t last_time,
           std::span<const SlotPartial> partials);
  void Note(TreeNode& node, uint32_t index, int64_t last_time,
            std::span<const SlotPartial> partials);
  void PutLast(TreeNode& node, uint32_t index, uint32_t level, void* child, const Sealed& sealed,
               int64_t last_time);
  // The last child of the right edge's node at `level + 1` is full: notes what is in it.
  void Finish(RowTree& tree, TreeNode& parent, uint32_t level);
  void GrowRoot(RowTree& tree, Step step);
  // What is in children [0, count) of a node; loose for a node that has lost children.
  bool Total(const TreeNode& node, std::span<SlotPartial> out);
  TreeNode* NewNode(uint32_t capacity);
  void Retire(TreeNode* node, Step step);
  void ClearNode(RowTree& tree, TreeNode* node, uint32_t level, bool left, bool right, Step step);

  const ChunkLayout& layout_;
  StateMemory& memory_;
  Accumulators scratch_;
  std::vector<ArgumentBlock> arguments_;
  std::vector<SlotPartial> values_;
  int64_t bytes_change_ = 0;
};

}  // namespace headrace::pipeline

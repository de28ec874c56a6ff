#pragma once
// A key's rows at one step, from the newest at or before the windows' end to the oldest that an
// open window needs, given to NestedWindows: rows one by one where a window begins or ends, and
// everything between as stretches of children of the key's tree. A window's edge costs one way
// down; of a session every chunk is looked at.

#include <cstdint>

#include "pipeline/state/row_store.h"
#include "pipeline/views/left_out.h"
#include "pipeline/views/nested_windows.h"

namespace headrace::pipeline {

// For one question; not thread-safe. The image's step is held meanwhile.
template <typename Answer>
class TreePass {
 public:
  // All outlive it. `arguments`: scratch, layout.arguments() of them. `without`: a row of the image
  // that does not count; null for none.
  TreePass(const ChunkLayout& layout, const RowImage& image, ArgumentBlock* arguments,
           NestedWindows<Answer>& windows, const FoundRow* without = nullptr)
      : layout_(layout),
        image_(image),
        end_time_(windows.end_time()),
        arguments_(arguments),
        windows_(windows),
        without_(without) {}

  // Event time of the newest row at or before the windows' end, of the one that does not count,
  // too; kNever when there is none.
  int64_t Run();

 private:
  void Node(const TreeNode& node, uint32_t level, bool left, bool right);
  void Child(const TreeNode& node, uint32_t level, uint32_t index, bool left, bool right);
  void Leaf(const TreeNode& node, uint32_t index);
  uint32_t WholeChildren(const TreeNode& node, uint32_t first, uint32_t end) const;
  // Children [first, end) lie in the open window.
  void Stretch(const TreeNode& node, uint32_t level, uint32_t first, uint32_t end);
  // The first `end` rows of a chunk, those that count.
  RowMask CountedOf(const RowChunk& chunk, uint32_t end) const;
  void RereadChild(const TreeNode& node, uint32_t level, uint32_t index);

  const ChunkLayout& layout_;
  const RowImage& image_;
  const int64_t end_time_;
  ArgumentBlock* arguments_;
  NestedWindows<Answer>& windows_;
  const FoundRow* without_;
  bool rows_after_end_ = true;  // may still follow
};

// Event time of the newest row at or before `time`; kNever when there is none.
int64_t NewestUpTo(const ChunkLayout& layout, const RowImage& image, int64_t time);

}  // namespace headrace::pipeline

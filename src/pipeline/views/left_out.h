#pragma once
// The row that a question leaves out, found among a key's rows.

#include <cstdint>

#include "pipeline/state/row_store.h"
#include "pipeline/views/own_row.h"

namespace headrace::pipeline {

// As long-lived as the image's step is held.
struct FoundRow {
  enum class Where : uint8_t {
    kNowhere,  // the key has no such row in this view: nothing is left out
    kThere,
    kUnclear,  // it can't be told from others, or from the tile that it is in
  };
  Where where = Where::kNowhere;
  const RowChunk* chunk = nullptr;
  uint32_t row = 0;  // of the chunk
  LeafCursor leaf;   // the way to the chunk, when it is in the tree
  bool in_tree = false;
  bool alone = true;  // no other row of the key has its event time

  // The child of `node` that leads to the row; `none` when it is not below it.
  uint32_t ChildOf(const TreeNode& node, uint32_t level, uint32_t none) const {
    return in_tree && leaf.step(level).node == &node ? leaf.step(level).index : none;
  }
};

// `tiles_until`: rows before it are in tiles. Rows behind `as_of` count in no answer.
FoundRow FindLeftOut(const ChunkLayout& layout, const RowImage& image, int64_t tiles_until,
                     const LeftOutRow& wanted, int64_t as_of);

}  // namespace headrace::pipeline

#pragma once
// The versions of state rows that the step in the making replaces, for readers of the step before:
// written one after the other, never changed, and freed a block at a time when no reader is before
// the step in which the block was filled. So a key costs one version, and a step one more for each
// key that it changes.

#include <array>
#include <atomic>
#include <cstdint>

#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// A version as the state row has it (state_row.h).
struct RowVersion {
  uint64_t head;
  uint64_t open;
  uint64_t past;
};

// Applier only; what Keep gave is read by any thread that holds a step before the one given.
class UndoLog {
 public:
  explicit UndoLog(StateMemory& memory) : memory_(memory) {}
  ~UndoLog() {
    if (block_ != nullptr) memory_.Free(block_, sizeof(Block));
  }
  UndoLog(const UndoLog&) = delete;
  UndoLog& operator=(const UndoLog&) = delete;

  // Of the block that is being filled. Any thread.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // `step` replaces the version, and no step before it was given.
  const RowVersion* Keep(const RowVersion& version, Step step) {
    if (used_ == kVersions) NextBlock(step);
    RowVersion* kept = &block_->versions[used_++];
    *kept = version;
    return kept;
  }

 private:
  static constexpr uint32_t kVersions = 170;  // just under 4 KiB
  struct Block {
    std::array<RowVersion, kVersions> versions;
  };
  void NextBlock(Step step) {
    // It may have versions of steps before this one, too: they stay a little longer.
    if (block_ != nullptr) memory_.Retire(block_, sizeof(Block), step);
    block_ = static_cast<Block*>(memory_.Allocate(sizeof(Block)));
    bytes_.store(sizeof(Block), std::memory_order_relaxed);
    used_ = 0;
  }

  StateMemory& memory_;
  Block* block_ = nullptr;
  uint32_t used_ = kVersions;
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace headrace::pipeline

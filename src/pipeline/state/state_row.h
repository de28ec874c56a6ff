#pragma once
// Where a reader of a step finds a key's rows.
//
// A state row is 32 bytes: its newest version, and the address of the one that readers of the step
// before see, if the row was changed since. That one lies in the undo log (undo_log.h) as long as
// there are such readers. What few keys have (a tree, tiles, rows that went) is in a KeyPast of its
// own, and what can be seen in the rows themselves is in none of them.

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "pipeline/state/row_chunk.h"
#include "pipeline/state/row_tree.h"
#include "pipeline/state/tile_run.h"
#include "pipeline/state/undo_log.h"

namespace headrace::pipeline {

// One version of a key's rows: tiles, then a tree of sealed chunks, and behind them the open one.
struct RowImage {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kNoEvent = std::numeric_limits<int64_t>::max();

  RowTree tree;
  RowChunk* open = nullptr;  // has rows; null: the key has none
  uint32_t open_count = 0;
  uint32_t fold_wait = 0;  // full chunks before rows that took less than their tiles are looked at
  int64_t first_time = kNoEvent;  // earliest event time of the key since it is known
  int64_t dropped_time = kNever;  // latest event time among rows that were dropped
  int64_t newest_time = kNever;   // of the last row, if there is one
  // Of the last row of the first chunk: when it can be dropped. Of a view with tiles it is looked
  // up when it is needed: the version has the tiles in its place.
  int64_t oldest_until = kNever;
  const TileRun* tiles = nullptr;

  bool empty() const { return open == nullptr; }
  // No event of the key is known.
  bool is_nothing() const { return first_time == kNoEvent; }
};

// Whether a view's versions have tiles.
enum class Tiled : uint8_t { kNo, kYes };

// What a key has behind its open chunk, once there is anything. Never changes: a version that has
// another one has another one's address.
struct KeyPast {
  RowTree tree;
  int64_t first_time;
  int64_t dropped_time;
  int64_t oldest_until;  // if there is a tree; of a view with tiles: fold_wait
  const TileRun* tiles;

  bool operator==(const KeyPast&) const = default;
};

// A state row. The applier overwrites it while readers of the step before are sent to the undo log.
class StateRow {
 public:
  Step newest_step() const { return StepOf(head_.load(std::memory_order_relaxed)); }
  // The newest version has nothing: the key had no row, or is forgotten. Applier only.
  bool is_nothing() const {
    return open_.load(std::memory_order_relaxed) == 0 && past_.load(std::memory_order_relaxed) == 0;
  }
  // The newest version. Applier only.
  RowImage Newest(const ChunkLayout& layout, Tiled tiled) const {
    return ImageOf(Version(), layout, tiled);
  }
  // Of the newest version: its open chunk and the rows in it, and what is behind it; null for
  // nothing. Applier only, but for asking for memory.
  std::pair<const RowChunk*, uint32_t> Open() const {
    return {Pointer<RowChunk>(open_.load(std::memory_order_relaxed)),
            CountOf(head_.load(std::memory_order_relaxed))};
  }
  const KeyPast* Past() const { return Pointer<KeyPast>(past_.load(std::memory_order_relaxed)); }

  // Makes these the version of `step`; the one before goes to the undo log, unless it is of this
  // same step, which nobody reads yet. Applier only.
  void Publish(const RowChunk* open, uint32_t open_count, const KeyPast* past, Step step,
               UndoLog& undo) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (StepOf(head) != step && head != 0) {
      previous_.store(undo.Keep(Version(), step), std::memory_order_release);
      head_.store(kBeingWritten, std::memory_order_release);
    }
    // Each release keeps the mark above before it: a reader that sees a new field sees the mark, or
    // the new step, and whoever sees one of these sees what is kept for it.
    open_.store(reinterpret_cast<uint64_t>(open), std::memory_order_release);
    past_.store(reinterpret_cast<uint64_t>(past), std::memory_order_release);
    head_.store(step << kCountBits | open_count, std::memory_order_release);
  }

  // The version that readers of `step` see. Nothing when the key has none there, is forgotten, or
  // (only for a revoked pin) when it is gone.
  std::optional<RowImage> Find(Step step, const ChunkLayout& layout, Tiled tiled) const {
    const auto version = VersionAt(step);
    if (!version || (version->open == 0 && version->past == 0)) return std::nullopt;
    return ImageOf(*version, layout, tiled);
  }
  // The same without looking at what it names.
  std::optional<RowVersion> VersionAt(Step step) const {
    const uint64_t head = head_.load(std::memory_order_acquire);
    if (head == 0) return std::nullopt;
    if (StepOf(head) <= step) {
      const RowVersion version{.head = head,
                               .open = open_.load(std::memory_order_acquire),
                               .past = past_.load(std::memory_order_acquire)};
      if (head_.load(std::memory_order_acquire) == head) return version;
    }
    const RowVersion* before = previous_.load(std::memory_order_acquire);
    if (before == nullptr || StepOf(before->head) > step) return std::nullopt;
    return *before;
  }

  static RowChunk* OpenOf(const RowVersion& version) { return Pointer<RowChunk>(version.open); }
  static uint32_t OpenCountOf(const RowVersion& version) { return CountOf(version.head); }
  static const KeyPast* PastOf(const RowVersion& version) {
    return Pointer<const KeyPast>(version.past);
  }

 private:
  static constexpr uint32_t kCountBits = 8;
  static constexpr uint64_t kBeingWritten = ~uint64_t{0};
  static Step StepOf(uint64_t head) { return head >> kCountBits; }
  static uint32_t CountOf(uint64_t head) { return head & ((1U << kCountBits) - 1); }
  template <typename T>
  static T* Pointer(uint64_t address) {
    return reinterpret_cast<T*>(address);
  }
  // Applier only.
  RowVersion Version() const {
    return {.head = head_.load(std::memory_order_relaxed),
            .open = open_.load(std::memory_order_relaxed),
            .past = past_.load(std::memory_order_relaxed)};
  }
  static RowImage ImageOf(const RowVersion& version, const ChunkLayout& layout, Tiled tiled) {
    RowImage image;
    image.open = OpenOf(version);
    image.open_count = OpenCountOf(version);
    if (image.open_count > 0) {
      const int64_t* times = image.open->times(layout);
      image.first_time = times[0];
      image.newest_time = times[image.open_count - 1];
    }
    if (const KeyPast* past = PastOf(version)) {
      image.tree = past->tree;
      image.first_time = past->first_time;
      image.dropped_time = past->dropped_time;
      image.tiles = past->tiles;
      if (tiled == Tiled::kNo)
        image.oldest_until = past->oldest_until;
      else
        image.fold_wait = static_cast<uint32_t>(past->oldest_until);
    }
    if (image.tree.empty() && tiled == Tiled::kNo) image.oldest_until = image.newest_time;
    return image;
  }

  std::atomic<uint64_t> head_{0};  // the step, and in the lowest byte the rows in the open chunk
  std::atomic<uint64_t> open_{0};  // addresses
  std::atomic<uint64_t> past_{0};
  std::atomic<const RowVersion*> previous_{nullptr};  // read only if the step is too new
};
static_assert(sizeof(StateRow) == 32);

}  // namespace headrace::pipeline

#pragma once
// The two versions of what a reader needs to find a key's rows.

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "pipeline/state/row_chunk.h"
#include "pipeline/state/row_tree.h"
#include "pipeline/state/tile_run.h"

namespace headrace::pipeline {

// One version of a key's rows: tiles, then a tree of sealed chunks, and behind them the open one.
struct RowImage {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

  RowTree tree;
  RowChunk* open = nullptr;  // null: the key has no rows
  uint32_t open_count = 0;
  int64_t first_time = std::numeric_limits<int64_t>::max();  // earliest event time the key ever had
  int64_t dropped_time = kNever;  // latest event time among rows that were dropped
  int64_t newest_time = kNever;   // of the last row, if there is one
  // Of the last row of the first chunk: when it can be dropped. Of a view with tiles it is looked
  // up when it is needed: the version has the tiles in its place.
  int64_t oldest_until = kNever;
  const TileRun* tiles = nullptr;

  bool empty() const { return open == nullptr; }
};

// Whether a view's versions have tiles.
enum class Tiled : uint8_t { kNo, kYes };

// A state row: two versions. The applier overwrites the older one while readers use the newer one.
class StateRow {
 public:
  // The newest version. Applier only.
  RowImage Newest(Tiled tiled) const { return Load(versions_[bodies_index()], tiled); }
  Step newest_step() const {
    return versions_[bodies_index()].step.load(std::memory_order_relaxed);
  }

  // Of the newest version: its open chunk and the rows in it, and its tree's root. Applier only.
  std::pair<const RowChunk*, uint32_t> Open() const {
    const uint64_t open = versions_[bodies_index()].open.load(std::memory_order_relaxed);
    return {Pointer<RowChunk>(open), Tag(open)};
  }
  // Of a view with tiles.
  const TileRun* Tiles() const {
    return reinterpret_cast<const TileRun*>(
        versions_[bodies_index()].oldest.load(std::memory_order_relaxed));
  }
  const TreeNode* Root() const {
    return Pointer<TreeNode>(versions_[bodies_index()].root.load(std::memory_order_relaxed));
  }

  // Makes `image` the version of `step`: over the older version, or over the one of this same step.
  // Applier only.
  void Publish(const RowImage& image, Tiled tiled, Step step) {
    const size_t newest = bodies_index();
    Version& version =
        versions_[versions_[newest].step.load(std::memory_order_relaxed) == step ? newest
                                                                                 : 1 - newest];
    version.step.store(kBeingWritten, std::memory_order_relaxed);
    // Each release keeps the mark above before it: a reader that sees a new field sees the mark, or
    // the new step.
    version.root.store(Tagged(image.tree.root, image.tree.height), std::memory_order_release);
    version.edges.store(image.tree.edges, std::memory_order_release);
    version.open.store(Tagged(image.open, image.open_count), std::memory_order_release);
    version.first_time.store(image.first_time, std::memory_order_release);
    version.dropped_time.store(image.dropped_time, std::memory_order_release);
    version.newest_time.store(image.newest_time, std::memory_order_release);
    version.oldest.store(
        tiled == Tiled::kYes ? reinterpret_cast<int64_t>(image.tiles) : image.oldest_until,
        std::memory_order_release);
    version.step.store(step, std::memory_order_release);
  }

  // The version that readers of `step` see. Nothing when the key has none there, or (only for a
  // revoked pin) when the version was overwritten meanwhile.
  std::optional<RowImage> Find(Step step, Tiled tiled) const {
    const Version* best = nullptr;
    Step best_step = 0;
    for (const Version& version : versions_) {
      const Step of_version = version.step.load(std::memory_order_acquire);
      if (of_version > step || of_version <= best_step) continue;
      best = &version;
      best_step = of_version;
    }
    if (best == nullptr) return std::nullopt;
    const RowImage image = Load(*best, tiled);
    if (best->step.load(std::memory_order_relaxed) != best_step) return std::nullopt;
    return image;
  }

 private:
  static constexpr Step kBeingWritten = ~Step{0};
  struct alignas(64) Version {
    std::atomic<Step> step{0};
    std::atomic<uint64_t> root{0};   // its address, the height in the top byte
    std::atomic<uint64_t> edges{0};  // RowTree's
    std::atomic<uint64_t> open{0};   // the open chunk's address, its rows in the top byte
    std::atomic<int64_t> first_time{std::numeric_limits<int64_t>::max()};
    std::atomic<int64_t> dropped_time{RowImage::kNever};
    std::atomic<int64_t> newest_time{RowImage::kNever};
    std::atomic<int64_t> oldest{0};  // oldest_until, or the tiles' address
  };
  static_assert(sizeof(Version) == 64);
  static uint64_t Tagged(const void* address, uint32_t tag) {
    const auto bits = reinterpret_cast<uint64_t>(address);
    HR_CHECK(bits >> 56 == 0, "a heap address uses its top byte");
    return bits | uint64_t{tag} << 56;
  }
  template <typename T>
  static T* Pointer(uint64_t tagged) {
    return reinterpret_cast<T*>(tagged << 8 >> 8);
  }
  static uint32_t Tag(uint64_t tagged) { return static_cast<uint32_t>(tagged >> 56); }
  static RowImage Load(const Version& version, Tiled tiled) {
    const uint64_t root = version.root.load(std::memory_order_acquire);
    const uint64_t open = version.open.load(std::memory_order_acquire);
    const int64_t oldest = version.oldest.load(std::memory_order_acquire);
    return {.tree = {.root = Pointer<TreeNode>(root),
                     .height = Tag(root),
                     .edges = version.edges.load(std::memory_order_acquire)},
            .open = Pointer<RowChunk>(open),
            .open_count = Tag(open),
            .first_time = version.first_time.load(std::memory_order_acquire),
            .dropped_time = version.dropped_time.load(std::memory_order_acquire),
            .newest_time = version.newest_time.load(std::memory_order_acquire),
            .oldest_until = tiled == Tiled::kYes ? RowImage::kNever : oldest,
            .tiles = tiled == Tiled::kYes ? reinterpret_cast<const TileRun*>(oldest) : nullptr};
  }
  size_t bodies_index() const {
    return versions_[1].step.load(std::memory_order_relaxed) >
                   versions_[0].step.load(std::memory_order_relaxed)
               ? 1
               : 0;
  }

  std::array<Version, 2> versions_;
};

}  // namespace headrace::pipeline

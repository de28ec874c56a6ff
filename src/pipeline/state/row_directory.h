#pragma once
// A key's chunks in (event time, position) order, and the two versions of what a reader needs to
// find its rows.

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <new>
#include <optional>

#include "pipeline/state/row_chunk.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// An array of chunk addresses. Entries beyond a version's end may be added, and the last chunk
// replaced by a larger one with the same first rows, without harm to readers; anything else makes a
// new directory.
struct Directory {
  uint32_t capacity;
  std::atomic<RowChunk*>* entries() { return reinterpret_cast<std::atomic<RowChunk*>*>(this + 1); }
  RowChunk* at(uint32_t index) { return entries()[index].load(std::memory_order_acquire); }

  static size_t Bytes(uint32_t capacity) {
    return sizeof(uint64_t) + capacity * sizeof(std::atomic<RowChunk*>);
  }
  static Directory* Make(uint32_t capacity, StateMemory& memory) {
    auto* directory = new (memory.Allocate(Bytes(capacity))) Directory{capacity};
    for (uint32_t i = 0; i < capacity; ++i)
      new (directory->entries() + i) std::atomic<RowChunk*>(nullptr);
    return directory;
  }

 private:
  [[maybe_unused]] uint32_t padding_ = 0;
  explicit Directory(uint32_t entries) : capacity(entries) {}
};
static_assert(sizeof(Directory) == sizeof(uint64_t));

// One version of a key's rows: the chunks [begin, end) of a directory, the last with `open_count`
// rows, all others sealed.
struct RowImage {
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

  Directory* directory = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t open_count = 0;
  int64_t first_time = std::numeric_limits<int64_t>::max();  // earliest event time the key ever had
  int64_t dropped_time = kNever;  // latest event time among rows that were dropped
  int64_t newest_time = kNever;   // of the last row, if there is one
  int64_t oldest_until = kNever;  // of the last row of the first chunk: when it can be dropped

  uint32_t chunks() const { return end - begin; }
  RowChunk* chunk(uint32_t index) const { return directory->at(index); }
  RowChunk* last() const { return chunk(end - 1); }
  uint32_t count(uint32_t index) const {
    return index + 1 == end ? open_count : chunk(index)->count();
  }
};

// A state row: two versions. The applier overwrites the older one while readers use the newer one.
class StateRow {
 public:
  // The newest version. Applier only.
  RowImage Newest() const { return Load(versions_[bodies_index()]); }
  Step newest_step() const {
    return versions_[bodies_index()].step.load(std::memory_order_relaxed);
  }

  // Of the newest version: the address of the last chunk's entry, null when there is none; and the
  // rows in it. Applier only.
  const std::atomic<RowChunk*>* LastEntry() const {
    const Version& version = versions_[bodies_index()];
    const uint32_t end = version.end.load(std::memory_order_relaxed);
    if (end == version.begin.load(std::memory_order_relaxed)) return nullptr;
    return version.directory.load(std::memory_order_relaxed)->entries() + end - 1;
  }
  uint32_t LastCount() const {
    return versions_[bodies_index()].open_count.load(std::memory_order_relaxed);
  }

  // Makes `image` the version of `step`: over the older version, or over the one of this same step.
  // Applier only.
  void Publish(const RowImage& image, Step step) {
    const size_t newest = bodies_index();
    Version& version =
        versions_[versions_[newest].step.load(std::memory_order_relaxed) == step ? newest
                                                                                 : 1 - newest];
    version.step.store(kBeingWritten, std::memory_order_relaxed);
    // Each release keeps the mark above before it: a reader that sees a new field sees the mark, or
    // the new step.
    version.directory.store(image.directory, std::memory_order_release);
    version.begin.store(image.begin, std::memory_order_release);
    version.end.store(image.end, std::memory_order_release);
    version.open_count.store(image.open_count, std::memory_order_release);
    version.first_time.store(image.first_time, std::memory_order_release);
    version.dropped_time.store(image.dropped_time, std::memory_order_release);
    version.newest_time.store(image.newest_time, std::memory_order_release);
    version.oldest_until.store(image.oldest_until, std::memory_order_release);
    version.step.store(step, std::memory_order_release);
  }

  // The version that readers of `step` see. Nothing when the key has none there, or (only for a
  // revoked pin) when the version was overwritten meanwhile.
  std::optional<RowImage> Find(Step step) const {
    const Version* best = nullptr;
    Step best_step = 0;
    for (const Version& version : versions_) {
      const Step of_version = version.step.load(std::memory_order_acquire);
      if (of_version > step || of_version <= best_step) continue;
      best = &version;
      best_step = of_version;
    }
    if (best == nullptr) return std::nullopt;
    const RowImage image = Load(*best);
    if (best->step.load(std::memory_order_relaxed) != best_step) return std::nullopt;
    return image;
  }

 private:
  static constexpr Step kBeingWritten = ~Step{0};
  struct alignas(64) Version {
    std::atomic<Step> step{0};
    std::atomic<Directory*> directory{nullptr};
    std::atomic<uint32_t> begin{0};
    std::atomic<uint32_t> end{0};
    std::atomic<uint32_t> open_count{0};
    std::atomic<int64_t> first_time{std::numeric_limits<int64_t>::max()};
    std::atomic<int64_t> dropped_time{RowImage::kNever};
    std::atomic<int64_t> newest_time{RowImage::kNever};
    std::atomic<int64_t> oldest_until{RowImage::kNever};
  };
  static_assert(sizeof(Version) == 64);
  static RowImage Load(const Version& version) {
    return {.directory = version.directory.load(std::memory_order_acquire),
            .begin = version.begin.load(std::memory_order_acquire),
            .end = version.end.load(std::memory_order_acquire),
            .open_count = version.open_count.load(std::memory_order_acquire),
            .first_time = version.first_time.load(std::memory_order_acquire),
            .dropped_time = version.dropped_time.load(std::memory_order_acquire),
            .newest_time = version.newest_time.load(std::memory_order_acquire),
            .oldest_until = version.oldest_until.load(std::memory_order_acquire)};
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

#pragma once
// Key bytes of one entity -> dense numbers 0, 1, 2 ... in the order of first appearance. Numbers
// are never reused: a key that was seen stays known.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// Open addressing over 8-byte slots: 16 bits of hash beside the address of the key's record. One
// thread adds; any thread finds, without locks, as long as it holds a pin. Growth publishes a new
// table and retires the old one. A number found may belong to a key that only a later step knows:
// state rows decide visibility.
class EntityIndex {
 public:
  explicit EntityIndex(StateMemory& memory);
  ~EntityIndex();
  EntityIndex(const EntityIndex&) = delete;
  EntityIndex& operator=(const EntityIndex&) = delete;

  static uint64_t HashOf(std::string_view key);

  // Nothing when the key was never added. Any thread.
  std::optional<uint32_t> Find(std::string_view key) const { return FindHashed(key, HashOf(key)); }
  std::optional<uint32_t> FindHashed(std::string_view key, uint64_t hash) const;
  // Adds the key if it is new. Writer only.
  uint32_t FindOrAdd(std::string_view key, uint64_t hash, Step step);
  // Asks for the cache line that FindOrAdd will look at first. Writer only.
  void Prefetch(uint64_t hash) const;

  uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Record {  // followed by the key's bytes
    uint64_t hash;
    uint32_t number;
    uint32_t length;
    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), length}; }
  };
  struct Table {  // followed by `mask + 1` slots
    uint64_t mask;
    std::atomic<uint64_t>* slots() { return reinterpret_cast<std::atomic<uint64_t>*>(this + 1); }
    const std::atomic<uint64_t>* slots() const {
      return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1);
    }
    static size_t Bytes(uint64_t mask) {
      return sizeof(Table) + (mask + 1) * sizeof(std::atomic<uint64_t>);
    }
  };
  static constexpr size_t kFirstSlots = 64;
  static constexpr size_t kArenaBlockBytes = 64 << 10;
  static constexpr uint64_t kAddressMask = (1ULL << 48) - 1;

  static const Record* RecordOf(uint64_t slot) {
    return reinterpret_cast<const Record*>(slot & kAddressMask);
  }
  Table* NewTable(uint64_t mask);
  void Grow(Step step);
  const Record* NewRecord(std::string_view key, uint64_t hash);
  static void Insert(Table& table, const Record* record);

  StateMemory& memory_;
  std::atomic<Table*> table_;
  std::atomic<uint32_t> size_{0};
  std::atomic<uint64_t> bytes_{0};
  struct Block {
    void* memory;
    size_t bytes;
  };
  std::vector<Block> arena_;
  char* arena_next_ = nullptr;
  size_t arena_left_ = 0;
};

}  // namespace headrace::pipeline

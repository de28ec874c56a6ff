#pragma once
// Key bytes of one entity -> dense numbers 0, 1, 2 ... in the order of first appearance. Numbers
// are never reused: a key that was seen stays known.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
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
  // Adds the key, whose hash that is, if it is new. Writer only.
  uint32_t FindOrAdd(std::string_view key, uint64_t hash, Step step);
  // Gives a new index the key that had `number` when it was captured. Writer, before FindOrAdd.
  // Errors: kCorruption when the key is there already.
  base::Result<void> Restore(std::string_view key, uint32_t number);
  // Walks the keys with numbers below `end` (at most size()), in the order of the table, while
  // others are added: calls `visit(number, key)` for those of the next `slots` slots after
  // `position`. True while there are more. The reader holds the memory of the table that it began
  // with (`table`, null at first) all the way.
  struct Walk {
    const void* table = nullptr;
    uint64_t position = 0;
    uint32_t end = 0;
  };
  bool VisitKeys(Walk& walk, size_t slots,
                 const std::function<void(uint32_t, std::string_view)>& visit) const;
  // Ask for the cache lines that FindHashed and FindOrAdd will look at: of the table, and then of
  // the key's record, which the first must have brought. Any thread.
  void Prefetch(uint64_t hash) const;
  void PrefetchRecord(uint64_t hash) const;

  // All keys with smaller numbers can be found.
  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // A key's number, and its bytes behind their length: 1 byte, or 5 of keys that are longer than
  // that can say. So a key of 8 or 9 bytes takes 16.
  class Record {
   public:
    static size_t Bytes(std::string_view key);
    Record(std::string_view key, uint32_t number);
    uint32_t number() const { return number_; }
    std::string_view key() const {
      if (length_ < kLong) return {text(), length_};
      uint32_t length;
      std::memcpy(&length, text(), sizeof(length));
      return {text() + sizeof(length), length};
    }

   private:
    static constexpr uint8_t kLong = 255;
    const char* text() const {
      return reinterpret_cast<const char*>(this) + offsetof(Record, length_) + 1;
    }
    uint32_t number_;
    uint8_t length_;
  };
  // The slots lie apart: a power of two of bytes has no word too many for its pages.
  struct Table {
    uint64_t mask;
    std::atomic<uint64_t>* slots;
    size_t slot_bytes() const { return (mask + 1) * sizeof(std::atomic<uint64_t>); }
  };
  static constexpr size_t kFirstSlots = 64;
  static constexpr size_t kArenaBlockBytes = 16 << 10;
  static constexpr uint64_t kAddressMask = (1ULL << 48) - 1;

  static const Record* RecordOf(uint64_t slot) {
    return reinterpret_cast<const Record*>(slot & kAddressMask);
  }
  Table* NewTable(uint64_t mask);
  static size_t BytesOf(const Table& table) { return sizeof(Table) + table.slot_bytes(); }
  void Grow(Step step);
  const Record* NewRecord(std::string_view key, uint32_t number);
  void AddRecord(std::string_view key, uint64_t hash, uint32_t number, Step step);
  static void Insert(Table& table, const Record* record, uint64_t hash);

  StateMemory& memory_;
  std::atomic<Table*> table_;
  std::atomic<uint32_t> size_{0};
  uint64_t records_ = 0;  // in the table
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

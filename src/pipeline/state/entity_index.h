#pragma once
// Key bytes of one entity -> numbers, from 0 on: the next, or one that is free since a key that no
// view had anything of was removed. Without removals they are dense, in the order of first
// appearance.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "pipeline/state/state_memory.h"

namespace headrace::pipeline {

// Open addressing over 8-byte slots: 16 bits of hash beside the address of the key's record. One
// thread adds and removes; any thread finds, without locks, as long as it holds a pin. A table of
// another size is published, and the old one retired. A number found may belong to a key that only
// a later step knows: state rows decide visibility.
class EntityIndex {
 public:
  // Keys that are looked at side by side: about as many lines as a core waits for.
  static constexpr size_t kAtOnce = 16;

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
  // How many keys were added since the last call. Writer.
  uint64_t TakeAdded() { return std::exchange(added_, 0); }
  // Of up to 64 numbers, bit i for the i-th: nobody can find anything of them.
  using UnusedOf = std::function<uint64_t(std::span<const uint32_t> numbers)>;
  // Looks at the next `slots` slots, round and round, and removes the keys that are not used: from
  // `step` on they can't be found, and whoever is added next may have their numbers. Writer.
  void RemoveUnused(size_t slots, Step step, const UnusedOf& unused_of);
  // Gives a new index the key that had `number` when it was captured. Writer, before FindOrAdd.
  // Errors: kCorruption when the key is there already.
  base::Result<void> Restore(std::string_view key, uint32_t number);
  // After the last Restore: numbers that no key has are free. Errors: kCorruption when two have
  // one.
  base::Result<void> FinishRestore();
  // Walks the keys with numbers below `end` (at most size()), in the order of the table: calls
  // `visit(number, key)` for those of the next `slots` slots after `position`. True while there are
  // more. Meanwhile keys may be added, and none removed; those that were added since are met, with
  // numbers that were free, or are not. The reader holds the memory of the table that it began with
  // (`table`, null at first) all the way.
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
  static constexpr uint64_t kShrinkAt = 16;  // slots a key
  static constexpr uint64_t kAddressMask = (1ULL << 48) - 1;
  // What a slot has that has no key. Those who look for one go on behind a removed one.
  static constexpr uint64_t kEmpty = 0;
  static constexpr uint64_t kRemoved = 1;

  static bool HasKey(uint64_t slot) { return slot > kRemoved; }
  static const Record* RecordOf(uint64_t slot) {
    return reinterpret_cast<const Record*>(slot & kAddressMask);
  }
  Table* NewTable(uint64_t mask);
  static size_t BytesOf(const Table& table) { return sizeof(Table) + table.slot_bytes(); }
  // Into a table of so many slots, without what was removed.
  void MoveTo(uint64_t slots, Step step);
  const Record* NewRecord(std::string_view key, uint32_t number);
  void AddRecord(std::string_view key, uint64_t hash, uint32_t number, Step step);
  void Remove(uint64_t slot, Step step);
  // Whether it took a removed one's slot.
  static bool Insert(Table& table, const Record* record, uint64_t hash);
  uint32_t NextNumber();
  void SetFree(uint32_t number);

  StateMemory& memory_;
  std::atomic<Table*> table_;
  std::atomic<uint32_t> size_{0};
  uint64_t records_ = 0;  // in the table
  uint64_t removed_ = 0;  // slots that are kRemoved
  uint64_t added_ = 0;
  uint64_t looked_at_ = 0;  // the slot behind it is the next for RemoveUnused
  struct FreeNumber {
    uint32_t number;
    FreeNumber* next;
  };
  FreeNumber* free_ = nullptr;
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace headrace::pipeline

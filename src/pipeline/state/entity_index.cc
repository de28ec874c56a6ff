#include "pipeline/state/entity_index.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/hash.h"

namespace headrace::pipeline {

EntityIndex::EntityIndex(StateMemory& memory) : memory_(memory), table_(nullptr) {
  table_ = NewTable(kFirstSlots - 1);
}

EntityIndex::~EntityIndex() {
  Table* table = table_.load(std::memory_order_relaxed);
  memory_.Free(table->slots, table->slot_bytes());
  memory_.Free(table, sizeof(Table));
  for (const Block& block : arena_) memory_.Free(block.memory, block.bytes);
}

uint64_t EntityIndex::HashOf(std::string_view key) { return base::Hash64(key); }

EntityIndex::Table* EntityIndex::NewTable(uint64_t mask) {
  auto* table = new (memory_.Allocate(sizeof(Table))) Table{mask, nullptr};
  table->slots = static_cast<std::atomic<uint64_t>*>(memory_.Allocate(table->slot_bytes()));
  for (uint64_t i = 0; i <= mask; ++i) new (table->slots + i) std::atomic<uint64_t>(0);
  bytes_.fetch_add(BytesOf(*table), std::memory_order_relaxed);
  return table;
}

std::optional<uint32_t> EntityIndex::FindHashed(std::string_view key, uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  for (uint64_t i = hash & table->mask;; i = (i + 1) & table->mask) {
    const uint64_t slot = table->slots[i].load(std::memory_order_acquire);
    if (slot == 0) return std::nullopt;
    if (slot >> 48 == hash >> 48 && RecordOf(slot)->key() == key) return RecordOf(slot)->number();
  }
}

void EntityIndex::Prefetch(uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  __builtin_prefetch(table->slots + (hash & table->mask));
}

void EntityIndex::PrefetchRecord(uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  const uint64_t slot = table->slots[hash & table->mask].load(std::memory_order_acquire);
  if (slot != 0) __builtin_prefetch(RecordOf(slot));
}

uint32_t EntityIndex::FindOrAdd(std::string_view key, uint64_t hash, Step step) {
  if (const auto found = FindHashed(key, hash)) return *found;
  const uint32_t count = size_.load(std::memory_order_relaxed);
  HR_CHECK(count < ~uint32_t{0}, "an entity has 2^32 keys");
  AddRecord(key, hash, count, step);
  return count;
}

void EntityIndex::AddRecord(std::string_view key, uint64_t hash, uint32_t number, Step step) {
  if ((++records_) * 2 > table_.load(std::memory_order_relaxed)->mask) Grow(step);
  Insert(*table_.load(std::memory_order_relaxed), NewRecord(key, number), hash);
  size_.store(std::max(size_.load(std::memory_order_relaxed), number + 1),
              std::memory_order_release);
}

base::Result<void> EntityIndex::Restore(std::string_view key, uint32_t number) {
  const uint64_t hash = HashOf(key);
  if (number == ~uint32_t{0} || FindHashed(key, hash))
    return base::Fail(base::ErrorCode::kCorruption, "a captured key is there twice");
  AddRecord(key, hash, number, 0);
  return {};
}

bool EntityIndex::VisitKeys(Walk& walk, size_t slots,
                            const std::function<void(uint32_t, std::string_view)>& visit) const {
  if (walk.table == nullptr) {
    walk.end = size();
    walk.table = table_.load(std::memory_order_acquire);
  }
  const auto* table = static_cast<const Table*>(walk.table);
  const uint64_t stop = std::min<uint64_t>(table->mask + 1, walk.position + slots);
  for (; walk.position < stop; ++walk.position) {
    const uint64_t slot = table->slots[walk.position].load(std::memory_order_acquire);
    if (slot == 0) continue;
    const Record* record = RecordOf(slot);
    if (record->number() < walk.end) visit(record->number(), record->key());
  }
  return walk.position <= table->mask;
}

void EntityIndex::Insert(Table& table, const Record* record, uint64_t hash) {
  uint64_t i = hash & table.mask;
  while (table.slots[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & table.mask;
  const auto address = reinterpret_cast<uint64_t>(record);
  HR_CHECK((address & ~kAddressMask) == 0, "a heap address has more than 48 bits");
  table.slots[i].store((hash >> 48) << 48 | address, std::memory_order_release);
}

void EntityIndex::Grow(Step step) {
  Table* old = table_.load(std::memory_order_relaxed);
  Table* grown = NewTable(old->mask * 2 + 1);
  for (uint64_t i = 0; i <= old->mask; ++i) {
    const uint64_t slot = old->slots[i].load(std::memory_order_relaxed);
    if (slot != 0) Insert(*grown, RecordOf(slot), HashOf(RecordOf(slot)->key()));
  }
  table_.store(grown, std::memory_order_release);
  bytes_.fetch_sub(BytesOf(*old), std::memory_order_relaxed);
  memory_.Retire(old->slots, old->slot_bytes(), step);
  memory_.Retire(old, sizeof(Table), step);
}

size_t EntityIndex::Record::Bytes(std::string_view key) {
  const size_t length_bytes = key.size() < kLong ? 1 : 1 + sizeof(uint32_t);
  const size_t bytes = offsetof(Record, length_) + length_bytes + key.size();
  return (bytes + alignof(Record) - 1) & ~(alignof(Record) - 1);
}

EntityIndex::Record::Record(std::string_view key, uint32_t number)
    : number_(number), length_(key.size() < kLong ? static_cast<uint8_t>(key.size()) : kLong) {
  char* to = const_cast<char*>(text());
  if (length_ == kLong) {
    const auto length = static_cast<uint32_t>(key.size());
    std::memcpy(to, &length, sizeof(length));
    to += sizeof(length);
  }
  std::memcpy(to, key.data(), key.size());
}

const EntityIndex::Record* EntityIndex::NewRecord(std::string_view key, uint32_t number) {
  const size_t bytes = Record::Bytes(key);
  if (bytes > arena_left_) {
    const size_t block = std::max(bytes, kArenaBlockBytes);
    arena_.push_back({memory_.Allocate(block), block});
    arena_next_ = static_cast<char*>(arena_.back().memory);
    arena_left_ = block;
    bytes_.fetch_add(block, std::memory_order_relaxed);
  }
  auto* record = new (arena_next_) Record(key, number);
  arena_next_ += bytes;
  arena_left_ -= bytes;
  return record;
}

}  // namespace headrace::pipeline

#include "pipeline/state/entity_index.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "base/hash.h"

namespace headrace::pipeline {

EntityIndex::EntityIndex(StateMemory& memory) : memory_(memory), table_(nullptr) {
  table_ = NewTable(kFirstSlots - 1);
}

EntityIndex::~EntityIndex() {
  Table* table = table_.load(std::memory_order_relaxed);
  for (uint64_t i = 0; i <= table->mask; ++i) {
    const uint64_t slot = table->slots[i].load(std::memory_order_relaxed);
    if (!HasKey(slot)) continue;
    const Record* record = RecordOf(slot);
    memory_.Free(const_cast<Record*>(record), Record::Bytes(record->key()));
  }
  memory_.Free(table->slots, table->slot_bytes());
  memory_.Free(table, sizeof(Table));
  while (free_ != nullptr) memory_.Free(std::exchange(free_, free_->next), sizeof(FreeNumber));
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
    if (slot == kEmpty) return std::nullopt;
    if (slot >> 48 == hash >> 48 && HasKey(slot) && RecordOf(slot)->key() == key)
      return RecordOf(slot)->number();
  }
}

void EntityIndex::Prefetch(uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  __builtin_prefetch(table->slots + (hash & table->mask));
}

void EntityIndex::PrefetchRecord(uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  const uint64_t slot = table->slots[hash & table->mask].load(std::memory_order_acquire);
  if (HasKey(slot)) __builtin_prefetch(RecordOf(slot));
}

uint32_t EntityIndex::FindOrAdd(std::string_view key, uint64_t hash, Step step) {
  if (const auto found = FindHashed(key, hash)) return *found;
  const uint32_t number = NextNumber();
  ++added_;
  AddRecord(key, hash, number, step);
  return number;
}

uint32_t EntityIndex::NextNumber() {
  if (free_ != nullptr) {
    FreeNumber* first = std::exchange(free_, free_->next);
    const uint32_t number = first->number;
    memory_.Free(first, sizeof(FreeNumber));
    bytes_.fetch_sub(sizeof(FreeNumber), std::memory_order_relaxed);
    return number;
  }
  const uint32_t number = size_.load(std::memory_order_relaxed);
  HR_CHECK(number < ~uint32_t{0}, "an entity has 2^32 keys");
  return number;
}

void EntityIndex::SetFree(uint32_t number) {
  free_ = new (memory_.Allocate(sizeof(FreeNumber))) FreeNumber{number, free_};
  bytes_.fetch_add(sizeof(FreeNumber), std::memory_order_relaxed);
}

void EntityIndex::AddRecord(std::string_view key, uint64_t hash, uint32_t number, Step step) {
  ++records_;
  const uint64_t mask = table_.load(std::memory_order_relaxed)->mask;
  // At most half full; where most of that was removed, the next is no larger.
  if ((records_ + removed_) * 2 > mask) MoveTo((mask + 1) * (records_ * 4 > mask ? 2 : 1), step);
  if (Insert(*table_.load(std::memory_order_relaxed), NewRecord(key, number), hash)) --removed_;
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

base::Result<void> EntityIndex::FinishRestore() {
  std::vector<bool> has_key(size());
  const Table& table = *table_.load(std::memory_order_relaxed);
  for (uint64_t i = 0; i <= table.mask; ++i) {
    const uint64_t slot = table.slots[i].load(std::memory_order_relaxed);
    if (!HasKey(slot)) continue;
    const uint32_t number = RecordOf(slot)->number();
    if (has_key[number])
      return base::Fail(base::ErrorCode::kCorruption, "two captured keys have one number");
    has_key[number] = true;
  }
  // So that the smallest are given first.
  for (auto number = static_cast<uint32_t>(has_key.size()); number-- > 0;)
    if (!has_key[number]) SetFree(number);
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
    if (!HasKey(slot)) continue;
    const Record* record = RecordOf(slot);
    if (record->number() < walk.end) visit(record->number(), record->key());
  }
  return walk.position <= table->mask;
}

bool EntityIndex::Insert(Table& table, const Record* record, uint64_t hash) {
  uint64_t i = hash & table.mask;
  while (HasKey(table.slots[i].load(std::memory_order_relaxed))) i = (i + 1) & table.mask;
  const auto address = reinterpret_cast<uint64_t>(record);
  HR_CHECK((address & ~kAddressMask) == 0, "a heap address has more than 48 bits");
  const bool was_removed = table.slots[i].load(std::memory_order_relaxed) == kRemoved;
  table.slots[i].store((hash >> 48) << 48 | address, std::memory_order_release);
  return was_removed;
}

void EntityIndex::RemoveUnused(size_t slots, Step step, const UnusedOf& unused_of) {
  const Table* table = table_.load(std::memory_order_relaxed);
  std::array<uint64_t, kAtOnce> at;
  std::array<uint32_t, kAtOnce> numbers;
  for (slots = std::min(slots, table->mask + 1); slots > 0;) {
    size_t count = 0;
    for (; slots > 0 && count < kAtOnce; --slots) {
      looked_at_ = (looked_at_ + 1) & table->mask;
      const uint64_t slot = table->slots[looked_at_].load(std::memory_order_relaxed);
      if (!HasKey(slot)) continue;
      __builtin_prefetch(RecordOf(slot));
      at[count++] = looked_at_;
    }
    for (size_t i = 0; i < count; ++i)
      numbers[i] = RecordOf(table->slots[at[i]].load(std::memory_order_relaxed))->number();
    const uint64_t unused = unused_of({numbers.data(), count});
    for (size_t i = 0; i < count; ++i)
      if ((unused >> i & 1) != 0) Remove(at[i], step);
  }
  const uint64_t slots_now = table->mask + 1;
  if (slots_now / 4 >= kFirstSlots && records_ * kShrinkAt < slots_now) MoveTo(slots_now / 4, step);
}

// A slot that a search need not pass is empty again, and so are the removed ones before it.
void EntityIndex::Remove(uint64_t slot, Step step) {
  Table& table = *table_.load(std::memory_order_relaxed);
  const auto at = [&](uint64_t i) -> std::atomic<uint64_t>& { return table.slots[i & table.mask]; };
  const Record* record = RecordOf(at(slot).load(std::memory_order_relaxed));
  SetFree(record->number());
  const size_t bytes = Record::Bytes(record->key());
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  at(slot).store(kRemoved, std::memory_order_release);
  --records_;
  ++removed_;
  if (at(slot + 1).load(std::memory_order_relaxed) == kEmpty) {
    for (; at(slot).load(std::memory_order_relaxed) == kRemoved; --slot, --removed_)
      at(slot).store(kEmpty, std::memory_order_release);
  }
  memory_.Retire(const_cast<Record*>(record), bytes, step);
}

void EntityIndex::MoveTo(uint64_t slots, Step step) {
  Table* old = table_.load(std::memory_order_relaxed);
  Table* moved = NewTable(slots - 1);
  for (uint64_t i = 0; i <= old->mask; ++i) {
    const uint64_t ahead = old->slots[(i + kAtOnce) & old->mask].load(std::memory_order_relaxed);
    if (HasKey(ahead)) __builtin_prefetch(RecordOf(ahead));
    const uint64_t slot = old->slots[i].load(std::memory_order_relaxed);
    if (HasKey(slot)) Insert(*moved, RecordOf(slot), HashOf(RecordOf(slot)->key()));
  }
  removed_ = 0;
  table_.store(moved, std::memory_order_release);
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
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return new (memory_.Allocate(bytes)) Record(key, number);
}

}  // namespace headrace::pipeline

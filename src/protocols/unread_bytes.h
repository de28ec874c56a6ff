#pragma once
// Bytes that came over a connection and were not parsed yet.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/memory_budget.h"

namespace headrace::protocols {

// What is kept between two reads is charged to the budget's ingest account, but for 4 KiB, which
// the charge of the connection covers. Bytes that came exist already, so charging them can't fail.
// On the connection's I/O thread. The budget outlives this.
class UnreadBytes {
 public:
  explicit UnreadBytes(base::MemoryBudget& budget) : budget_(budget) {}
  ~UnreadBytes() { Charge(0); }
  UnreadBytes(const UnreadBytes&) = delete;
  UnreadBytes& operator=(const UnreadBytes&) = delete;

  void Append(std::span<const uint8_t> bytes) {
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  // Valid until Append, Clear or Settle.
  std::string_view rest() const { return std::string_view(bytes_).substr(begin_); }
  bool empty() const { return begin_ == bytes_.size(); }
  // The first `size` bytes of rest() were parsed.
  void Take(size_t size) { begin_ += size; }
  void Clear();
  // After a read's bytes were parsed as far as they can be: gives memory back and charges what
  // stays.
  void Settle();

 private:
  void Charge(uint64_t bytes);

  base::MemoryBudget& budget_;
  std::string bytes_;
  size_t begin_ = 0;
  uint64_t charged_ = 0;
};

}  // namespace headrace::protocols

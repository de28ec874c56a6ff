#pragma once
// Bytes that came over a connection and were not parsed yet.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/memory_budget.h"

namespace headrace::protocols {

// What is kept between two reads is charged to the budget, but for `uncharged` bytes, which the
// charge of the connection covers: up to 64 KiB, what one read brings, to the connections, so that
// rows that fill their part of the budget stop nobody who reads; more to ingest. The charge grows
// in the doubling steps of the memory itself. On the connection's I/O thread. The budget outlives
// this.
class UnreadBytes {
 public:
  explicit UnreadBytes(base::MemoryBudget& budget, size_t uncharged = 4096)
      : budget_(budget), uncharged_(uncharged) {}
  UnreadBytes(const UnreadBytes&) = delete;
  UnreadBytes& operator=(const UnreadBytes&) = delete;

  void Append(std::span<const uint8_t> bytes) {
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  // Valid until Append, Clear, Settle or TrySettle.
  std::string_view rest() const { return std::string_view(bytes_).substr(begin_); }
  bool empty() const { return begin_ == bytes_.size(); }
  // The first `size` bytes of rest() were parsed.
  void Take(size_t size) { begin_ += size; }
  // They come before rest().
  void PutBack(std::string_view bytes);
  void Clear();
  // After a read's bytes were parsed as far as they can be, and when no more are read until they
  // are taken: gives memory back and charges what stays. They exist already, and can't be refused.
  // `parser_bytes`: what the parser keeps of them besides.
  void Settle(uint64_t parser_bytes = 0);
  // The same when more may be read. Errors: kResourceExhausted; nothing is charged then, and the
  // bytes are to be cleared.
  base::Result<void> TrySettle(uint64_t parser_bytes);

 private:
  // What stays, without the memory that was given back.
  uint64_t Trim(uint64_t parser_bytes);

  base::MemoryBudget& budget_;
  const size_t uncharged_;  // capacity
  std::string bytes_;
  size_t begin_ = 0;
  base::MemoryCharge charge_;
};

}  // namespace headrace::protocols

#pragma once
// A body as it comes: counted, limited, charged to the memory budget before it is kept.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/memory_budget.h"
#include "protocols/chunk_decoder.h"
#include "protocols/http_head.h"

namespace headrace::protocols {

// One body. Not thread-safe.
class HttpBody {
 public:
  enum class State : uint8_t { kMore, kComplete, kMalformed, kTooLarge, kOverBudget };

  // `budget` null: not charged.
  HttpBody(Framing framing, uint64_t length, ChunkLimits limits, base::MemoryBudget* budget);
  // Uses bytes up to the body's end; returns how many.
  size_t Feed(std::string_view bytes);
  // The peer closed: the end of a body that goes to the end.
  void EndOfInput();
  State state() const { return state_; }
  // The bytes, with a capacity of 64 more; the charge goes with them.
  std::string Take();
  base::MemoryCharge TakeCharge() { return std::move(charge_); }

 private:
  bool Keep(std::string_view piece);

  Framing framing_;
  uint64_t length_;
  ChunkDecoder chunks_;
  uint64_t bytes_max_;
  base::MemoryBudget* budget_;
  base::MemoryCharge charge_;
  std::string bytes_;
  State state_ = State::kMore;
};

}  // namespace headrace::protocols

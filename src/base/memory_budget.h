#pragma once
// The one memory budget of a process: every byte that can grow with input is charged to a named
// account of it, and what the process holds beside that (an allocator's holes, messages inside a
// library) is measured and counts too. Thread-safe; a budget outlives all its charges.

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace headrace::base {

enum class MemoryAccount : uint8_t {
  kIngest,       // bodies and typed rows until they are durable
  kLog,          // queued batches, admission state
  kState,        // views
  kTables,       // rows on their way into table files
  kReplies,      // answers that are being made, and those that are not sent yet
  kConnections,  // a fixed amount for each open one, handshakes, parts of small requests
  kArrow,        // Flight streams, by what one may hold
  kSnapshots,    // pieces of the state on their way to the disk
  kCount
};
std::string_view NameOf(MemoryAccount account);

class MemoryBudget;

// Bytes charged to an account, given back when it dies. Movable.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  MemoryCharge(MemoryBudget* budget, MemoryAccount account, uint64_t bytes)
      : budget_(budget), account_(account), bytes_(bytes) {}
  MemoryCharge(MemoryCharge&& other) noexcept;
  MemoryCharge& operator=(MemoryCharge&& other) noexcept;
  ~MemoryCharge() { Release(); }
  uint64_t bytes() const { return bytes_; }
  void Release();

 private:
  MemoryBudget* budget_ = nullptr;
  MemoryAccount account_ = MemoryAccount::kIngest;
  uint64_t bytes_ = 0;
};

class MemoryBudget {
 public:
  // `limit_bytes` covers all accounts together.
  explicit MemoryBudget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // A sixteenth of the limit is kept for replies and connections, and what is uncharged is taken
  // from the other accounts only. Rows on their way in (kIngest, kArrow) leave another
  // thirty-second, but 16 MiB when a sixteenth is that much, to tables and snapshots, by which
  // memory and log become free again; messages inside Arrow have at most half of the limit. What is
  // spare counts as free, so far that a third of all that stays. Errors: kResourceExhausted when
  // the budget can't hold `bytes` more; nothing is charged then.
  Result<MemoryCharge> TryCharge(MemoryAccount account, uint64_t bytes);
  // For bytes that exist already and can't be refused (state under replay); may pass the limit, so
  // that later charges fail.
  void Force(MemoryAccount account, int64_t bytes);
  // So many more bytes that are charged are of no use at the moment, and will be taken before more
  // are: free memory that the state keeps.
  void AddSpare(int64_t bytes);
  // What a charge to the account may have now.
  uint64_t RoomFor(MemoryAccount account) const { return RoomBeside(used_bytes(), account); }
  // Rows find hardly any room, or none.
  bool IsNearlyFull() const {
    return RoomFor(MemoryAccount::kIngest) < limit_bytes_ / kNearlyFullShare;
  }
  // What the process was measured to hold beside its charges: leaves that much less to charge.
  void SetUncharged(uint64_t bytes) { uncharged_.store(bytes, std::memory_order_relaxed); }

  uint64_t limit_bytes() const { return limit_bytes_; }
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  uint64_t used_bytes(MemoryAccount account) const;
  uint64_t uncharged_bytes() const { return uncharged_.load(std::memory_order_relaxed); }
  uint64_t spare_bytes() const { return spare_.load(std::memory_order_relaxed); }
  // Without what is spare.
  uint64_t in_use_bytes() const { return WithoutSpare(used_bytes()); }

 private:
  static constexpr uint64_t kNearlyFullShare = 64;
  uint64_t WithoutSpare(uint64_t used) const;
  uint64_t RoomBeside(uint64_t used, MemoryAccount account) const;
  friend class MemoryCharge;
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> uncharged_{0};
  std::atomic<uint64_t> spare_{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(MemoryAccount::kCount)> accounts_{};
};

}  // namespace headrace::base

#include "base/memory_shares.h"

#include <algorithm>

namespace headrace::base {
namespace {

// Answers, /health among them, go on when rows have filled the budget.
constexpr uint64_t kAnsweringShare = 16;
// So do tables and snapshots, which let the log go: what a table's writer holds, when there is so
// much.
constexpr uint64_t kLettingGoShare = 32;
constexpr uint64_t kLettingGoBytes = 16ULL << 20;

}  // namespace

uint64_t KeptFrom(MemoryAccount account, uint64_t limit_bytes) {
  const uint64_t answering = limit_bytes / kAnsweringShare;
  switch (account) {
    case MemoryAccount::kReplies:
    case MemoryAccount::kConnections: return 0;
    case MemoryAccount::kIngest:
    case MemoryAccount::kArrow:
      return answering +
             std::max(limit_bytes / kLettingGoShare, std::min(answering, kLettingGoBytes));
    default: return answering;
  }
}

}  // namespace headrace::base

#include "protocols/unread_bytes.h"

#include <algorithm>
#include <utility>

namespace headrace::protocols {
namespace {

using base::MemoryAccount;

constexpr uint64_t kOneRead = 64 << 10;  // more is of a large command

MemoryAccount AccountOf(uint64_t bytes) {
  return bytes <= kOneRead ? MemoryAccount::kConnections : MemoryAccount::kIngest;
}

}  // namespace

void UnreadBytes::Clear() {
  bytes_.clear();
  begin_ = 0;
}

void UnreadBytes::PutBack(std::string_view bytes) {
  if (bytes.size() > begin_) {
    bytes_.insert(0, bytes.size() - begin_, '\0');
    begin_ = bytes.size();
  }
  begin_ -= bytes.size();
  std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
}

uint64_t UnreadBytes::Trim(uint64_t parser_bytes) {
  bytes_.erase(0, begin_);
  begin_ = 0;
  // One that grows is never less than half full.
  if (bytes_.capacity() > std::max(uncharged_, 2 * bytes_.size())) std::string(bytes_).swap(bytes_);
  const uint64_t bytes = bytes_.capacity() + parser_bytes;
  return bytes > uncharged_ ? bytes : 0;
}

void UnreadBytes::Settle(uint64_t parser_bytes) {
  const uint64_t bytes = Trim(parser_bytes);
  if (bytes == charge_.bytes()) return;
  charge_.Release();
  if (bytes == 0) return;
  budget_.Force(AccountOf(bytes), static_cast<int64_t>(bytes));
  charge_ = base::MemoryCharge(&budget_, AccountOf(bytes), bytes);
}

base::Result<void> UnreadBytes::TrySettle(uint64_t parser_bytes) {
  const uint64_t bytes = Trim(parser_bytes);
  if (bytes == charge_.bytes()) return {};
  charge_.Release();
  if (bytes == 0) return {};
  HR_TRY(charge_, budget_.TryCharge(AccountOf(bytes), bytes));
  return {};
}

}  // namespace headrace::protocols

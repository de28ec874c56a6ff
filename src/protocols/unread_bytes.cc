#include "protocols/unread_bytes.h"

namespace headrace::protocols {
namespace {

constexpr size_t kUncharged = 4096;  // capacity that an idle connection may keep

}  // namespace

void UnreadBytes::Clear() {
  bytes_.clear();
  begin_ = 0;
}

void UnreadBytes::Settle() {
  bytes_.erase(0, begin_);
  begin_ = 0;
  if (bytes_.empty() && bytes_.capacity() > kUncharged) std::string().swap(bytes_);
  Charge(bytes_.capacity() > kUncharged ? bytes_.capacity() : 0);
}

void UnreadBytes::Charge(uint64_t bytes) {
  if (bytes == charged_) return;
  budget_.Force(base::MemoryAccount::kIngest,
                static_cast<int64_t>(bytes) - static_cast<int64_t>(charged_));
  charged_ = bytes;
}

}  // namespace headrace::protocols

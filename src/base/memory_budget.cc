#include "base/memory_budget.h"

#include <fmt/core.h>

namespace headrace::base {

std::string_view NameOf(MemoryAccount account) {
  constexpr std::array<std::string_view, static_cast<size_t>(MemoryAccount::kCount)> kNames = {
      "ingest", "log", "state", "tables", "replies", "connections", "arrow", "snapshots"};
  return kNames[static_cast<size_t>(account)];
}

MemoryCharge::MemoryCharge(MemoryCharge&& other) noexcept
    : budget_(other.budget_), account_(other.account_), bytes_(other.bytes_) {
  other.budget_ = nullptr;
  other.bytes_ = 0;
}

MemoryCharge& MemoryCharge::operator=(MemoryCharge&& other) noexcept {
  if (this != &other) {
    Release();
    std::swap(budget_, other.budget_);
    account_ = other.account_;
    std::swap(bytes_, other.bytes_);
  }
  return *this;
}

void MemoryCharge::Release() {
  if (budget_ != nullptr) budget_->Force(account_, -static_cast<int64_t>(bytes_));
  budget_ = nullptr;
  bytes_ = 0;
}

Result<MemoryCharge> MemoryBudget::TryCharge(MemoryAccount account, uint64_t bytes) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > limit_bytes_ || used > limit_bytes_ - bytes)
      return Fail(
          ErrorCode::kResourceExhausted,
          fmt::format("the memory budget is used up: {} wants {} bytes, {} of {} are in use",
                      NameOf(account), bytes, used, limit_bytes_));
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  accounts_[static_cast<size_t>(account)].fetch_add(bytes, std::memory_order_relaxed);
  return MemoryCharge(this, account, bytes);
}

void MemoryBudget::Force(MemoryAccount account, int64_t bytes) {
  used_.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  accounts_[static_cast<size_t>(account)].fetch_add(static_cast<uint64_t>(bytes),
                                                    std::memory_order_relaxed);
}

uint64_t MemoryBudget::used_bytes(MemoryAccount account) const {
  return accounts_[static_cast<size_t>(account)].load(std::memory_order_relaxed);
}

}  // namespace headrace::base

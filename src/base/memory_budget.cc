#include "base/memory_budget.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/memory_shares.h"

namespace headrace::base {
namespace {

// What is spare may turn out to be of other sizes than are wanted.
constexpr uint64_t kStaysBesideSpare = 3;

}  // namespace

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
  if (account == MemoryAccount::kArrow && used_bytes(account) + bytes > limit_bytes_ / 2)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("Flight messages hold {} bytes and want {} more: over half of the "
                            "memory budget of {}",
                            used_bytes(account), bytes, limit_bytes_));
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > RoomBeside(used, account))
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("the memory budget is used up: {} wants {} bytes; of {}, {} are in "
                              "use and the process holds {} beside them",
                              NameOf(account), bytes, limit_bytes_, used, uncharged_bytes()));
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  accounts_[static_cast<size_t>(account)].fetch_add(bytes, std::memory_order_relaxed);
  return MemoryCharge(this, account, bytes);
}

uint64_t MemoryBudget::WithoutSpare(uint64_t used) const {
  return used - std::min(used, spare_bytes());
}

uint64_t MemoryBudget::RoomBeside(uint64_t used, MemoryAccount account) const {
  const uint64_t left = KeptFrom(account, limit_bytes_);
  const uint64_t uncharged = left == 0 ? 0 : uncharged_bytes();
  const auto room = [&](uint64_t in_use, uint64_t stays) {
    const uint64_t taken = in_use + stays + uncharged;
    return limit_bytes_ - std::min(limit_bytes_, taken);
  };
  return std::min(room(WithoutSpare(used), left), room(used, left / kStaysBesideSpare));
}

void MemoryBudget::AddSpare(int64_t bytes) {
  spare_.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
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

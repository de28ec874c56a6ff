#pragma once
// Memory of one piece of work on a table, which grows as the work goes on.

#include <cstdint>
#include <utility>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"

namespace headrace::tables {

// Charged in steps, which stay charged until the work ends. One thread; the budget outlives it.
class SteppedCharge {
 public:
  explicit SteppedCharge(base::MemoryBudget& budget) : budget_(budget) {}

  // That many bytes at least are charged from here on. Errors: kResourceExhausted.
  base::Result<void> Cover(uint64_t bytes) {
    while (steps_.size() * kStepBytes < bytes) {
      HR_TRY(base::MemoryCharge step, budget_.TryCharge(base::MemoryAccount::kTables, kStepBytes));
      steps_.push_back(std::move(step));
    }
    return {};
  }

 private:
  static constexpr uint64_t kStepBytes = 4ULL << 20;

  base::MemoryBudget& budget_;
  std::vector<base::MemoryCharge> steps_;
};

}  // namespace headrace::tables

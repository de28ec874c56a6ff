#pragma once
// How the accounts of a memory budget share it.

#include <cstdint>

#include "base/memory_budget.h"

namespace headrace::base {

// Bytes of a budget of `limit_bytes` that charges to the account leave to others;
// MemoryBudget::TryCharge says to whom.
uint64_t KeptFrom(MemoryAccount account, uint64_t limit_bytes);

}  // namespace headrace::base

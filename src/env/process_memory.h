#pragma once
// How much memory this process has, as the system counts it.

#include <cstdint>

namespace headrace::env {

struct ProcessMemory {
  uint64_t resident_bytes = 0;
  uint64_t peak_bytes = 0;  // the most it ever had
};

// Zeros where the system does not say. About 50 us.
ProcessMemory ReadProcessMemory();
// What is resident now, alone: about 5 us.
uint64_t ResidentBytes();

}  // namespace headrace::env

#include "env/process_memory.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

namespace headrace::env {

uint64_t ResidentBytes() {
  const std::unique_ptr<FILE, int (*)(FILE*)> statm(std::fopen("/proc/self/statm", "re"),
                                                    &std::fclose);
  unsigned long long all = 0;
  unsigned long long resident = 0;
  if (statm == nullptr || std::fscanf(statm.get(), "%llu %llu", &all, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

ProcessMemory ReadProcessMemory() {
  ProcessMemory memory;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    uint64_t* const field = line.starts_with("VmRSS:")   ? &memory.resident_bytes
                            : line.starts_with("VmHWM:") ? &memory.peak_bytes
                                                         : nullptr;
    if (field != nullptr) *field = std::stoull(line.substr(line.find(':') + 1)) * 1024;
  }
  return memory;
}

}  // namespace headrace::env

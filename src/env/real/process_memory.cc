#include "env/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

namespace headrace::env {

uint64_t ResidentBytes() {
  // Kept open: it is read when the process may open no further file, too.
  static const int kStatm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  std::array<char, 128> text{};
  if (pread(kStatm, text.data(), text.size() - 1, 0) <= 0) return 0;
  unsigned long long all = 0;
  unsigned long long resident = 0;
  if (std::sscanf(text.data(), "%llu %llu", &all, &resident) != 2) return 0;
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

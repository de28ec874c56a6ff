#include "env/process_memory.h"

#include <fstream>
#include <string>

namespace headrace::env {

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

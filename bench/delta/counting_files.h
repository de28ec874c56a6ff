#pragma once
// Files of the real machine that count what is asked of them: how often, and how many bytes are
// written.

#include <atomic>
#include <cstdint>
#include <memory>

#include "env/environment.h"

namespace headrace::bench {

// A system call each, but for opening and closing.
struct FileCalls {
  std::atomic<uint64_t> created{0}, written{0}, written_bytes{0}, synced{0}, linked{0}, removed{0},
      read{0}, listed{0};
  uint64_t all() const { return created + written + synced + linked + removed + read + listed; }
};

// The environment of this machine whose files count into `calls`, which outlives it.
std::unique_ptr<env::Environment> MakeCountingEnvironment(FileCalls& calls);

}  // namespace headrace::bench

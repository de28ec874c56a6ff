#pragma once
// Memory for decoding one file, with a limit: a forged length in a page header or a footer is then
// refused instead of taking the machine's memory.

#include <arrow/memory_pool.h>

#include <cstdint>

namespace headrace::tables {

// Outlives all that was allocated from it. Not thread-safe: a file is decoded by one thread.
class BoundedPool {
 public:
  explicit BoundedPool(int64_t bytes_max)
      : counted_(arrow::default_memory_pool()), capped_(&counted_, bytes_max) {}
  arrow::MemoryPool* get() { return &capped_; }

 private:
  arrow::ProxyMemoryPool counted_;
  arrow::CappedMemoryPool capped_;
};

}  // namespace headrace::tables

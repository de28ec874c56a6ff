#include "tables/parquet/decoding_pool.h"

#include <arrow/memory_pool.h>
#include <arrow/status.h>

namespace headrace::tables {
namespace {

class Pool final : public arrow::MemoryPool {
 public:
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    if (size > kDecodedPieceBytesMax) return TooMuch(size);
    return all_->Allocate(size, alignment, out);
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** bytes) override {
    if (new_size > kDecodedPieceBytesMax) return TooMuch(new_size);
    return all_->Reallocate(old_size, new_size, alignment, bytes);
  }
  void Free(uint8_t* bytes, int64_t size, int64_t alignment) override {
    all_->Free(bytes, size, alignment);
  }
  int64_t bytes_allocated() const override { return all_->bytes_allocated(); }
  int64_t total_bytes_allocated() const override { return all_->total_bytes_allocated(); }
  int64_t num_allocations() const override { return all_->num_allocations(); }
  std::string backend_name() const override { return all_->backend_name(); }

 private:
  static arrow::Status TooMuch(int64_t size) {
    return arrow::Status::OutOfMemory("a piece of ", size, " bytes, more than ",
                                      kDecodedPieceBytesMax, ": its length is forged");
  }
  arrow::MemoryPool* all_ = arrow::default_memory_pool();
};

}  // namespace

arrow::MemoryPool* DecodingPool() {
  static Pool* const kPool = new Pool;
  return kPool;
}

}  // namespace headrace::tables

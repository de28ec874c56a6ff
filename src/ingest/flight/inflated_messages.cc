#include "ingest/flight/inflated_messages.h"

#include <arrow/ipc/options.h>
#include <arrow/memory_pool.h>
#include <arrow/status.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

namespace headrace::ingest {
namespace {

thread_local base::MemoryBudget* budget_of_thread = nullptr;

// In front of each piece stands its charge, so that any thread can give it back.
class Pool final : public arrow::MemoryPool {
 public:
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    const int64_t front = Front(alignment);
    if (size < 0 || size > std::numeric_limits<int64_t>::max() - front)
      return arrow::Status::OutOfMemory("a message that says it has ", size, " bytes");
    base::MemoryCharge charge;
    if (budget_of_thread != nullptr) {
      auto charged = budget_of_thread->TryCharge(base::MemoryAccount::kArrow,
                                                 static_cast<uint64_t>(size + front));
      if (!charged) return arrow::Status::OutOfMemory(charged.error().message());
      charge = std::move(*charged);
    }
    uint8_t* begin = nullptr;
    ARROW_RETURN_NOT_OK(all_->Allocate(size + front, alignment, &begin));
    new (begin) base::MemoryCharge(std::move(charge));
    *out = begin + front;
    return arrow::Status::OK();
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** bytes) override {
    uint8_t* other = nullptr;
    ARROW_RETURN_NOT_OK(Allocate(new_size, alignment, &other));
    std::memcpy(other, *bytes, static_cast<size_t>(std::min(old_size, new_size)));
    Free(*bytes, old_size, alignment);
    *bytes = other;
    return arrow::Status::OK();
  }
  void Free(uint8_t* bytes, int64_t size, int64_t alignment) override {
    uint8_t* const begin = bytes - Front(alignment);
    std::destroy_at(std::launder(reinterpret_cast<base::MemoryCharge*>(begin)));
    all_->Free(begin, size + Front(alignment), alignment);
  }
  int64_t bytes_allocated() const override { return all_->bytes_allocated(); }
  int64_t total_bytes_allocated() const override { return all_->total_bytes_allocated(); }
  int64_t num_allocations() const override { return all_->num_allocations(); }
  std::string backend_name() const override { return all_->backend_name(); }

 private:
  static int64_t Front(int64_t alignment) {
    return std::max<int64_t>(alignment, sizeof(base::MemoryCharge));
  }
  // Of the C library: what is freed goes back to the system, as env/allocator.h has it.
  arrow::MemoryPool* const all_ = arrow::system_memory_pool();
};

}  // namespace

InflatedMessages::InflatedMessages(base::MemoryBudget& budget) { budget_of_thread = &budget; }
InflatedMessages::~InflatedMessages() { budget_of_thread = nullptr; }

}  // namespace headrace::ingest

arrow::ipc::IpcReadOptions arrow::ipc::IpcReadOptions::Defaults() {
  // Batches may outlive every static object.
  static auto* const kPool = new headrace::ingest::Pool;
  IpcReadOptions options;
  options.memory_pool = kPool;
  options.use_threads = false;
  return options;
}

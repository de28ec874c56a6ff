#include "ingest/flight/put_window.h"

#include "base/result.h"

namespace headrace::ingest {

bool PutWindow::WaitForRoom() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [this] { return error_ || (batches_ < batches_max_ && bytes_ < bytes_max_); });
  return !error_;
}

bool PutWindow::WaitUntilEmpty() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return error_ || batches_ == 0; });
  return !error_;
}

void PutWindow::Enter(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  ++batches_;
  bytes_ += bytes;
}

void PutWindow::Leave(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  HR_CHECK(batches_ > 0 && bytes_ >= bytes, "put window: a batch left twice");
  --batches_;
  bytes_ -= bytes;
  changed_.notify_all();
}

void PutWindow::Fail(base::Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  changed_.notify_all();
}

std::optional<base::Error> PutWindow::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace headrace::ingest

#pragma once
// Which tables are being read in this process, and since when, so that nobody takes a file away
// under a reader: whoever removes data files keeps those that a version had at that time.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"

namespace headrace::tables {

// Thread-safe; outlives its pins.
class ReadPins {
 public:
  // Gives the table free when it dies. Movable.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept : pins_(std::exchange(other.pins_, nullptr)), at_(other.at_) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(pins_, other.pins_);
      std::swap(at_, other.at_);
      return *this;
    }
    ~Pin() {
      if (pins_ != nullptr) pins_->Release(at_);
    }

   private:
    friend class ReadPins;
    using At = std::multimap<std::string, base::Timestamp>::iterator;
    Pin(ReadPins* pins, At at) : pins_(pins), at_(at) {}
    ReadPins* pins_ = nullptr;
    At at_;
  };

  // Before the table's version is chosen. `now` is the wall clock.
  Pin Hold(const std::string& folder, base::Timestamp now) {
    const std::lock_guard lock(mutex_);
    return {this, readers_.emplace(folder, now)};
  }
  // When the oldest reader of the table began; nothing when nobody reads it.
  std::optional<base::Timestamp> ReadSince(const std::string& folder) const {
    const std::lock_guard lock(mutex_);
    std::optional<base::Timestamp> since;
    const auto [begin, end] = readers_.equal_range(folder);
    for (auto reader = begin; reader != end; ++reader)
      if (!since || reader->second < *since) since = reader->second;
    return since;
  }

 private:
  void Release(Pin::At at) {
    const std::lock_guard lock(mutex_);
    readers_.erase(at);
  }

  mutable std::mutex mutex_;
  std::multimap<std::string, base::Timestamp> readers_;  // by the table's folder
};

}  // namespace headrace::tables

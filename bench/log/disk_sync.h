#pragma once
// What the disk itself allows: pwrite and fdatasync, one after the other, over a file that was
// filled with zeros and synced before.

#include <cstdint>
#include <string>
#include <string_view>

#include "load.h"

namespace headrace::bench {

// A file for measuring, written over from its begin to its end and again. Not thread-safe.
class SyncedFile {
 public:
  static constexpr uint64_t kBytes = 256ULL << 20;

  // Makes `folder`/sync.bin unless it is there already.
  explicit SyncedFile(const std::string& folder);
  ~SyncedFile();
  SyncedFile(const SyncedFile&) = delete;
  SyncedFile& operator=(const SyncedFile&) = delete;

  bool open() const { return fd_ >= 0; }
  // Bytes on stable storage when it returns true. At most kBytes at once.
  bool Append(std::string_view bytes);

 private:
  int fd_ = -1;
  uint64_t offset_ = 0;
};

// Groups of all producers' batches, one sync each: nobody can acknowledge as much with fewer. With
// one producer and batches of one that is one sync an event.
Outcome RunDiskSync(const Load& load, const std::string& folder);

}  // namespace headrace::bench

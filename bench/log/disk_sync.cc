#include "disk_sync.h"

#include <fcntl.h>
#include <unistd.h>

#include "event.h"

namespace headrace::bench {

SyncedFile::SyncedFile(const std::string& folder) {
  const std::string path = folder + "/sync.bin";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0 || lseek(fd_, 0, SEEK_END) == static_cast<off_t>(kBytes)) return;
  const std::string zeros(1U << 20, '\0');
  for (uint64_t at = 0; at < kBytes; at += zeros.size()) {
    if (pwrite(fd_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) return;
  }
  fsync(fd_);
}

SyncedFile::~SyncedFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool SyncedFile::Append(std::string_view bytes) {
  if (offset_ + bytes.size() > kBytes) offset_ = 0;
  const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset_));
  offset_ += bytes.size();
  return n == static_cast<ssize_t>(bytes.size()) && fdatasync(fd_) == 0;
}

Outcome RunDiskSync(const Load& load, const std::string& folder) {
  SyncedFile file(folder);
  const size_t group = static_cast<size_t>(load.producers) * load.batch_events;
  const std::string bytes = EventText(group * load.event_bytes, 1);
  Outcome outcome(load);
  if (!file.open()) outcome.Failed("no file in " + folder);
  const size_t wanted = kBatchesOfEach * static_cast<size_t>(load.producers);
  while (!outcome.failed() && !outcome.Ended(SteadyClock::now(), wanted)) {
    const SteadyClock::time_point begin = SteadyClock::now();
    if (!file.Append(bytes)) outcome.Failed("a write or sync failed in " + folder);
    const SteadyClock::time_point end = SteadyClock::now();
    for (int i = 0; i < load.producers; ++i) outcome.Acknowledged(begin, end);
  }
  return outcome;
}

}  // namespace headrace::bench

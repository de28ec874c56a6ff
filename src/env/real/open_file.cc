#include "env/real/open_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

namespace headrace::env::real {
namespace {

// So many zeros at most stand between another file's sync and the disk; then the disk is left alone
// for half as long as they took.
constexpr uint64_t kZeroChunkBytes = 1ULL << 20;

// A write of this size to a preallocated file goes past the page cache: nobody reads it soon, and
// the cache's fresh pages cost a virtual machine several times what the disk does. One copy is
// made, into memory that the disk can take, a chunk at a time.
constexpr size_t kDirectBytesMin = 128U << 10;
constexpr size_t kDirectChunkBytes = 2U << 20;
constexpr size_t kDirectMemoryAlignment = 4096;
constexpr size_t kDirectAlignment = 512;  // a disk that wants more says so (EINVAL)

struct FreeDeleter {
  void operator()(uint8_t* memory) const { std::free(memory); }
};

class LocalWritableFile final : public WritableFile {
 public:
  LocalWritableFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  base::Result<void> WriteAt(uint64_t offset, std::span<const uint8_t> bytes) override {
    if (direct_ && bytes.size() >= kDirectBytesMin && offset % kDirectAlignment == 0) {
      const size_t written = WriteDirectly(offset, bytes);
      offset += written;
      bytes = bytes.subspan(written);
    }
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0) {
        if (errno == EINTR) continue;
        return base::Fail(
            SystemError("pwrite", path_, errno).With("offset", std::to_string(offset)));
      }
      offset += static_cast<uint64_t>(written);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return {};
  }

  // Not repeated on EINTR: whether the first call consumed an error is unknown, so any failure
  // counts.
  base::Result<void> Sync() override {
    if (::fdatasync(fd_.get()) != 0) return base::Fail(SystemError("fdatasync", path_, errno));
    return {};
  }

  void WriteAndSync(uint64_t offset, std::span<const uint8_t> bytes, Executor& reply_to,
                    std::move_only_function<void(base::Result<void>)> done) override {
    auto result = WriteAt(offset, bytes);
    if (result) result = Sync();
    reply_to.Post([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }

  base::Result<void> Preallocate(uint64_t size, const std::atomic<bool>& hurry) override {
    const int failed = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(size));
    if (failed != 0 && failed != EOPNOTSUPP && failed != EINVAL)
      return base::Fail(SystemError("fallocate", path_, failed));
    // Some file systems have no such thing.
    if (auto direct = OpenDescriptor(path_, O_RDWR | O_DIRECT)) direct_ = std::move(*direct);
    // Reserved extents are "unwritten"; the first write of each would need a metadata sync. Zeros
    // written now make them plain.
    const std::vector<uint8_t> zeros(std::min(kZeroChunkBytes, size), 0);
    for (uint64_t offset = 0; offset < size && !hurry; offset += zeros.size()) {
      const auto begin = std::chrono::steady_clock::now();
      const uint64_t chunk = std::min<uint64_t>(zeros.size(), size - offset);
      HR_TRY_VOID(WriteAt(offset, std::span(zeros).first(chunk)));
      HR_TRY_VOID(Sync());
      if (!hurry) std::this_thread::sleep_for((std::chrono::steady_clock::now() - begin) / 2);
    }
    if (::fsync(fd_.get()) != 0) return base::Fail(SystemError("fsync", path_, errno));
    return {};
  }

  base::Result<void> Truncate(uint64_t size) override {
    struct stat found{};
    if (::fstat(fd_.get(), &found) != 0) return base::Fail(SystemError("fstat", path_, errno));
    if (static_cast<uint64_t>(found.st_size) <= size) return {};
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return base::Fail(SystemError("ftruncate", path_, errno));
    return {};
  }

 private:
  // How much of `bytes` was written: what is left, after an error too, is for the page cache, which
  // has the last word on whether the disk takes it.
  size_t WriteDirectly(uint64_t offset, std::span<const uint8_t> bytes) {
    if (!chunk_)
      chunk_.reset(
          static_cast<uint8_t*>(std::aligned_alloc(kDirectMemoryAlignment, kDirectChunkBytes)));
    if (!chunk_) return 0;
    size_t done = 0;
    while (bytes.size() - done >= kDirectAlignment) {
      const size_t size =
          std::min(kDirectChunkBytes, (bytes.size() - done) / kDirectAlignment * kDirectAlignment);
      std::memcpy(chunk_.get(), bytes.data() + done, size);
      const ssize_t written =
          ::pwrite(direct_->get(), chunk_.get(), size, static_cast<off_t>(offset + done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        direct_.reset();
        break;
      }
      done += static_cast<size_t>(written);
      if (static_cast<size_t>(written) != size) break;
    }
    return done;
  }

  const std::string path_;
  const FileDescriptor fd_;
  std::optional<FileDescriptor> direct_;  // the same file, opened with O_DIRECT
  std::unique_ptr<uint8_t, FreeDeleter> chunk_;
};

class LocalReadableFile final : public ReadableFile {
 public:
  LocalReadableFile(std::string path, FileDescriptor fd, uint64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  uint64_t size() const override { return size_; }

  base::Result<void> ReadAt(uint64_t offset, std::span<uint8_t> out) const override {
    while (!out.empty()) {
      const ssize_t got = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0) {
        if (errno == EINTR) continue;
        return base::Fail(
            SystemError("pread", path_, errno).With("offset", std::to_string(offset)));
      }
      if (got == 0) {
        return base::Fail(base::Error(base::ErrorCode::kCorruption, "the file ends too early")
                              .With("file", path_)
                              .With("offset", std::to_string(offset)));
      }
      offset += static_cast<uint64_t>(got);
      out = out.subspan(static_cast<size_t>(got));
    }
    return {};
  }

 private:
  const std::string path_;
  const FileDescriptor fd_;
  const uint64_t size_;
};

}  // namespace

std::unique_ptr<WritableFile> MakeWritableFile(std::string path, FileDescriptor fd) {
  return std::make_unique<LocalWritableFile>(std::move(path), std::move(fd));
}

base::Result<std::unique_ptr<ReadableFile>> MakeReadableFile(std::string path, FileDescriptor fd) {
  struct stat found{};
  if (::fstat(fd.get(), &found) != 0) return base::Fail(SystemError("fstat", path, errno));
  if (!S_ISREG(found.st_mode)) return base::Fail(SystemError("open", path, EISDIR));
  return std::make_unique<LocalReadableFile>(std::move(path), std::move(fd),
                                             static_cast<uint64_t>(found.st_size));
}

}  // namespace headrace::env::real

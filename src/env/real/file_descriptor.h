#pragma once
// An owned file descriptor, and the system's errors as ours.

#include <fcntl.h>

#include <string>

#include "base/result.h"

namespace headrace::env::real {

// Closes what it owns. Movable.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// The error for `errno_value` after `what` failed on `file`: kNotFound, kAlreadyExists,
// kStorageFull or kIoError.
base::Error SystemError(const char* what, const std::string& file, int errno_value);

// open(2) with O_CLOEXEC; new files get mode 0644.
base::Result<FileDescriptor> OpenDescriptor(const std::string& path, int flags);

}  // namespace headrace::env::real

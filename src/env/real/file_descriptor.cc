#include "env/real/file_descriptor.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/core.h>

namespace headrace::env::real {
namespace {

base::ErrorCode CodeOf(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR: return base::ErrorCode::kNotFound;
    case EEXIST: return base::ErrorCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT: return base::ErrorCode::kStorageFull;
    default: return base::ErrorCode::kIoError;
  }
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

base::Error SystemError(const char* what, const std::string& file, int errno_value) {
  // strerrordesc_np gives a static text; strerror is not thread-safe.
  const char* description = strerrordesc_np(errno_value);
  return base::Error(CodeOf(errno_value),
                     fmt::format("{} failed: {}", what, description ? description : "unknown"))
      .With("file", file)
      .With("errno", std::to_string(errno_value));
}

base::Result<FileDescriptor> OpenDescriptor(const std::string& path, int flags) {
  constexpr mode_t kMode = 0644;
  while (true) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, kMode);
    if (fd >= 0) return FileDescriptor(fd);
    if (errno != EINTR) return base::Fail(SystemError("open", path, errno));
  }
}

}  // namespace headrace::env::real

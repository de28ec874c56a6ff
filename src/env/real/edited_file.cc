#include "env/edited_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "env/paths.h"
#include "env/real/file_descriptor.h"

namespace headrace::env {
namespace {

using base::Fail;
using base::Result;
using real::FileDescriptor;
using real::SystemError;

constexpr mode_t kOwnerAlone = S_IRUSR | S_IWUSR;
constexpr mode_t kRights = 07777;
constexpr size_t kReadBytes = 64U << 10;

Result<std::string> WithoutLinks(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), ::free);
  if (resolved) return std::string(resolved.get());
  struct stat found{};
  if (errno == ENOENT && ::lstat(path.c_str(), &found) != 0) return path;  // a new one
  return Fail(SystemError("realpath", path, errno));
}

Result<std::string> ReadText(const FileDescriptor& fd, const std::string& path) {
  std::string text;
  for (;;) {
    const size_t size = text.size();
    text.resize(size + kReadBytes);
    const ssize_t got = ::read(fd.get(), text.data() + size, kReadBytes);
    text.resize(size + static_cast<size_t>(got > 0 ? got : 0));
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) return Fail(SystemError("read", path, errno));
  }
}

Result<void> WriteText(const FileDescriptor& fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0 && errno != EINTR) return Fail(SystemError("write", path, errno));
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(fd.get()) != 0) return Fail(SystemError("fsync", path, errno));
  return {};
}

class LockedFile final : public EditedFile {
 public:
  LockedFile(std::string path, FileDescriptor folder)
      : path_(std::move(path)), folder_(std::move(folder)) {}

  Result<void> Read() {
    auto fd = real::OpenDescriptor(path_, O_RDONLY);
    if (!fd && fd.error().code() == base::ErrorCode::kNotFound) return {};
    if (!fd) return Fail(std::move(fd).error());
    struct stat found{};
    if (::fstat(fd->get(), &found) != 0) return Fail(SystemError("fstat", path_, errno));
    was_ = found;
    HR_TRY(text_, ReadText(*fd, path_));
    return {};
  }
  const std::string& text() const override { return text_; }

  Result<void> Replace(std::string_view text) override {
    const size_t name = path_.rfind('/') + 1;  // 0 without a folder
    const std::string temporary = path_.substr(0, name) + "." + path_.substr(name) + ".new";
    ::unlink(temporary.c_str());  // of one that died
    Result<void> done = WriteAs(temporary, text);
    if (done && ::rename(temporary.c_str(), path_.c_str()) != 0)
      done = Fail(SystemError("rename", path_, errno));
    if (!done) {
      ::unlink(temporary.c_str());
      return done;
    }
    if (::fsync(folder_.get()) != 0) return Fail(SystemError("fsync of a folder", path_, errno));
    return {};
  }

 private:
  Result<void> WriteAs(const std::string& temporary, std::string_view text) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const FileDescriptor fd(::open(temporary.c_str(), flags, kOwnerAlone));
    if (fd.get() < 0) return Fail(SystemError("open", temporary, errno));
    if (was_) {
      struct stat made{};
      if (::fstat(fd.get(), &made) != 0) return Fail(SystemError("fstat", temporary, errno));
      const bool owned = made.st_uid == was_->st_uid && made.st_gid == was_->st_gid;
      if (!owned && ::fchown(fd.get(), was_->st_uid, was_->st_gid) != 0)
        return Fail(SystemError("keeping the owner", path_, errno));
      if (::fchmod(fd.get(), was_->st_mode & kRights) != 0)
        return Fail(SystemError("fchmod", temporary, errno));
    }
    return WriteText(fd, text, path_);
  }

  const std::string path_;  // no link
  FileDescriptor folder_;   // its lock is ours
  std::optional<struct stat> was_;
  std::string text_;
};

}  // namespace

Result<std::unique_ptr<EditedFile>> EditedFile::Open(const std::string& path) {
  HR_TRY(std::string target, WithoutLinks(path));
  HR_TRY(FileDescriptor folder, real::OpenDescriptor(FolderOf(target), O_RDONLY | O_DIRECTORY));
  while (::flock(folder.get(), LOCK_EX) != 0)
    if (errno != EINTR) return Fail(SystemError("flock", target, errno));
  auto file = std::make_unique<LockedFile>(std::move(target), std::move(folder));
  HR_TRY_VOID(file->Read());
  return std::unique_ptr<EditedFile>(std::move(file));
}

}  // namespace headrace::env

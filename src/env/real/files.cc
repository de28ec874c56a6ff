#include "env/real/files.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/next_step.h"
#include "env/real/file_descriptor.h"
#include "env/real/open_file.h"

namespace headrace::env::real {
namespace {

class FlockedFile final : public FileLock {
 public:
  explicit FlockedFile(FileDescriptor fd) : fd_(std::move(fd)) {}

 private:
  FileDescriptor fd_;  // closing it releases the lock
};

base::Result<void> SyncDescriptorOf(const std::string& folder) {
  HR_TRY(const FileDescriptor fd, OpenDescriptor(folder, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return base::Fail(SystemError("fsync of a folder", folder, errno));
  return {};
}

// The process with a lock on the open file, as the system lists locks; 0 when it tells none. A
// line: "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131073 0 EOF".
int64_t HolderOf(const FileDescriptor& fd) {
  struct stat found{};
  if (::fstat(fd.get(), &found) != 0) return 0;
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(found.st_dev), minor(found.st_dev), found.st_ino);
  std::ifstream locks("/proc/locks");
  std::string number;
  std::string kind;
  std::string mode;
  std::string access;
  std::string file;
  std::string rest;
  int64_t pid = 0;
  while (locks >> number >> kind >> mode >> access >> pid >> file && std::getline(locks, rest))
    if (kind == "FLOCK" && file == wanted && pid > 0) return pid;
  return 0;
}

base::Error HeldByAnother(const FileDescriptor& fd, const std::string& path) {
  base::Error error(base::ErrorCode::kConflict,
                    "another process, most likely an engine, has this folder in use");
  error.With("file", path);
  const int64_t pid = HolderOf(fd);
  if (pid > 0) error.With("pid", std::to_string(pid));
  return std::move(error).With(
      base::kNextStep, pid > 0 ? fmt::format("stop it (kill {}), or name another folder", pid)
                               : "stop it, or name another folder");
}

bool IsFolder(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

// Makes one folder and its entry durable. When it is there its entry may still be in memory only:
// an earlier process made it and was killed before the sync.
base::Result<void> CreateFolder(const std::string& path, const std::string& parent) {
  const bool made = ::mkdir(path.c_str(), 0755) == 0;
  const int error = made ? 0 : errno;
  if (error == ENOTDIR || (error == EEXIST && !IsFolder(path)))
    return base::Fail(base::Error(base::ErrorCode::kIoError, "a file is where a folder belongs")
                          .With("file", error == EEXIST ? path : parent)
                          .With("errno", std::to_string(error))
                          .With(base::kNextStep, "name another folder, or move the file away"));
  if (!made && error != EEXIST) return base::Fail(SystemError("mkdir", path, error));
  auto fd = OpenDescriptor(parent, O_RDONLY | O_DIRECTORY);
  const int failed = !fd || ::fsync(fd->get()) == 0 ? 0 : errno;
  if (made && (!fd || failed != 0)) (void)::rmdir(path.c_str());  // the next try makes it anew
  if (!fd) return made ? base::Fail(std::move(fd).error()) : base::Result<void>();
  if (failed != 0 && (made || failed == EIO))
    return base::Fail(SystemError("fsync of a folder", parent, failed));
  return {};
}

class LocalFiles final : public Files {
 public:
  base::Result<std::unique_ptr<WritableFile>> OpenForWriting(const std::string& path,
                                                             Open mode) override {
    const int flags = mode == Open::kCreateNew ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    HR_TRY(FileDescriptor fd, OpenDescriptor(path, flags));
    return MakeWritableFile(path, std::move(fd));
  }

  base::Result<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    HR_TRY(FileDescriptor fd, OpenDescriptor(path, O_RDONLY));
    return MakeReadableFile(path, std::move(fd));
  }

  base::Result<std::vector<uint8_t>> ReadAll(const std::string& path) override {
    HR_TRY(auto file, OpenForReading(path));
    std::vector<uint8_t> bytes(file->size());
    HR_TRY_VOID(file->ReadAt(0, bytes));
    return bytes;
  }

  base::Result<bool> Exists(const std::string& path) override {
    struct stat found{};
    if (::stat(path.c_str(), &found) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return base::Fail(SystemError("stat", path, errno));
  }

  base::Result<FileFacts> Facts(const std::string& path) override {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return base::Fail(SystemError("stat", path, errno));
    return FileFacts{static_cast<uint64_t>(found.st_size),
                     {found.st_mtim.tv_sec * 1'000'000 + found.st_mtim.tv_nsec / 1'000}};
  }

  base::Result<void> SetModifiedAt(const std::string& path, base::Timestamp at) override {
    const std::array<timespec, 2> times = {
        {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
         {.tv_sec = at.us / 1'000'000, .tv_nsec = at.us % 1'000'000 * 1'000}}};
    if (::utimensat(AT_FDCWD, path.c_str(), times.data(), 0) != 0)
      return base::Fail(SystemError("utimensat", path, errno));
    return {};
  }

  base::Result<std::string> Resolve(const std::string& path) override {
    const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr),
                                                          ::free);
    if (!resolved) return base::Fail(SystemError("realpath", path, errno));
    return std::string(resolved.get());
  }

  base::Result<std::vector<std::string>> List(const std::string& folder) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()), ::closedir);
    if (!stream) return base::Fail(SystemError("opendir", folder, errno));
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    if (errno != 0) return base::Fail(SystemError("readdir", folder, errno));
    std::sort(names.begin(), names.end());
    return names;
  }

  base::Result<void> CreateFolders(const std::string& path) override {
    std::string parent = path.starts_with('/') ? "/" : ".";
    for (size_t from = 1; from <= path.size();) {
      const size_t slash = std::min(path.find('/', from), path.size());
      std::string part = path.substr(0, slash);
      HR_TRY_VOID(CreateFolder(part, parent));
      parent = std::move(part);
      from = slash + 1;
    }
    return {};
  }

  base::Result<void> Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return base::Fail(SystemError("unlink", path, errno));
    return {};
  }

  base::Result<void> Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      return base::Fail(SystemError("rename", from, errno).With("to", to));
    return {};
  }

  base::Result<void> Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0)
      return base::Fail(SystemError("link", to, errno).With("from", from));
    return {};
  }

  base::Result<void> SyncFolder(const std::string& folder) override {
    return SyncDescriptorOf(folder);
  }

  base::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    HR_TRY(FileDescriptor fd, OpenDescriptor(path, O_RDWR | O_CREAT));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return base::Fail(SystemError("flock", path, errno));
      return base::Fail(HeldByAnother(fd, path));
    }
    return std::make_unique<FlockedFile>(std::move(fd));
  }

  base::Result<uint64_t> FreeBytes(const std::string& folder) override {
    struct statvfs found{};
    if (::statvfs(folder.c_str(), &found) != 0)
      return base::Fail(SystemError("statvfs", folder, errno));
    return static_cast<uint64_t>(found.f_bavail) * found.f_frsize;
  }
};

}  // namespace

std::unique_ptr<Files> MakeLocalFiles() { return std::make_unique<LocalFiles>(); }

}  // namespace headrace::env::real

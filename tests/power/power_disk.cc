// A file system that can lose its power: FUSE in front of DiskImage.
//
//   headrace_power_disk BACKING MOUNTPOINT SOCKET
//
// Stays in the foreground. Commands, a line each over the Unix socket, answered by a line:
//   cut SEED          the power goes; BACKING now holds what survived. From here on every call
//   fails with EIO flush             the same, but everything survives fail-sync N SEED  the Nth
//   fsync or fdatasync of a file from now on fails with EIO, once stat              syncs=N
//   unsynced_sectors=N unsynced_names=N
// Unmount to end it. One thread serves the files, one the socket; a lock is around the image.
#define FUSE_USE_VERSION 31

#include "disk_image.h"

#include <fuse3/fuse.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <sstream>
#include <thread>

namespace headrace::power {
namespace {

struct Disk {
  explicit Disk(const std::string& folder) : image(folder), backing(folder) {}

  std::mutex mutex;
  DiskImage image;
  std::string backing;
  bool off = false;
};

Disk* disk = nullptr;  // FUSE's callbacks take no context that is worth its casts

// Every operation: under the lock, and only while there is power.
template <typename Operation>
int With(Operation operation) {
  const std::lock_guard lock(disk->mutex);
  if (disk->off) return -EIO;
  return operation(disk->image);
}

InodeId Handle(const fuse_file_info* file) { return file->fh; }

template <typename Operation>
int WithInode(const char* path, const fuse_file_info* file, Operation operation) {
  return With([&](DiskImage& image) {
    if (file != nullptr) return operation(image, Handle(file));
    const auto found = image.Find(path);
    return found ? operation(image, *found) : -ENOENT;
  });
}

int GetAttributes(const char* path, struct stat* out, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    image.Describe(id, out);
    return 0;
  });
}

int ReadFolder(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
               fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
  return WithInode(path, nullptr, [&](DiskImage& image, InodeId id) {
    const auto* entries = image.Entries(id);
    if (entries == nullptr) return -ENOTDIR;
    for (const auto& [name, inode] : *entries)
      fill(buffer, name.c_str(), nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
    return 0;
  });
}

int Open(const char* path, fuse_file_info* file) {
  return WithInode(path, nullptr, [&](DiskImage& image, InodeId id) {
    file->fh = id;
    if ((file->flags & O_TRUNC) != 0) image.Resize(id, 0);
    return 0;
  });
}

int Create(const char* path, mode_t mode, fuse_file_info* file) {
  return With([&](DiskImage& image) { return image.Make(path, S_IFREG | mode, &file->fh); });
}

int MakeFolder(const char* path, mode_t mode) {
  InodeId made = 0;
  return With([&](DiskImage& image) { return image.Make(path, S_IFDIR | mode, &made); });
}

int Unlink(const char* path) {
  return With([&](DiskImage& image) { return image.Remove(path, false); });
}

int RemoveFolder(const char* path) {
  return With([&](DiskImage& image) { return image.Remove(path, true); });
}

int Rename(const char* from, const char* to, unsigned int flags) {
  constexpr unsigned int kNoReplace = 1;
  if ((flags & ~kNoReplace) != 0) return -EINVAL;
  return With([&](DiskImage& image) { return image.Rename(from, to, flags != kNoReplace); });
}

int Link(const char* from, const char* to) {
  return With([&](DiskImage& image) { return image.Link(from, to); });
}

int Chmod(const char* path, mode_t mode, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    image.Chmod(id, mode);
    return 0;
  });
}

int Truncate(const char* path, off_t size, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    image.Resize(id, static_cast<uint64_t>(size));
    return 0;
  });
}

int Read(const char* path, char* out, size_t size, off_t offset, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    return static_cast<int>(
        image.Read(id, static_cast<uint64_t>(offset), {reinterpret_cast<uint8_t*>(out), size}));
  });
}

int Write(const char* path, const char* bytes, size_t size, off_t offset, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    image.Write(id, static_cast<uint64_t>(offset), {reinterpret_cast<const uint8_t*>(bytes), size});
    return static_cast<int>(size);
  });
}

int Reserve(const char* path, int mode, off_t offset, off_t size, fuse_file_info* file) {
  if (mode != 0) return -EOPNOTSUPP;
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    struct stat found{};
    image.Describe(id, &found);
    if (offset + size > found.st_size) image.Resize(id, static_cast<uint64_t>(offset + size));
    return 0;
  });
}

int Sync(const char* path, int /*data_only*/, fuse_file_info* file) {
  return WithInode(path, file, [](DiskImage& image, InodeId id) { return image.SyncFile(id); });
}

int SyncFolder(const char* path, int /*data_only*/, fuse_file_info* /*file*/) {
  return WithInode(path, nullptr, [](DiskImage& image, InodeId id) {
    image.SyncFolder(id);
    return 0;
  });
}

int SetTimes(const char* /*path*/, const timespec* /*times*/, fuse_file_info* /*file*/) {
  return 0;
}

int Space(const char* /*path*/, struct statvfs* out) {
  return ::statvfs(disk->backing.c_str(), out) == 0 ? 0 : -errno;
}

// Nothing is cached by names or attributes: what the image says is what is seen.
void* Begin(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->entry_timeout = 0;
  config->attr_timeout = 0;
  config->negative_timeout = 0;
  config->use_ino = 1;
  config->hard_remove = 1;
  config->nullpath_ok = 0;
  return nullptr;
}

fuse_operations Operations() {
  fuse_operations all{};
  all.getattr = GetAttributes;
  all.mkdir = MakeFolder;
  all.unlink = Unlink;
  all.rmdir = RemoveFolder;
  all.rename = Rename;
  all.link = Link;
  all.chmod = Chmod;
  all.truncate = Truncate;
  all.open = Open;
  all.read = Read;
  all.write = Write;
  all.statfs = Space;
  all.fsync = Sync;
  all.readdir = ReadFolder;
  all.fsyncdir = SyncFolder;
  all.init = Begin;
  all.create = Create;
  all.utimens = SetTimes;
  all.fallocate = Reserve;
  return all;
}

std::string Obey(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  uint64_t first = 0;
  uint64_t second = 0;
  words >> verb >> first >> second;
  const std::lock_guard lock(disk->mutex);
  DiskImage& image = disk->image;
  const std::string figures = "syncs=" + std::to_string(image.syncs()) +
                              " unsynced_sectors=" + std::to_string(image.unsynced_sectors()) +
                              " unsynced_names=" + std::to_string(image.unsynced_names());
  if (verb == "stat") return figures;
  if (disk->off) return "error: the power is off";
  if (verb == "fail-sync") {
    image.FailSync(first, second);
    return "ok";
  }
  if (verb != "cut" && verb != "flush") return "error: no command " + verb;
  disk->off = true;
  if (verb == "cut") {
    image.Cut(first);
  } else {
    image.Flush();
  }
  return figures;
}

// One connection at a time, a command each.
void ServeCommands(int listener) {
  while (true) {
    const int connection = ::accept(listener, nullptr, nullptr);
    if (connection < 0) return;
    char line[256] = {};
    std::string answer = "error: nothing was asked";
    if (::read(connection, line, sizeof(line) - 1) > 0) {
      try {
        answer = Obey(line);
      } catch (const std::exception& failed) {
        answer = std::string("error: ") + failed.what();
      }
    }
    answer += '\n';
    if (::write(connection, answer.data(), answer.size()) < 0) std::perror("answer");
    ::close(connection);
  }
}

int ListenAt(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof(address.sun_path)) return -1;
  std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  ::unlink(path);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool bound = ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  return bound && ::listen(listener, 4) == 0 ? listener : -1;
}

}  // namespace

int Main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "headrace_power_disk BACKING MOUNTPOINT SOCKET\n");
    return 2;
  }
  disk = new Disk(arguments[1]);  // lives as long as the process, like the threads that use it
  const int listener = ListenAt(arguments[3]);
  if (listener < 0) {
    std::perror("socket");
    return 4;
  }
  std::thread(ServeCommands, listener).detach();
  char foreground[] = "-f";
  char single[] = "-s";
  char options[] = "-ofsname=headrace_power_disk,default_permissions";
  char* given[] = {arguments[0], foreground, single, options, arguments[2]};
  const fuse_operations operations = Operations();
  return fuse_main(5, given, &operations, nullptr);
}

}  // namespace headrace::power

int main(int count, char** arguments) { return headrace::power::Main(count, arguments); }

// A file system that can lose its power: FUSE in front of DiskImage.
//
//   headrace_power_disk BACKING MOUNTPOINT SOCKET
//
// Stays in the foreground. Commands, a line each over the Unix socket, answered by a line:
//
//   cut SEED           the power goes; BACKING now holds what survived. From here on every call
//                      fails with EIO
//   flush              the same, but everything survives
//   cut-here SEED      the power goes, and what survived is what the disk has: no handle from
//   before
//                      is of use. Calls fail with EIO until `on`
//   on                 the power is back after cut-here
//   cut-at N SEED      at the Nth write, sync or rename from now on time stands still: no call
//                      returns any more, until cut-here. Writes and renames are done by then; of a
//                      sync the seed says whether it was. 0: it does not
//   wait MS            until time stands still, so long at most: still=0 or 1
//   fail-sync N SEED   the Nth fsync or fdatasync of a file from now on fails with EIO, once
//   wait-failed MS     until it has failed, so long at most: failed=0 or 1
//   sync-delay US SEED a sync takes up to so long
//   stat               syncs=N failed_syncs=N unsynced_sectors=N unsynced_log_sectors=N
//                      unsynced_names=N; also what the cuts and flush answer, as of before
//
// Unmount to end it. Threads of FUSE serve the files, one the socket; a lock is around the image.
#define FUSE_USE_VERSION 31

#include "disk_image.h"

#include <fuse3/fuse.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
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
  // Time stands still: whoever called waits for the cut.
  bool still = false;
  std::condition_variable stood_still;
  std::condition_variable went_on;
  std::condition_variable failed;  // the sync that was to fail
  uint64_t until_still = 0;        // operations; 0: it goes on
  std::mt19937_64 random;
  uint64_t sync_delay_us = 0;

  // Before an operation; false: there is no power.
  bool Wait(std::unique_lock<std::mutex>& lock) {
    went_on.wait(lock, [this] { return !still; });
    return !off;
  }
  // Whether time stands still from this operation on.
  bool Count() { return until_still > 0 && --until_still == 0; }
  int StandStill(std::unique_lock<std::mutex>& lock) {
    still = true;
    stood_still.notify_all();
    went_on.wait(lock, [this] { return !still; });
    return -EIO;
  }
};

Disk* disk = nullptr;  // FUSE's callbacks take no context that is worth its casts

// Every operation: under the lock, and only while there is power.
template <typename Operation>
int With(Operation operation) {
  std::unique_lock lock(disk->mutex);
  if (!disk->Wait(lock)) return -EIO;
  return operation(disk->image);
}

// Of those that `cut-at` counts.
template <typename Operation>
int WithCounted(Operation operation) {
  std::unique_lock lock(disk->mutex);
  if (!disk->Wait(lock)) return -EIO;
  const int result = operation(disk->image);
  return disk->Count() ? disk->StandStill(lock) : result;
}

InodeId Handle(const fuse_file_info* file) { return file->fh; }

template <typename Operation>
int WithInode(const char* path, const fuse_file_info* file, Operation operation) {
  return With([&](DiskImage& image) {
    if (file != nullptr && image.Has(Handle(file))) return operation(image, Handle(file));
    if (file != nullptr) return -EIO;  // from before a cut
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
    file->direct_io = 1;
    if ((file->flags & O_TRUNC) != 0) image.Resize(id, 0);
    return 0;
  });
}

int Create(const char* path, mode_t mode, fuse_file_info* file) {
  file->direct_io = 1;
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
  return WithCounted([&](DiskImage& image) { return image.Rename(from, to, flags != kNoReplace); });
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

int Write(const char* /*path*/, const char* bytes, size_t size, off_t offset,
          fuse_file_info* file) {
  return WithCounted([&](DiskImage& image) {
    if (!image.Has(Handle(file))) return -EIO;
    image.Write(Handle(file), static_cast<uint64_t>(offset),
                {reinterpret_cast<const uint8_t*>(bytes), size});
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

// The disk's time for a sync; others go on meanwhile.
bool Delay(std::unique_lock<std::mutex>& lock) {
  if (disk->sync_delay_us > 0) {
    const std::chrono::microseconds takes(disk->random() % disk->sync_delay_us);
    lock.unlock();
    std::this_thread::sleep_for(takes);
    lock.lock();
  }
  return disk->Wait(lock);
}

// `end` makes it durable.
template <typename End>
int FinishSync(std::unique_lock<std::mutex>& lock, End end) {
  if (!Delay(lock)) return -EIO;
  const bool is_last = disk->Count();
  if (is_last && disk->random() % 2 == 0) return disk->StandStill(lock);
  const int result = end();
  return is_last ? disk->StandStill(lock) : result;
}

int Sync(const char* /*path*/, int /*data_only*/, fuse_file_info* file) {
  std::unique_lock lock(disk->mutex);
  if (!disk->Wait(lock)) return -EIO;
  DiskImage& image = disk->image;
  if (!image.Has(Handle(file))) return -EIO;
  const DiskImage::Sync sync = image.BeginSync(Handle(file));
  return FinishSync(lock, [&] {
    if (!image.Has(sync.id)) return -EIO;
    const int result = image.EndSync(sync);
    if (result != 0) disk->failed.notify_all();
    return result;
  });
}

int SyncFolder(const char* path, int /*data_only*/, fuse_file_info* /*file*/) {
  std::unique_lock lock(disk->mutex);
  if (!disk->Wait(lock)) return -EIO;
  DiskImage& image = disk->image;
  const auto id = image.Find(path);
  if (!id) return -ENOENT;
  return FinishSync(lock, [&] {
    if (!image.Has(*id)) return -EIO;
    image.SyncFolder(*id);
    return 0;
  });
}

int SetTimes(const char* path, const timespec* times, fuse_file_info* file) {
  return WithInode(path, file, [&](DiskImage& image, InodeId id) {
    image.SetModified(id, times[1]);
    return 0;
  });
}

int Space(const char* /*path*/, struct statvfs* out) {
  return ::statvfs(disk->backing.c_str(), out) == 0 ? 0 : -errno;
}

// The kernel keeps no names and no bytes: what the image says is what is seen. Attributes, of which
// every look at a name brings new ones, it may keep: else each read asked for them.
void* Begin(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->entry_timeout = 0;
  config->attr_timeout = 3600;
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

std::string Figures(const DiskImage& image) {
  const DiskImage::Unsynced unsynced = image.unsynced();
  return "syncs=" + std::to_string(image.syncs()) +
         " failed_syncs=" + std::to_string(image.failed_syncs()) +
         " unsynced_sectors=" + std::to_string(unsynced.sectors) +
         " unsynced_log_sectors=" + std::to_string(unsynced.log_sectors) +
         " unsynced_names=" + std::to_string(unsynced.names);
}

// The power is off afterwards. Calls that stood still fail.
template <typename Cut>
std::string CutPower(Cut cut) {
  const std::string figures = Figures(disk->image);
  disk->off = true;
  cut();
  disk->until_still = 0;
  disk->still = false;
  disk->went_on.notify_all();
  return figures;
}

std::string Obey(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  uint64_t first = 0;
  uint64_t second = 0;
  words >> verb >> first >> second;
  std::unique_lock lock(disk->mutex);
  DiskImage& image = disk->image;
  if (verb == "stat") return Figures(image);
  if (verb == "on") {
    disk->off = false;
    return "ok";
  }
  if (disk->off) return "error: the power is off";
  if (verb == "wait") {
    disk->stood_still.wait_for(lock, std::chrono::milliseconds(first), [] { return disk->still; });
    return std::string("still=") + (disk->still ? "1" : "0");
  }
  if (verb == "wait-failed") {
    disk->failed.wait_for(lock, std::chrono::milliseconds(first),
                          [&image] { return !image.fails_ahead(); });
    return std::string("failed=") + (image.fails_ahead() ? "0" : "1");
  }
  if (verb == "cut") return CutPower([&] { image.Cut(first); });
  if (verb == "flush") return CutPower([&] { image.Flush(); });
  if (verb == "cut-here") return CutPower([&] { image.CutHere(first); });
  if (verb == "fail-sync") {
    image.FailSync(first, second);
  } else if (verb == "sync-delay") {
    disk->sync_delay_us = first;
    disk->random.seed(second);
  } else if (verb == "cut-at") {
    disk->until_still = first;
    disk->random.seed(second);
  } else {
    return "error: no command " + verb;
  }
  return "ok";
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
  char options[] = "-ofsname=headrace_power_disk,default_permissions";
  char* given[] = {arguments[0], foreground, options, arguments[2]};
  const fuse_operations operations = Operations();
  return fuse_main(4, given, &operations, nullptr);
}

}  // namespace headrace::power

int main(int count, char** arguments) { return headrace::power::Main(count, arguments); }

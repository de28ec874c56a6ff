// An LD_PRELOAD that makes file calls fail, or kills the process at one, for what is under one
// path. libfiu has no points for link, mkdir and posix_fallocate, and can't choose the Nth call.
//   HEADRACE_FAIL        CALL:nth:N:ERRNO or CALL:share:PERMILLE:ERRNO (seeded by
//   HEADRACE_FAIL_SEED), or CALL:kill:N:0 HEADRACE_FAIL_UNDER  the path
//   HEADRACE_FAIL_NAMED  only what has this in its path
// CALL is a function's name; `create` is an open that may make a file; `change` is each of them but
// open and pread. A failed pwrite writes a part first, a failed sync is not carried out; SIGKILL
// comes before the call. Each failure is a line on standard error.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  char call[32] = "";
  char how[8] = "";
  unsigned long number = 0;
  int error = EIO;
  const char* under = "";
  const char* named = nullptr;
  uint64_t seed = 1;
  bool kills() const { return std::strcmp(how, "kill") == 0; }
};

std::atomic<uint64_t> visits{0};

const Plan& ThePlan() {
  static const Plan plan = [] {
    Plan read;
    const char* text = std::getenv("HEADRACE_FAIL");
    const char* under = std::getenv("HEADRACE_FAIL_UNDER");
    const char* seed = std::getenv("HEADRACE_FAIL_SEED");
    if (text == nullptr || under == nullptr) return read;
    if (std::sscanf(text, "%31[a-z_]:%7[a-z]:%lu:%d", read.call, read.how, &read.number,
                    &read.error) != 4)
      std::abort();
    read.under = under;
    read.named = std::getenv("HEADRACE_FAIL_NAMED");
    if (seed != nullptr) read.seed = std::strtoull(seed, nullptr, 10);
    return read;
  }();
  return plan;
}

uint64_t Mixed(uint64_t word) {
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9U;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBU;
  return word ^ (word >> 31);
}

bool IsMeant(const char* call) {
  const char* const planned = ThePlan().call;
  if (std::strcmp(planned, "change") != 0) return std::strcmp(call, planned) == 0;
  return std::strcmp(call, "open") != 0 && std::strcmp(call, "pread") != 0;
}

void Kill() { ::kill(::getpid(), SIGKILL); }

bool Fails(const char* call, const char* path) {
  const Plan& plan = ThePlan();
  if (!IsMeant(call)) return false;
  if (std::strncmp(path, plan.under, std::strlen(plan.under)) != 0) return false;
  if (plan.named != nullptr && std::strstr(path, plan.named) == nullptr) return false;
  const uint64_t visit = ++visits;
  const bool nth = plan.kills() || std::strcmp(plan.how, "nth") == 0;
  const bool hit =
      nth ? visit == plan.number : Mixed(plan.seed + visit * 7919) % 1000 < plan.number;
  if (!hit) return false;
  char line[512];
  const int size = std::snprintf(line, sizeof(line), "failing_calls: %s %s, visit %lu, error %d\n",
                                 call, path, static_cast<unsigned long>(visit), plan.error);
  if (::write(2, line, static_cast<size_t>(size)) < 0) std::abort();
  if (plan.kills() && std::strcmp(call, "pwrite") != 0) Kill();
  errno = plan.error;
  return true;
}

bool FailsOn(const char* call, int fd) {
  if (!IsMeant(call)) return false;
  char link[64];
  char path[512] = {};
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  return ::readlink(link, path, sizeof(path) - 1) > 0 && Fails(call, path);
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REAL(name) static const auto real = Real<decltype(&::name)>(#name)
extern "C" {

int open(const char* path, int flags, ...) {
  static const auto real = Real<int (*)(const char*, int, mode_t)>("open");
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  return Fails((flags & O_CREAT) != 0 ? "create" : "open", path) ? -1 : real(path, flags, mode);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  REAL(pwrite);
  if (!FailsOn("pwrite", fd)) return real(fd, bytes, size, offset);
  if (size > 1 && real(fd, bytes, size / 2, offset) < 0) return -1;
  if (ThePlan().kills()) Kill();
  errno = ThePlan().error;
  return -1;
}

ssize_t pread(int fd, void* out, size_t size, off_t offset) {
  REAL(pread);
  return FailsOn("pread", fd) ? -1 : real(fd, out, size, offset);
}

int fsync(int fd) {
  REAL(fsync);
  return FailsOn("fsync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return FailsOn("fdatasync", fd) ? -1 : real(fd);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
  REAL(posix_fallocate);
  return FailsOn("posix_fallocate", fd) ? ThePlan().error : real(fd, offset, size);
}

int ftruncate(int fd, off_t size) noexcept {
  REAL(ftruncate);
  return FailsOn("ftruncate", fd) ? -1 : real(fd, size);
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return Fails("rename", from) ? -1 : real(from, to);
}

int link(const char* from, const char* to) noexcept {
  REAL(link);
  return Fails("link", from) ? -1 : real(from, to);
}

int unlink(const char* path) noexcept {
  REAL(unlink);
  return Fails("unlink", path) ? -1 : real(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return Fails("mkdir", path) ? -1 : real(path, mode);
}

}  // extern "C"

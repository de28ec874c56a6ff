#include "env/port_connections.h"

#include <dirent.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>

namespace headrace::env {
namespace {

constexpr uint8_t kListening = 10;  // TCP_LISTEN in the kernel

// The port of this end; nothing for what is no TCP socket.
std::optional<uint16_t> LocalPort(int descriptor) {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address{};
  socklen_t size = sizeof address;
  if (getsockname(descriptor, &address.any, &size) != 0) return std::nullopt;
  if (address.any.sa_family == AF_INET) return ntohs(address.v4.sin_port);
  if (address.any.sa_family == AF_INET6) return ntohs(address.v6.sin6_port);
  return std::nullopt;
}

std::optional<uint64_t> CookieOf(int descriptor) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
  return cookie;
}

std::optional<PortConnection> Look(int descriptor, uint16_t port) {
  if (LocalPort(descriptor) != port) return std::nullopt;
  const auto cookie = CookieOf(descriptor);
  tcp_info told{};
  socklen_t size = sizeof told;
  if (!cookie || getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &told, &size) != 0 ||
      told.tcpi_state == kListening)
    return std::nullopt;
  return PortConnection{.descriptor = descriptor,
                        .cookie = *cookie,
                        .received_bytes = told.tcpi_bytes_received,
                        .silent_ms = told.tcpi_last_data_recv};
}

// When no file can be opened any more: every number that one may have.
std::vector<int> AllNumbers() {
  constexpr rlim_t kMost = 1U << 20;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  std::vector<int> numbers(std::min(limit.rlim_cur, kMost));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<int> OpenFiles() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), &closedir);
  if (folder == nullptr) return AllNumbers();
  std::vector<int> numbers;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    int number = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::vector<PortConnection> FindPortConnections(uint16_t port) {
  std::vector<PortConnection> found;
  for (const int number : OpenFiles())
    if (const auto connection = Look(number, port)) found.push_back(*connection);
  return found;
}

// Its number may mean another file by now; a copy of it means one for as long as it lives.
bool ShutDown(const PortConnection& connection) {
  const int copy = dup(connection.descriptor);
  const int own = copy >= 0 ? copy : connection.descriptor;
  const bool done = CookieOf(own) == connection.cookie && shutdown(own, SHUT_RDWR) == 0;
  if (copy >= 0) close(copy);
  return done;
}

}  // namespace headrace::env

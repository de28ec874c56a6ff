#include "sync_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "disk_sync.h"

namespace headrace::bench {
namespace {

class SyncServer {
 public:
  explicit SyncServer(const std::string& folder) : file_(folder) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0) return;
    if (listen(listener_, 64) != 0) return;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    Watch(listener_);
    Watch(STDIN_FILENO);
  }

  bool open() const { return port_ != 0 && file_.open(); }
  uint16_t port() const { return port_; }

  bool Run() {
    std::array<epoll_event, 64> events;
    while (true) {
      const int n = epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == STDIN_FILENO) return true;
        if (fd == listener_) {
          Accept();
        } else {
          Receive(fd);
        }
      }
      if (!Commit()) return false;
    }
  }

 private:
  void Watch(int fd) const {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void Accept() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    Watch(fd);
  }

  void Receive(int fd) {
    std::string& received = received_[fd];
    const size_t before = received.size();
    received.resize(before + (1U << 20));
    const ssize_t n = recv(fd, received.data() + before, received.size() - before, MSG_DONTWAIT);
    received.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) {
      close(fd);
      received_.erase(fd);
      return;
    }
    uint32_t length = 0;
    if (received.size() < sizeof(length)) return;
    std::memcpy(&length, received.data(), sizeof(length));
    if (received.size() < sizeof(length) + length) return;
    group_.append(received, sizeof(length));
    received.clear();
    answered_.push_back(fd);
  }

  bool Commit() {
    if (answered_.empty()) return true;
    if (!file_.Append(group_)) return false;
    for (const int fd : answered_) (void)send(fd, "+", 1, MSG_NOSIGNAL);
    answered_.clear();
    group_.clear();
    return true;
  }

  SyncedFile file_;
  int listener_ = -1;
  int epoll_ = -1;
  uint16_t port_ = 0;
  std::map<int, std::string> received_;  // by connection
  std::string group_;
  std::vector<int> answered_;
};

}  // namespace

int RunSyncServer(const std::string& folder) {
  SyncServer server(folder);
  if (!server.open()) return 1;
  std::printf("%u\n", static_cast<unsigned>(server.port()));
  std::fflush(stdout);
  return server.Run() ? 0 : 1;
}

}  // namespace headrace::bench

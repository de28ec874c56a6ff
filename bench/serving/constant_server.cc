// The ceiling of the HTTP measurement: a server that reads requests as far as it must and answers
// each with the same bytes.
//
// 1. One thread, epoll; a connection keeps what came of its next request.
// 2. A request ends Content-Length bytes behind its empty line; nothing else of it is looked at.
// 3. Answers to pipelined requests leave in one write.
//
// constant_server PORT BODY_FILE      prints "ready" when it listens; ends with SIGTERM.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>

namespace headrace::bench {
namespace {

// Bytes of the first request in `text`; 0 while it is not whole.
size_t RequestBytes(std::string_view text) {
  const size_t head = text.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  size_t body = 0;
  for (const std::string_view name : {"\r\nContent-Length: ", "\r\ncontent-length: "}) {
    const size_t at = text.substr(0, head).find(name);
    if (at != std::string_view::npos)
      std::from_chars(text.data() + at + name.size(), text.data() + head, body);
  }
  return text.size() < head + 4 + body ? 0 : head + 4 + body;
}

class ConstantServer {
 public:
  ConstantServer(uint16_t port, const std::string& body)
      : answer_(
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: "
            "application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_, 1024) != 0) {
      std::perror("constant_server");
      std::exit(1);
    }
    Watch(listener_, EPOLLIN);
  }

  [[noreturn]] void Run() {
    std::array<epoll_event, 256> events;
    while (true) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        fd == listener_ ? Accept() : Serve(fd);
      }
    }
  }

 private:
  struct Lane {
    std::string in;
    std::string out;
  };

  void Watch(int fd, uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
  }
  void Accept() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      lanes_.try_emplace(fd);
      Watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    }
  }
  void Serve(int fd) {
    Lane& lane = lanes_[fd];
    std::array<char, 65536> chunk;
    while (true) {
      const ssize_t n = recv(fd, chunk.data(), chunk.size(), 0);
      if (n == 0) return Close(fd);
      if (n < 0) break;
      lane.in.append(chunk.data(), static_cast<size_t>(n));
      if (static_cast<size_t>(n) < chunk.size()) break;
    }
    size_t used = 0;
    while (const size_t bytes = RequestBytes(std::string_view(lane.in).substr(used))) {
      used += bytes;
      lane.out += answer_;
    }
    lane.in.erase(0, used);
    while (!lane.out.empty()) {
      const ssize_t n = send(fd, lane.out.data(), lane.out.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      lane.out.erase(0, static_cast<size_t>(n));
    }
  }
  void Close(int fd) {
    lanes_.erase(fd);
    close(fd);
  }

  std::string answer_;
  int listener_ = -1;
  int poll_ = epoll_create1(EPOLL_CLOEXEC);
  std::unordered_map<int, Lane> lanes_;
};

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count != 3) {
    std::fputs("constant_server PORT BODY_FILE\n", stderr);
    return 2;
  }
  std::ifstream file(arguments[2], std::ios::binary);
  const std::string body((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  headrace::bench::ConstantServer server(static_cast<uint16_t>(std::atoi(arguments[1])), body);
  std::puts("ready");
  std::fflush(stdout);
  server.Run();
}

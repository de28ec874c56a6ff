// The ceiling of the measurements over HTTP and the Redis protocol: a server that reads requests as
// far as it must and answers each with the same bytes.
//
// 1. One thread, epoll; a connection keeps what came of its next request.
// 2. A request of HTTP ends Content-Length bytes behind its empty line, one of RESP behind as many
// strings as its array has; nothing else of it is looked at.
// 3. Answers to pipelined requests leave in one write.
//
// constant_server http|resp PORT ANSWER_FILE      prints "ready" when it listens; ends with
// SIGTERM. The file is a body of HTTP, or a whole reply of RESP.

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
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace headrace::bench {
namespace {

// Bytes of the first request in `text`; 0 while it is not whole.
size_t HttpRequestBytes(std::string_view text) {
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

// The number in the line at `at`, behind its first character, and `at` behind it; nothing while the
// line is not whole.
std::optional<size_t> TakeNumberLine(std::string_view text, size_t& at) {
  const size_t end = text.find("\r\n", at);
  if (end == std::string_view::npos) return std::nullopt;
  size_t number = 0;
  std::from_chars(text.data() + at + 1, text.data() + end, number);
  at = end + 2;
  return number;
}

size_t RespRequestBytes(std::string_view text) {
  size_t at = 0;
  const auto strings = TakeNumberLine(text, at);
  for (size_t i = 0; strings && i < *strings; ++i) {
    const auto bytes = TakeNumberLine(text, at);
    if (!bytes) return 0;
    at += *bytes + 2;
  }
  return at > text.size() ? 0 : at;
}

struct Protocol {
  size_t (*request_bytes)(std::string_view text);
  std::string answer;
};

Protocol Http(const std::string& body) {
  return {HttpRequestBytes,
          "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: "
          "application/json\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body};
}

class ConstantServer {
 public:
  ConstantServer(uint16_t port, Protocol protocol) : protocol_(std::move(protocol)) {
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
    while (const size_t bytes = protocol_.request_bytes(std::string_view(lane.in).substr(used))) {
      used += bytes;
      lane.out += protocol_.answer;
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

  Protocol protocol_;
  int listener_ = -1;
  int poll_ = epoll_create1(EPOLL_CLOEXEC);
  std::unordered_map<int, Lane> lanes_;
};

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  const std::string_view protocol = count == 4 ? arguments[1] : "";
  if (protocol != "http" && protocol != "resp") {
    std::fputs("constant_server http|resp PORT ANSWER_FILE\n", stderr);
    return 2;
  }
  std::ifstream file(arguments[3], std::ios::binary);
  std::string answer((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  using namespace headrace::bench;
  ConstantServer server(
      static_cast<uint16_t>(std::atoi(arguments[2])),
      protocol == "http" ? Http(answer) : Protocol{RespRequestBytes, std::move(answer)});
  std::puts("ready");
  std::fflush(stdout);
  server.Run();
}

#include "env/real/client_stream.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace headrace::env {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

base::Error SystemError(ErrorCode code, const std::string& what, int number) {
  return base::Error(code, what + ": " + std::strerror(number))
      .With("errno", std::to_string(number));
}

// Waits for `events`; kDeadlineExceeded when they do not come.
base::Result<void> Await(int fd, int16_t events, Time deadline, const char* what) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waited{fd, events, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0) return {};
    if (ready == 0)
      return base::Fail(ErrorCode::kDeadlineExceeded, std::string(what) + " took too long");
    if (errno != EINTR) return base::Fail(SystemError(ErrorCode::kIoError, what, errno));
  }
}

class PollStream final : public ClientStream {
 public:
  explicit PollStream(int fd) : fd_(fd) {}
  ~PollStream() override { ::close(fd_); }

  base::Result<void> Write(std::span<const uint8_t> bytes, milliseconds timeout) override {
    const Time deadline = std::chrono::steady_clock::now() + timeout;
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        bytes = bytes.subspan(static_cast<size_t>(count));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN)
        return base::Fail(SystemError(ErrorCode::kUnavailable, "the connection broke", errno));
      HR_TRY_VOID(Await(fd_, POLLOUT, deadline, "sending"));
    }
    return {};
  }

  base::Result<size_t> Read(std::span<uint8_t> out, milliseconds timeout) override {
    const Time deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
      const ssize_t count = ::recv(fd_, out.data(), out.size(), 0);
      if (count >= 0) return static_cast<size_t>(count);
      if (errno == EINTR) continue;
      if (errno != EAGAIN)
        return base::Fail(SystemError(ErrorCode::kUnavailable, "the connection broke", errno));
      HR_TRY_VOID(Await(fd_, POLLIN, deadline, "waiting for bytes"));
    }
  }

 private:
  int fd_;
};

base::Result<std::unique_ptr<ClientStream>> ConnectTo(const addrinfo& address, Time deadline) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::Fail(SystemError(ErrorCode::kIoError, "no socket", errno));
  auto stream = std::make_unique<PollStream>(fd);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return stream;
  if (errno != EINPROGRESS)
    return base::Fail(SystemError(ErrorCode::kUnavailable, "nobody listens", errno));
  HR_TRY_VOID(Await(fd, POLLOUT, deadline, "connecting"));
  int problem = 0;
  socklen_t size = sizeof(problem);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0)
    return base::Fail(SystemError(ErrorCode::kUnavailable, "nobody listens", problem));
  return stream;
}

}  // namespace

base::Result<std::unique_ptr<ClientStream>> ConnectClientStream(const std::string& host,
                                                                uint16_t port,
                                                                milliseconds timeout) {
  const Time deadline = std::chrono::steady_clock::now() + timeout;
  const std::string where = host + ":" + std::to_string(port);
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int problem =
          ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
      problem != 0)
    return base::Fail(base::Error(ErrorCode::kInvalidInput,
                                  std::string("unknown host: ") + ::gai_strerror(problem))
                          .With("address", where));
  base::Result<std::unique_ptr<ClientStream>> stream =
      base::Fail(ErrorCode::kUnavailable, "the host has no address");
  for (const addrinfo* address = found; address != nullptr && !stream; address = address->ai_next)
    stream = ConnectTo(*address, deadline);
  ::freeaddrinfo(found);
  if (!stream) return base::Fail(std::move(stream).error().With("address", where));
  return stream;
}

}  // namespace headrace::env

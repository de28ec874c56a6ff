#pragma once
// One kept HTTP connection of the load generator: a request out, an answer in, never more than one
// at a time.

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::bench {

// Non-blocking TCP to an IPv4 address of this machine. Not thread-safe. Movable.
class HttpConnection {
 public:
  enum class Progress : uint8_t { kWaiting, kAnswered, kBroken };

  // Connects, blocking; check `open()`.
  HttpConnection(const std::string& host, uint16_t port);
  ~HttpConnection();
  HttpConnection(HttpConnection&& other) noexcept;
  HttpConnection& operator=(HttpConnection&&) = delete;

  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // Writes a whole request; false when the connection broke or would block (requests are small).
  bool Send(std::string_view request);
  // Reads what is there. kAnswered once per request, with `status` the HTTP status.
  Progress Receive(int& status);

 private:
  bool Complete(int& status) const;

  int fd_ = -1;
  std::string received_;
};

}  // namespace headrace::bench

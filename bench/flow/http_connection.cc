#include "http_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <utility>

namespace headrace::bench {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::string_view kLength = "\r\ncontent-length:";

bool SameLetter(char one, char other) { return std::tolower(one) == std::tolower(other); }

// The value of Content-Length in an answer's head; 0 without one.
size_t BodyLength(std::string_view head) {
  const auto found = std::ranges::search(head, kLength, SameLetter);
  if (found.empty()) return 0;
  const char* at = found.data() + found.size();
  const char* end = head.data() + head.size();
  while (at != end && *at == ' ') ++at;
  size_t length = 0;
  std::from_chars(at, end, length);
  return length;
}

}  // namespace

HttpConnection::HttpConnection(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return;
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(std::exchange(fd_, -1));
    return;
  }
  fcntl(fd_, F_SETFL, O_NONBLOCK);
}

HttpConnection::HttpConnection(HttpConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

HttpConnection::~HttpConnection() {
  if (fd_ >= 0) close(fd_);
}

bool HttpConnection::Send(std::string_view request) {
  received_.clear();
  return send(fd_, request.data(), request.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(request.size());
}

HttpConnection::Progress HttpConnection::Receive(int& status) {
  std::array<char, 16384> chunk;
  while (true) {
    const ssize_t n = recv(fd_, chunk.data(), chunk.size(), 0);
    if (n > 0) {
      received_.append(chunk.data(), static_cast<size_t>(n));
      if (Complete(status)) return Progress::kAnswered;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return Progress::kWaiting;
    } else {
      return Progress::kBroken;
    }
  }
}

bool HttpConnection::Complete(int& status) const {
  const size_t head_end = received_.find(kEndOfHead);
  if (head_end == std::string::npos) return false;
  const std::string_view head = std::string_view(received_).substr(0, head_end + kEndOfHead.size());
  if (received_.size() < head.size() + BodyLength(head)) return false;
  status = 0;
  if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, status);
  return true;
}

}  // namespace headrace::bench

#include "socket_loop.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace headrace::bench {
namespace {

// A producer: its connection, the batch that it is sending, the answer so far.
class Producer {
 public:
  Producer(std::unique_ptr<Wire> wire, uint16_t port) : wire_(std::move(wire)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return;
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    open_ = true;
  }
  ~Producer() { close(fd_); }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  bool open() const { return open_; }
  int fd() const { return fd_; }
  SteadyClock::time_point sent_at() const { return sent_at_; }

  // Begins the next batch. False when the connection broke.
  bool SendNext() {
    head_ = wire_->Head();
    body_ = wire_->Body();
    received_.clear();
    sent_at_ = SteadyClock::now();
    return Flush();
  }

  bool sending() const { return !head_.empty() || !body_.empty(); }

  // Writes what the socket takes.
  bool Flush() {
    while (sending()) {
      std::array<iovec, 2> parts{iovec{const_cast<char*>(head_.data()), head_.size()},
                                 iovec{const_cast<char*>(body_.data()), body_.size()}};
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      const ssize_t n = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      const auto from_head = std::min(static_cast<size_t>(n), head_.size());
      head_.remove_prefix(from_head);
      body_.remove_prefix(static_cast<size_t>(n) - from_head);
    }
    return true;
  }

  // Reads what is there; kRefused for a broken connection, too.
  Wire::Reply Receive() {
    std::array<char, 65536> chunk;
    const ssize_t n = recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Wire::Reply::kPartial;
    if (n <= 0) return Wire::Reply::kRefused;
    received_.append(chunk.data(), static_cast<size_t>(n));
    return wire_->Read(received_);
  }

  std::string Said() const { return received_.substr(0, 500); }

 private:
  std::unique_ptr<Wire> wire_;
  int fd_ = -1;
  bool open_ = false;
  std::string_view head_, body_;
  std::string received_;
  SteadyClock::time_point sent_at_;
};

class Loop {
 public:
  Loop(const Load& load, uint16_t port, MakeWire make_wire)
      : outcome_(load), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < load.producers; ++i) {
      producers_.push_back(std::make_unique<Producer>(make_wire(load, i), port));
      if (!producers_.back()->open()) outcome_.Failed("nobody listens");
      epoll_event event{.events = EPOLLIN, .data = {.ptr = producers_.back().get()}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, producers_.back()->fd(), &event);
    }
  }
  ~Loop() { close(epoll_); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Outcome Run() {
    for (const auto& producer : producers_)
      if (!outcome_.failed()) Send(*producer);
    std::array<epoll_event, 64> events;
    const size_t wanted = kBatchesOfEach * producers_.size();
    while (!outcome_.failed() && !outcome_.Ended(SteadyClock::now(), wanted)) {
      constexpr int kPatienceMs = 20'000;
      const int n = epoll_wait(epoll_, events.data(), events.size(), kPatienceMs);
      if (n == 0) outcome_.Failed("no answer for 20 s");
      for (int i = 0; i < n; ++i)
        Serve(*static_cast<Producer*>(events[static_cast<size_t>(i)].data.ptr));
    }
    return std::move(outcome_);
  }

 private:
  void Send(Producer& producer) {
    if (!producer.SendNext()) return outcome_.Failed("the connection broke while sending");
    Await(producer);
  }

  // Room to write is asked for only while there is something to write.
  void Await(Producer& producer) {
    const uint32_t wanted = EPOLLIN | (producer.sending() ? uint32_t{EPOLLOUT} : 0U);
    if (wanted == EPOLLIN && !waits_for_room_) return;
    epoll_event event{.events = wanted, .data = {.ptr = &producer}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, producer.fd(), &event);
    waits_for_room_ = true;
  }

  void Serve(Producer& producer) {
    if (producer.sending()) {
      if (!producer.Flush()) return outcome_.Failed("the connection broke while sending");
      Await(producer);
    }
    switch (producer.Receive()) {
      case Wire::Reply::kPartial: return;
      case Wire::Reply::kRefused: return outcome_.Failed("refused: " + producer.Said());
      case Wire::Reply::kWhole: break;
    }
    outcome_.Acknowledged(producer.sent_at(), SteadyClock::now());
    Send(producer);
  }

  Outcome outcome_;
  int epoll_;
  bool waits_for_room_ = false;  // some batch did not fit into its socket
  std::vector<std::unique_ptr<Producer>> producers_;
};

}  // namespace

Outcome RunSocketLoop(const Load& load, uint16_t port, MakeWire make_wire) {
  return Loop(load, port, make_wire).Run();
}

}  // namespace headrace::bench

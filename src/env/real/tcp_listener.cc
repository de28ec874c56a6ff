#include "env/real/tcp_listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <functional>
#include <latch>
#include <utility>

#include "base/log.h"
#include "env/real/tcp_connection.h"

namespace headrace::env::real {
namespace {

constexpr std::chrono::seconds kTick{1};
// After an accept that failed (no free descriptor).
constexpr std::chrono::milliseconds kAcceptRetry{100};
// Connections that are looked at in one go: some 0.2 ms, then whatever is ready has its turn.
constexpr size_t kTickedPerTurn = 256;
constexpr int kAcceptsPerTurn = 64;  // then the thread's connections have theirs

std::string Describe(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v6 = address.ss_family == AF_INET6;
  const auto* const in6 = reinterpret_cast<const sockaddr_in6*>(&address);
  const auto* const in4 = reinterpret_cast<const sockaddr_in*>(&address);
  const void* const bytes = v6 ? static_cast<const void*>(&in6->sin6_addr) : &in4->sin_addr;
  ::inet_ntop(address.ss_family, bytes, text.data(), text.size());
  return std::string(text.data()) + ":" +
         std::to_string(ntohs(v6 ? in6->sin6_port : in4->sin_port));
}

// Nothing when the budget can't hold another one.
std::optional<base::MemoryCharge> ChargeConnection(const ConnectionLimits& limits) {
  if (limits.budget == nullptr) return base::MemoryCharge();
  auto charge =
      limits.budget->TryCharge(base::MemoryAccount::kConnections, limits.connection_bytes);
  if (!charge) return std::nullopt;
  return std::move(*charge);
}

using Loops = std::vector<std::shared_ptr<IoLoop>>;

// The listening socket on the first loop. Kept by tasks on their way while it is closed.
class Acceptor final : public IoLoop::Watcher, public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(Loops loops, FileDescriptor socket, std::shared_ptr<ListenerState> state)
      : loops_(std::move(loops)), socket_(std::move(socket)), state_(std::move(state)) {}

  // On the first loop's thread.
  void Start() {
    if (auto watched = loops_[0]->Watch(socket_.get(), *this); !watched)
      base::LogError("env.listen_failed", {{"error", watched.error().ToString()}});
  }
  void Close() {
    if (std::exchange(closed_, true)) return;
    loops_[0]->Forget(socket_.get());
    socket_ = FileDescriptor();
  }

 private:
  void OnReady(uint32_t) override { AcceptReady(); }

  void AcceptReady() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      if (closed_) return;
      sockaddr_storage address{};
      socklen_t size = sizeof(address);
      FileDescriptor socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                                      SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket.get() >= 0) {
        Welcome(std::move(socket), Describe(address));
        continue;
      }
      if (errno == EAGAIN) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      base::LogWarning("env.accept_failed",
                       {{"error", SystemError("accept", "a listener", errno).ToString()}});
      return loops_[0]->After(kAcceptRetry, [self = shared_from_this()] { self->AcceptReady(); });
    }
    loops_[0]->Soon([self = shared_from_this()] { self->AcceptReady(); });
  }

  void Welcome(FileDescriptor socket, std::string peer) {
    const size_t others = state_->connections.fetch_add(1);
    std::optional<base::MemoryCharge> charge;
    if (others < state_->limits.connections_max) charge = ChargeConnection(state_->limits);
    if (!charge && (state_->limits.refusal.empty() ||
                    state_->refusals.fetch_add(1) >= state_->limits.refusals_max)) {
      if (!state_->limits.refusal.empty()) state_->refusals.fetch_sub(1);
      state_->connections.fetch_sub(1);
      return;
    }
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const size_t index = next_loop_++ % loops_.size();
    auto connection = std::make_shared<TcpConnection>(
        state_, loops_[index], index, std::move(socket), std::move(peer), std::move(charge));
    loops_[index]->Post([connection = std::move(connection)] { connection->Start(); });
  }

  const Loops loops_;
  FileDescriptor socket_;
  const std::shared_ptr<ListenerState> state_;
  size_t next_loop_ = 0;
  bool closed_ = false;
};

class TcpListener final : public Listener {
 public:
  TcpListener(Loops loops, FileDescriptor socket, uint16_t port,
              std::shared_ptr<ListenerState> state)
      : loops_(std::move(loops)),
        state_(std::move(state)),
        acceptor_(std::make_shared<Acceptor>(loops_, std::move(socket), state_)),
        port_(port) {
    state_->open.resize(loops_.size());
    Everywhere([this](size_t i) {
      tickers_[i] = std::make_shared<bool>(true);
      TickAgain(loops_[i], state_, i, tickers_[i]);
      if (i == 0) acceptor_->Start();
    });
  }
  ~TcpListener() override {
    Everywhere([this](size_t i) {
      if (i == 0) acceptor_->Close();
      *tickers_[i] = false;
      CloseAll(i);
    });
  }

  uint16_t port() const override { return port_; }
  size_t connections() const override { return state_->connections.load(); }
  void Drain(std::chrono::milliseconds grace) override {
    Everywhere([this](size_t i) {
      if (i == 0) acceptor_->Close();
      for (const auto& connection : Open(*state_, i)) connection->Drain();
    });
    {
      std::unique_lock lock(state_->mutex);
      state_->none_left.wait_for(lock, grace, [this] { return state_->connections.load() == 0; });
    }
    Everywhere([this](size_t i) { CloseAll(i); });
  }

 private:
  // A copy, because closing takes a connection out of the set.
  static std::vector<std::shared_ptr<TcpConnection>> Open(ListenerState& state, size_t i) {
    return {state.open[i].begin(), state.open[i].end()};
  }
  // Runs on every loop and waits for all.
  void Everywhere(const std::function<void(size_t)>& task) {
    std::latch done(static_cast<std::ptrdiff_t>(loops_.size()));
    for (size_t i = 0; i < loops_.size(); ++i) {
      HR_CHECK(!loops_[i]->IsCurrent(), "a listener is driven from outside its I/O threads");
      loops_[i]->Post([&, i] {
        task(i);
        done.count_down();
      });
    }
    done.wait();
  }
  void CloseAll(size_t i) {
    for (const auto& connection : Open(*state_, i)) connection->Close();
  }
  static void TickAgain(std::shared_ptr<IoLoop> loop, std::shared_ptr<ListenerState> state,
                        size_t i, std::shared_ptr<bool> ticking) {
    IoLoop& on = *loop;
    on.After(kTick, [loop = std::move(loop), state = std::move(state), i,
                     ticking = std::move(ticking)]() mutable {
      if (!*ticking) return;
      std::vector<std::weak_ptr<TcpConnection>> left(state->open[i].begin(), state->open[i].end());
      TickSome(std::move(loop), std::move(state), i, std::move(ticking), std::move(left));
    });
  }
  // Of thousands of connections, some at a time: requests pass between.
  static void TickSome(std::shared_ptr<IoLoop> loop, std::shared_ptr<ListenerState> state, size_t i,
                       std::shared_ptr<bool> ticking,
                       std::vector<std::weak_ptr<TcpConnection>> left) {
    if (!*ticking) return;
    for (size_t n = 0; n < kTickedPerTurn && !left.empty(); ++n) {
      if (const auto connection = left.back().lock()) connection->Tick(loop->now());
      left.pop_back();
    }
    if (left.empty()) return TickAgain(std::move(loop), std::move(state), i, std::move(ticking));
    IoLoop& on = *loop;
    on.Soon([loop = std::move(loop), state = std::move(state), i, ticking = std::move(ticking),
             left = std::move(left)]() mutable {
      TickSome(std::move(loop), std::move(state), i, std::move(ticking), std::move(left));
    });
  }

  const Loops loops_;
  const std::shared_ptr<ListenerState> state_;
  const std::shared_ptr<Acceptor> acceptor_;
  const uint16_t port_;
  std::vector<std::shared_ptr<bool>> tickers_{loops_.size()};  // each touched on its loop only
};

base::Error ListenError(const std::string& host, uint16_t port, int number) {
  using base::ErrorCode;
  const auto named = [&](ErrorCode code, const std::string& message) {
    return base::Error(code, message)
        .With("address", host + ":" + std::to_string(port))
        .With("errno", std::to_string(number));
  };
  switch (number) {
    case EADDRINUSE:
      return named(ErrorCode::kAlreadyExists,
                   "the port is in use: stop what listens there, or choose another port");
    case EADDRNOTAVAIL:
      return named(ErrorCode::kInvalidInput, "this machine has no such address to listen on");
    case EACCES:
      return named(ErrorCode::kIoError,
                   "no permission to listen there: choose a port from 1024 up");
    default:
      return named(ErrorCode::kIoError,
                   "can't listen: " + SystemError("listen", host, number).message());
  }
}

struct Bound {
  FileDescriptor socket;
  uint16_t port = 0;
};

base::Result<Bound> Bind(const std::string& host, uint16_t port) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0)
    return base::Fail(ListenError(host, port, EADDRNOTAVAIL));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(found, ::freeaddrinfo);
  Bound bound{
      FileDescriptor(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))};
  const int fd = bound.socket.get();
  const int on = 1;
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return base::Fail(ListenError(host, port, errno));
  bound.port = ntohs(address.ss_family == AF_INET6
                         ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                         : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  return bound;
}

}  // namespace

base::Result<std::unique_ptr<Listener>> ListenOn(std::vector<std::shared_ptr<IoLoop>> loops,
                                                 const std::string& host, uint16_t port,
                                                 ConnectionLimits limits, SessionFactory factory) {
  HR_TRY(Bound bound, Bind(host, port));
  auto state = std::make_shared<ListenerState>();
  state->limits = std::move(limits);
  state->factory = std::move(factory);
  return std::make_unique<TcpListener>(std::move(loops), std::move(bound.socket), bound.port,
                                       std::move(state));
}

}  // namespace headrace::env::real

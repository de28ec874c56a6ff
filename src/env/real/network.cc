// Sockets on Boost.Asio's epoll loop, one io_context a thread.
// 1. The listener accepts on the first thread and deals connections to the threads in turn.
// 2. A connection waits for readiness, then reads into its thread's one buffer: an idle connection
// costs no buffer.
// 3. Whatever a session writes during one turn (bytes in, a task, a tick) is sent by one call at
// the turn's end; what the socket
//    does not take waits for writability, and above the limit the peer is not read.
#include "env/network.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/log.h"
#include "env/busy_polling.h"
#include "env/real/client_stream.h"
#include "env/real/thread_priority.h"

namespace headrace::env {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::milliseconds kAcceptRetry{
    100};                                // after an accept that failed (no free descriptor)
constexpr size_t kSentKept = 64U << 10;  // sent bytes in front of unsent ones that are kept
constexpr std::chrono::microseconds kLooksOutAfterAnswer{100};  // to be woken takes 30 to 80 us
constexpr int kReadsPerTurn = 4;  // then the other connections of the thread have theirs

// One thread and its loop.
struct IoThread {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::vector<uint8_t> read_buffer;  // touched on the thread only
  std::atomic<bool> stopped{false};
  using LookOutClock = std::chrono::steady_clock;
  LookOutClock::time_point looks_out_until;  // touched on the thread only
  std::thread thread;

  void LookOut(LookOutClock::time_point until) {
    looks_out_until = std::max(looks_out_until, until);
  }

  bool IsCurrent() const { return thread.get_id() == std::this_thread::get_id(); }
};

// Until the context is stopped. The thread looks out before it sleeps while its clients are likely
// to have more to say at once, giving the CPU to whoever else wants it.
void RunLoop(IoThread& io) {
  const std::chrono::nanoseconds always = BusyPolling();
  while (!io.context.stopped()) {
    if (io.context.run_one() == 0) return;
    auto now = IoThread::LookOutClock::now();
    io.LookOut(now + always);
    for (; now < io.looks_out_until; now = IoThread::LookOutClock::now()) {
      if (io.context.poll() > 0) {
        io.LookOut(IoThread::LookOutClock::now() + always);
      } else if (io.context.stopped()) {
        return;
      } else {
        sched_yield();
      }
    }
  }
}

// The descriptor is given back all the same.
void LogCloseFailed(const error_code& error) {
  base::Log(base::LogLevel::kDebug, "env.close_failed", {{"reason", error.message()}});
}

class TcpConnection;

// What a listener's connections share; outlives the listener while a connection is referenced.
struct ListenerState {
  ConnectionLimits limits;
  SessionFactory factory;
  Clock* clock = nullptr;
  std::atomic<size_t> connections{0};
  std::atomic<size_t> refusals{0};  // connections that only get the refusal
  std::mutex mutex;
  std::condition_variable none_left;
  // The open connections of each I/O thread, touched on that thread only.
  std::vector<std::unordered_set<std::shared_ptr<TcpConnection>>> open;
};

class TcpConnection final : public Connection {
 public:
  TcpConnection(std::shared_ptr<ListenerState> listener, std::shared_ptr<IoThread> io,
                size_t thread_index, tcp::socket socket, std::string peer,
                std::optional<base::MemoryCharge> charge)
      : listener_(std::move(listener)),
        io_(std::move(io)),
        thread_index_(thread_index),
        socket_(std::move(socket)),
        peer_(std::move(peer)),
        charge_(std::move(charge)),
        last_byte_(listener_->clock->Now()) {}

  void Start() {
    listener_->open[thread_index_].insert(Self());
    Turn turn(*this);
    if (!charge_) {
      Write(listener_->limits.refusal);
      return CloseAfterWrites();
    }
    session_ = listener_->factory(*this);
    if (!session_) return Close();
    ReadMore();
  }

  void Tick(MonotonicTime now) {
    Turn turn(*this);
    const ConnectionLimits& limits = listener_->limits;
    if (lingering_ && now - last_byte_out_ > limits.linger_max) return Close();
    if (unsent_bytes() > 0 && now - last_byte_out_ > limits.stall_max) return Close();
    if (now - last_byte_ > limits.idle_max) return Close();
    if (session_ && !lingering_) session_->OnTick(now);
  }
  void Drain() {
    Turn turn(*this);
    if (!closed_ && session_) session_->OnDrain();
  }

  void Run(Task task) override {
    if (io_->IsCurrent()) {
      Turn turn(*this);
      if (!closed_) task();
      return;
    }
    if (io_->stopped.load(std::memory_order_acquire)) return;
    asio::post(io_->context, [self = Self(), task = std::move(task)]() mutable {
      {
        Turn turn(*self);
        if (!self->closed_) task();
      }
      // Whoever has waited for this answer mostly goes on at once.
      self->io_->LookOut(IoThread::LookOutClock::now() + kLooksOutAfterAnswer);
    });
  }
  void Write(std::string bytes) override {
    if (closed_ || closing_ || bytes.empty()) return;
    if (unsent_bytes() == 0) {
      last_byte_out_ = listener_->clock->Now();
      out_ = std::move(bytes);
      out_sent_ = 0;
    } else {
      if (out_sent_ > kSentKept) {  // a peer that always leaves something unsent
        out_.erase(0, out_sent_);
        out_sent_ = 0;
      }
      out_ += bytes;
    }
    if (choked()) choked_ = true;
    ChargeUnsent();
  }
  size_t unsent_bytes() const override { return out_.size() - out_sent_; }
  bool choked() const override { return unsent_bytes() > listener_->limits.unsent_bytes_max; }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override {
    paused_ = false;
    ReadMore();
  }
  void CloseAfterWrites() override { closing_ = true; }
  void Close() override {
    if (closed_) return;
    closed_ = true;
    error_code error;
    if (socket_.close(error)) LogCloseFailed(error);
    if (session_) session_->OnClosed();
    std::string().swap(out_);  // assigning an empty string would keep the memory
    out_sent_ = 0;
    ChargeUnsent();
    listener_->open[thread_index_].erase(Self());
    if (!charge_) listener_->refusals.fetch_sub(1);
    charge_ = base::MemoryCharge();
    if (listener_->connections.fetch_sub(1) == 1) {
      std::lock_guard lock(listener_->mutex);
      listener_->none_left.notify_all();
    }
  }
  const std::string& peer() const override { return peer_; }

 private:
  // A stretch of work on the I/O thread; what it wrote leaves when the outermost ends.
  class Turn {
   public:
    explicit Turn(TcpConnection& connection) : connection_(connection), alive_(connection.Self()) {
      ++connection_.turns_;
    }
    ~Turn() {
      if (--connection_.turns_ == 0 && !connection_.closed_) connection_.Flush();
    }

   private:
    TcpConnection& connection_;
    std::shared_ptr<TcpConnection> alive_;
  };

  std::shared_ptr<TcpConnection> Self() {
    return std::static_pointer_cast<TcpConnection>(shared_from_this());
  }

  bool MayRead() const {
    return !closed_ && !input_ended_ && (lingering_ || (!paused_ && !choked_ && !closing_));
  }
  void ReadMore() {
    if (waiting_to_read_ || !MayRead()) return;
    waiting_to_read_ = true;
    socket_.async_wait(tcp::socket::wait_read, [self = Self()](error_code error) {
      self->waiting_to_read_ = false;
      Turn turn(*self);
      if (error) return self->Close();
      self->ReadReady();
    });
  }
  void ReadReady() {
    std::vector<uint8_t>& buffer = io_->read_buffer;
    buffer.resize(std::max(buffer.size(), listener_->limits.read_bytes));
    for (int i = 0; i < kReadsPerTurn && MayRead(); ++i) {
      error_code error;
      const size_t count =
          socket_.read_some(asio::buffer(buffer.data(), listener_->limits.read_bytes), error);
      if (error == asio::error::would_block) break;
      if (error == asio::error::eof) return InputEnded();
      if (error) return Close();
      if (lingering_) continue;
      last_byte_ = listener_->clock->Now();
      session_->OnBytes({buffer.data(), count});
      if (count < listener_->limits.read_bytes) break;
    }
    ReadMore();
  }
  void InputEnded() {
    input_ended_ = true;
    if (lingering_) return Close();
    if (session_) session_->OnEndOfInput();
  }

  void Flush() {
    while (unsent_bytes() > 0) {
      error_code error;
      const size_t count =
          socket_.write_some(asio::buffer(out_.data() + out_sent_, unsent_bytes()), error);
      if (error == asio::error::would_block) return WriteLater();
      if (error) return Close();
      out_sent_ += count;
      last_byte_out_ = last_byte_ = listener_->clock->Now();
    }
    std::string().swap(out_);  // assigning an empty string would keep the memory
    out_sent_ = 0;
    ChargeUnsent();
    if (closing_ && !lingering_) return Linger();
    Unchoke();
  }
  void WriteLater() {
    if (choked()) choked_ = true;
    Unchoke();
    if (waiting_to_write_) return;
    waiting_to_write_ = true;
    socket_.async_wait(tcp::socket::wait_write, [self = Self()](error_code error) {
      self->waiting_to_write_ = false;
      Turn turn(*self);
      if (error) self->Close();
    });
  }
  void Unchoke() {
    if (!choked_ || unsent_bytes() > listener_->limits.unsent_bytes_max / 2) return;
    choked_ = false;
    ReadMore();
    // Not at once: what the session writes then may choke and send in turn, as deep as it has
    // requests.
    asio::post(io_->context, [self = Self()] {
      Turn turn(*self);
      if (self->session_ && !self->closed_ && !self->closing_) self->session_->OnRoom();
    });
  }
  // What waits to be sent exists already, so it can't be refused: others are, until it is sent.
  void ChargeUnsent() {
    base::MemoryBudget* const budget = listener_->limits.budget;
    if (budget == nullptr) return;
    const uint64_t held = out_.empty() ? 0 : out_.capacity();
    budget->Force(base::MemoryAccount::kReplies,
                  static_cast<int64_t>(held) - static_cast<int64_t>(charged_unsent_));
    charged_unsent_ = held;
  }
  void Linger() {
    lingering_ = true;
    last_byte_out_ = listener_->clock->Now();
    error_code error;
    if (socket_.shutdown(tcp::socket::shutdown_send, error) || input_ended_) return Close();
    ReadMore();
  }

  std::shared_ptr<ListenerState> listener_;
  std::shared_ptr<IoThread> io_;
  size_t thread_index_;
  tcp::socket socket_;
  std::string peer_;
  std::optional<base::MemoryCharge> charge_;  // nothing: this connection is one too many
  std::unique_ptr<Session> session_;          // none for a refused one
  uint64_t charged_unsent_ = 0;
  std::string out_;
  size_t out_sent_ = 0;
  int turns_ = 0;
  MonotonicTime last_byte_;
  MonotonicTime last_byte_out_{0};
  bool paused_ = false;     // by the session
  bool choked_ = false;     // too much unsent
  bool closing_ = false;    // CloseAfterWrites
  bool lingering_ = false;  // output ended, input thrown away
  bool input_ended_ = false;
  bool closed_ = false;
  bool waiting_to_read_ = false;
  bool waiting_to_write_ = false;
};

std::string Describe(const tcp::endpoint& endpoint) {
  return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

class TcpListener final : public Listener {
 public:
  TcpListener(std::vector<std::shared_ptr<IoThread>> threads, tcp::acceptor acceptor,
              std::shared_ptr<ListenerState> state)
      : threads_(std::move(threads)),
        accepting_(std::make_shared<Accepting>(std::move(acceptor))),
        state_(std::move(state)),
        port_(accepting_->acceptor.local_endpoint().port()) {
    state_->open.resize(threads_.size());
    for (size_t i = 0; i < threads_.size(); ++i)
      tickers_.push_back(std::make_shared<Ticker>(threads_[i]->context));
  }
  ~TcpListener() override {
    Everywhere([this](size_t i) {
      if (i == 0) StopAccepting();
      tickers_[i]->stopped = true;
      tickers_[i]->timer.cancel();
      CloseAll(i);
    });
  }
  void Start() {
    Everywhere([this](size_t i) {
      Tick(tickers_[i], state_, i);
      if (i == 0) Accept(accepting_, state_, threads_);
    });
  }

  uint16_t port() const override { return port_; }
  size_t connections() const override { return state_->connections.load(); }
  void Drain(std::chrono::milliseconds grace) override {
    Everywhere([this](size_t i) {
      if (i == 0) StopAccepting();
      for (const auto& connection : Open(*state_, i)) connection->Drain();
    });
    {
      std::unique_lock lock(state_->mutex);
      state_->none_left.wait_for(lock, grace, [this] { return state_->connections.load() == 0; });
    }
    Everywhere([this](size_t i) { CloseAll(i); });
  }

 private:
  struct Accepting {
    explicit Accepting(tcp::acceptor a) : acceptor(std::move(a)), retry(acceptor.get_executor()) {}
    tcp::acceptor acceptor;
    asio::steady_timer retry;
    size_t next_thread = 0;
  };
  struct Ticker {
    explicit Ticker(asio::io_context& context) : timer(context) {}
    asio::steady_timer timer;
    bool stopped = false;
  };

  // A copy, because closing takes a connection out of the set.
  static std::vector<std::shared_ptr<TcpConnection>> Open(ListenerState& state, size_t i) {
    return {state.open[i].begin(), state.open[i].end()};
  }
  // Runs on every I/O thread and waits for all.
  void Everywhere(const std::function<void(size_t)>& task) {
    std::latch done(static_cast<std::ptrdiff_t>(threads_.size()));
    for (size_t i = 0; i < threads_.size(); ++i) {
      HR_CHECK(!threads_[i]->IsCurrent(), "a listener is driven from outside its I/O threads");
      asio::post(threads_[i]->context, [&, i] {
        task(i);
        done.count_down();
      });
    }
    done.wait();
  }
  void StopAccepting() {
    error_code error;
    if (accepting_->acceptor.close(error)) LogCloseFailed(error);
    accepting_->retry.cancel();
  }
  void CloseAll(size_t i) {
    for (const auto& connection : Open(*state_, i)) connection->Close();
  }

  static void Accept(std::shared_ptr<Accepting> accepting, std::shared_ptr<ListenerState> state,
                     std::vector<std::shared_ptr<IoThread>> threads) {
    const size_t index = accepting->next_thread++ % threads.size();
    asio::io_context& context = threads[index]->context;
    tcp::acceptor& acceptor = accepting->acceptor;
    acceptor.async_accept(context, [=](error_code error, tcp::socket socket) mutable {
      if (!accepting->acceptor.is_open()) return;
      if (!error) {
        Welcome(std::move(socket), state, threads[index], index);
        return Accept(std::move(accepting), std::move(state), std::move(threads));
      }
      base::LogWarning("env.accept_failed", {{"reason", error.message()}});
      accepting->retry.expires_after(kAcceptRetry);
      accepting->retry.async_wait([=](error_code cancelled) {
        if (!cancelled) Accept(accepting, state, threads);
      });
    });
  }
  // Nothing when the budget can't hold another one.
  static std::optional<base::MemoryCharge> ChargeConnection(const ConnectionLimits& limits) {
    if (limits.budget == nullptr) return base::MemoryCharge();
    auto charge =
        limits.budget->TryCharge(base::MemoryAccount::kConnections, limits.connection_bytes);
    if (!charge) return std::nullopt;
    return std::move(*charge);
  }
  static void Welcome(tcp::socket socket, const std::shared_ptr<ListenerState>& state,
                      const std::shared_ptr<IoThread>& io, size_t index) {
    const size_t others = state->connections.fetch_add(1);
    std::optional<base::MemoryCharge> charge;
    if (others < state->limits.connections_max) charge = ChargeConnection(state->limits);
    if (!charge && (state->limits.refusal.empty() ||
                    state->refusals.fetch_add(1) >= state->limits.refusals_max)) {
      if (!state->limits.refusal.empty()) state->refusals.fetch_sub(1);
      state->connections.fetch_sub(1);
      return;
    }
    error_code error;
    if (socket.set_option(tcp::no_delay(true), error) || socket.non_blocking(true, error)) {
      if (!charge) state->refusals.fetch_sub(1);
      state->connections.fetch_sub(1);  // it was gone before we looked
      return;
    }
    const tcp::endpoint peer = socket.remote_endpoint(error);
    auto connection = std::make_shared<TcpConnection>(state, io, index, std::move(socket),
                                                      Describe(peer), std::move(charge));
    asio::post(io->context, [connection = std::move(connection)] { connection->Start(); });
  }
  static void Tick(std::shared_ptr<Ticker> ticker, std::shared_ptr<ListenerState> state, size_t i) {
    ticker->timer.expires_after(kTick);
    asio::steady_timer& timer = ticker->timer;
    timer.async_wait(
        [ticker = std::move(ticker), state = std::move(state), i](error_code error) mutable {
          if (error || ticker->stopped) return;
          const MonotonicTime now = state->clock->Now();
          for (const auto& connection : Open(*state, i)) connection->Tick(now);
          Tick(std::move(ticker), std::move(state), i);
        });
  }

  std::vector<std::shared_ptr<IoThread>> threads_;
  std::shared_ptr<Accepting> accepting_;
  std::shared_ptr<ListenerState> state_;
  std::vector<std::shared_ptr<Ticker>> tickers_;
  uint16_t port_;
};

base::Error ListenError(const std::string& host, uint16_t port, const error_code& error) {
  using base::ErrorCode;
  const std::string where = host + ":" + std::to_string(port);
  auto named = [&](ErrorCode code, const std::string& message) {
    return base::Error(code, message)
        .With("address", where)
        .With("errno", std::to_string(error.value()));
  };
  if (error == asio::error::address_in_use)
    return named(ErrorCode::kAlreadyExists,
                 "the port is in use: stop what listens there, or choose another port");
  if (error.value() == EADDRNOTAVAIL || error.category() == asio::error::get_netdb_category())
    return named(ErrorCode::kInvalidInput, "this machine has no such address to listen on");
  if (error == asio::error::access_denied)
    return named(ErrorCode::kIoError, "no permission to listen there: choose a port from 1024 up");
  return named(ErrorCode::kIoError, "can't listen: " + error.message());
}

class RealNetwork final : public Network {
 public:
  RealNetwork(Clock& clock, size_t io_threads) : clock_(clock) {
    for (size_t i = 0; i < std::max<size_t>(1, io_threads); ++i) {
      auto io = std::make_shared<IoThread>();
      io->thread = std::thread([raw = io.get(), i] {
        pthread_setname_np(pthread_self(), ("hr-io-" + std::to_string(i)).c_str());
        real::SetThreadPriority(Priority::kRealTime);
        RunLoop(*raw);
      });
      threads_.push_back(std::move(io));
    }
  }
  ~RealNetwork() override {
    for (const auto& io : threads_) {
      io->stopped.store(true, std::memory_order_release);
      io->work.reset();
      io->context.stop();
      io->thread.join();
      // Tasks that were still queued hold connections, which hold the loop: run them (all closed,
      // so they do nothing).
      io->context.restart();
      io->context.poll();
    }
  }

  base::Result<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port,
                                                 ConnectionLimits limits,
                                                 SessionFactory factory) override {
    error_code error;
    asio::io_context& context = threads_[0]->context;
    const auto found =
        tcp::resolver(context).resolve(host, std::to_string(port), tcp::resolver::passive, error);
    if (error) return base::Fail(ListenError(host, port, error));
    const tcp::endpoint endpoint = found.begin()->endpoint();
    tcp::acceptor acceptor(context);
    const bool failed = acceptor.open(endpoint.protocol(), error) ||
                        acceptor.set_option(tcp::acceptor::reuse_address(true), error) ||
                        acceptor.bind(endpoint, error) ||
                        acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (failed) return base::Fail(ListenError(host, port, error));
    auto state = std::make_shared<ListenerState>();
    state->limits = limits;
    state->factory = std::move(factory);
    state->clock = &clock_;
    auto listener = std::make_unique<TcpListener>(threads_, std::move(acceptor), std::move(state));
    listener->Start();
    return listener;
  }
  base::Result<std::unique_ptr<ClientStream>> Connect(const std::string& host, uint16_t port,
                                                      std::chrono::milliseconds timeout) override {
    return ConnectClientStream(host, port, timeout);
  }

 private:
  Clock& clock_;
  std::vector<std::shared_ptr<IoThread>> threads_;
};

}  // namespace

uint64_t RaiseOpenFilesMax(uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  rlimit raised = limit;
  raised.rlim_cur = wanted;
  raised.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);  // root may
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  raised.rlim_max = limit.rlim_max;
  raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

std::unique_ptr<Network> MakeRealNetwork(Clock& clock, size_t io_threads) {
  return std::make_unique<RealNetwork>(clock, io_threads);
}

}  // namespace headrace::env

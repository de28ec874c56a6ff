#include "env/simulated/network.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

namespace headrace::env::simulated {
namespace {

constexpr MonotonicTime kTick = std::chrono::seconds(1);
constexpr uint64_t kPiecesMax = 4;  // of one write

}  // namespace

struct SimulatedNetwork::State {
  SimulatedEnvironment& machine;
  NetworkFaults faults;
  Executor* io;  // sessions and peers
  std::map<uint16_t, Port*> ports;
  uint64_t broken = 0;
  uint16_t next_port = 40'000;
  bool inside = false;  // a task of io is running
};

// One connection, both directions.
class SimulatedNetwork::Wire final : public Connection {
 public:
  Wire(std::shared_ptr<State> state, size_t unsent_max,
       std::function<void(std::string_view)> on_bytes, std::function<void()> on_end)
      : state_(std::move(state)),
        unsent_max_(unsent_max),
        on_bytes_(std::move(on_bytes)),
        on_end_(std::move(on_end)) {}

  void Begin(const SessionFactory& factory) {
    Post([this, &factory] {
      session_ = factory(*this);
      if (session_ == nullptr) End();
    });
    Tick();
  }

  // The peer's side.
  void SendIn(std::string bytes) {
    Travel(std::move(bytes), in_at_, [this](const std::string& piece) {
      if (session_ == nullptr || !open_) return;
      const auto* data = reinterpret_cast<const uint8_t*>(piece.data());
      if (paused_ || !held_.empty()) {  // what is held goes first
        held_ += piece;
      } else {
        session_->OnBytes({data, piece.size()});
      }
    });
  }
  void EndIn() {
    state_->io->PostAt(std::max(in_at_, Now()), Guarded([this] {
                         input_ended_ = true;
                         TellEnd();
                       }));
  }
  void Vanish() {
    on_bytes_ = {};
    on_end_ = {};
    Post([this] { End(); });
  }
  bool open() const { return open_; }
  void Drain() {
    Post([this] {
      if (session_ != nullptr && open_) session_->OnDrain();
    });
  }
  // At once; the listener goes.
  void CloseNow() {
    End();
    session_.reset();
  }

  void Run(Task task) override {
    if (state_->inside && open_) return task();
    Post([this, task = std::move(task)]() mutable {
      if (open_ && session_ != nullptr) task();
    });
  }
  void Write(std::string bytes) override {
    if (!open_) return;
    unsent_ += bytes.size();
    Travel(std::move(bytes), out_at_, [this](const std::string& piece) {
      const bool was_choked = choked();
      unsent_ -= piece.size();
      if (was_choked && !choked() && session_ != nullptr) session_->OnRoom();
      if (on_bytes_) on_bytes_(piece);
    });
  }
  size_t unsent_bytes() const override { return unsent_; }
  bool choked() const override { return unsent_ > unsent_max_; }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override {
    if (!std::exchange(paused_, false) || (held_.empty() && !input_ended_)) return;
    Post([this] {
      if (session_ == nullptr || !open_ || paused_) return;
      const std::string bytes = std::exchange(held_, {});
      if (!bytes.empty())
        session_->OnBytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
      TellEnd();
    });
  }
  void CloseAfterWrites() override {
    closing_ = true;
    state_->io->PostAt(std::max(out_at_, Now()), Guarded([this] { End(); }));
  }
  void Close() override {
    Post([this] { End(); });  // not from within the session's own call
  }
  const std::string& peer() const override { return peer_; }

 private:
  MonotonicTime Now() const { return state_->machine.clock().Now(); }

  // Runs on io while this connection is there.
  template <typename Step>
  Task Guarded(Step step) {
    return [weak = weak_from_this(), state = state_, step = std::move(step)]() mutable {
      const auto self = weak.lock();
      if (self == nullptr) return;
      state->inside = true;
      step();
      state->inside = false;
    };
  }
  template <typename Step>
  void Post(Step step) {
    state_->io->Post(Guarded(std::move(step)));
  }

  void Tick() {
    state_->io->PostAt(Now() + kTick, Guarded([this] {
                         if (!open_ || session_ == nullptr) return;
                         session_->OnTick(Now());
                         Tick();
                       }));
  }

  // Cuts bytes into pieces that arrive one after the other; `at` is when the last one did.
  template <typename Arrive>
  void Travel(std::string bytes, MonotonicTime& at, Arrive arrive) {
    auto& random = state_->machine.random();
    const uint64_t pieces = 1 + random() % kPiecesMax;
    for (uint64_t i = 0; i < pieces && !bytes.empty(); ++i) {
      const size_t size = i + 1 == pieces ? bytes.size() : 1 + random() % bytes.size();
      std::string piece = bytes.substr(0, size);
      bytes.erase(0, size);
      const auto width =
          static_cast<uint64_t>((state_->faults.piece_max - state_->faults.piece_min).count());
      at = std::max(at, Now()) + state_->faults.piece_min +
           MonotonicTime(random() % std::max<uint64_t>(width, 1));
      const bool breaks = state_->faults.break_share > 0 &&
                          std::bernoulli_distribution(state_->faults.break_share)(random);
      state_->io->PostAt(at, Guarded([this, breaks, arrive, piece = std::move(piece)] {
                           if (!open_) return;
                           if (!breaks) return arrive(piece);
                           ++state_->broken;
                           End();
                         }));
    }
  }

  // Once, behind all bytes, of a connection that is not closing.
  void TellEnd() {
    if (!input_ended_ || !open_ || session_ == nullptr || paused_ || closing_ || !held_.empty())
      return;
    if (!std::exchange(end_told_, true)) session_->OnEndOfInput();
  }
  void End() {
    if (!std::exchange(open_, false)) return;
    if (session_ != nullptr) session_->OnClosed();
    if (auto on_end = std::exchange(on_end_, {})) on_end();
  }

  std::shared_ptr<State> state_;
  const size_t unsent_max_;
  std::function<void(std::string_view)> on_bytes_;
  std::function<void()> on_end_;
  std::unique_ptr<Session> session_;
  std::string peer_ = "127.0.0.1:50000";
  std::string held_;  // came while reading was paused, or behind such bytes
  MonotonicTime in_at_{0};
  MonotonicTime out_at_{0};
  size_t unsent_ = 0;
  bool paused_ = false;
  bool closing_ = false;
  bool input_ended_ = false;
  bool end_told_ = false;
  bool open_ = true;
};

class SimulatedNetwork::Port final : public Listener {
 public:
  Port(std::shared_ptr<State> state, uint16_t port, ConnectionLimits limits, SessionFactory factory)
      : state_(std::move(state)),
        port_(port),
        limits_(std::move(limits)),
        factory_(std::move(factory)) {
    state_->ports[port_] = this;
  }
  ~Port() override {
    state_->ports.erase(port_);
    for (const auto& wire : wires_) wire->CloseNow();
  }
  uint16_t port() const override { return port_; }
  size_t connections() const override {
    return static_cast<size_t>(
        std::ranges::count_if(wires_, [](const auto& wire) { return wire->open(); }));
  }
  void Drain(std::chrono::milliseconds /*grace*/) override {
    draining_ = true;
    for (const auto& wire : wires_) wire->Drain();
  }
  std::shared_ptr<Wire> Accept(std::function<void(std::string_view)> on_bytes,
                               std::function<void()> on_end) {
    std::erase_if(wires_, [](const auto& wire) { return !wire->open(); });
    if (draining_ || wires_.size() >= limits_.connections_max) return nullptr;
    wires_.push_back(std::make_shared<Wire>(state_, limits_.unsent_bytes_max, std::move(on_bytes),
                                            std::move(on_end)));
    wires_.back()->Begin(factory_);
    return wires_.back();
  }

 private:
  std::shared_ptr<State> state_;
  const uint16_t port_;
  const ConnectionLimits limits_;
  const SessionFactory factory_;
  std::vector<std::shared_ptr<Wire>> wires_;
  bool draining_ = false;
};

class SimulatedNetwork::FarEnd final : public Peer {
 public:
  explicit FarEnd(std::weak_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~FarEnd() override { FarEnd::Vanish(); }
  void Send(std::string bytes) override {
    if (const auto wire = wire_.lock()) wire->SendIn(std::move(bytes));
  }
  void EndOutput() override {
    if (const auto wire = wire_.lock()) wire->EndIn();
  }
  void Vanish() override {
    if (const auto wire = wire_.lock()) wire->Vanish();
  }
  bool open() const override {
    const auto wire = wire_.lock();
    return wire != nullptr && wire->open();
  }

 private:
  std::weak_ptr<Wire> wire_;
};

SimulatedNetwork::SimulatedNetwork(SimulatedEnvironment& machine, NetworkFaults faults)
    : io_(machine.NewExecutor("io", Priority::kRealTime)),
      state_(std::make_shared<State>(
          State{.machine = machine, .faults = faults, .io = io_.get(), .ports = {}})) {}

SimulatedNetwork::~SimulatedNetwork() = default;

base::Result<std::unique_ptr<Listener>> SimulatedNetwork::Listen(const std::string& /*host*/,
                                                                 uint16_t port,
                                                                 ConnectionLimits limits,
                                                                 SessionFactory factory) {
  if (port == 0) port = state_->next_port++;
  if (state_->ports.contains(port))
    return base::Fail(base::ErrorCode::kAlreadyExists, "the simulated port is in use");
  return std::make_unique<Port>(state_, port, limits, std::move(factory));
}

base::Result<std::unique_ptr<ClientStream>> SimulatedNetwork::Connect(
    const std::string& /*host*/, uint16_t /*port*/, std::chrono::milliseconds /*timeout*/) {
  return base::Fail(base::ErrorCode::kUnsupported, "nothing blocks in simulation: use Dial");
}

std::unique_ptr<Peer> SimulatedNetwork::Dial(uint16_t port,
                                             std::function<void(std::string_view)> on_bytes,
                                             std::function<void()> on_end) {
  const auto found = state_->ports.find(port);
  if (found == state_->ports.end()) return nullptr;
  auto wire = found->second->Accept(std::move(on_bytes), std::move(on_end));
  if (wire == nullptr) return nullptr;
  return std::make_unique<FarEnd>(wire);
}

uint64_t SimulatedNetwork::broken() const { return state_->broken; }

}  // namespace headrace::env::simulated

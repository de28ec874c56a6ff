// 1. The first bytes say whether this is TLS, and how long its ClientHello is; nothing is allocated
// before.
// 2. Steps of the handshake run on the executor, one at a time, while the connection is not read.
// 3. Then the protocol's session begins, and its bytes go through the channel on the I/O thread: a
// read is decrypted record by record, a write is encrypted at once and leaves with the turn.
#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "protocols/tls_channel.h"
#include "protocols/tls_serving.h"

namespace headrace::protocols {
namespace {

using Step = TlsChannel::Step;

constexpr size_t kHelloStart = 9;  // record header, and type and length of its first message
constexpr size_t kRecordBytesMax = 16U << 10;

class TlsSession;

// What the inner session takes for its connection.
class SecuredConnection final : public env::Connection {
 public:
  SecuredConnection(TlsSession& session, env::Connection& carrier)
      : session_(session), carrier_(carrier), weak_carrier_(carrier.weak_from_this()) {}
  // From any thread, also when the carrier has gone.
  void Run(env::Task task) override {
    if (const auto carrier = weak_carrier_.lock()) carrier->Run(std::move(task));
  }
  void Write(std::string bytes) override;
  size_t unsent_bytes() const override { return carrier_.unsent_bytes(); }
  bool choked() const override { return carrier_.choked(); }
  void PauseReading() override { carrier_.PauseReading(); }
  void ResumeReading() override { carrier_.ResumeReading(); }
  void CloseAfterWrites() override;
  void Close() override { carrier_.Close(); }
  const std::string& peer() const override { return carrier_.peer(); }

 private:
  TlsSession& session_;
  env::Connection& carrier_;
  const std::weak_ptr<env::Connection> weak_carrier_;
};

// On the connection's I/O thread; the channel is the executor's while a step is under way.
class TlsSession final : public env::Session {
 public:
  TlsSession(TlsServing& serving, const TlsPort& port, const env::SessionFactory& inner,
             env::Connection& carrier)
      : serving_(serving),
        port_(port),
        make_inner_(inner),
        carrier_(carrier),
        began_(serving.clock.Now()) {}
  ~TlsSession() override { LeaveHandshakes(); }

  void OnBytes(std::span<const uint8_t> bytes) override {
    switch (state_) {
      case State::kHello:
      case State::kHandshake: return Gather(bytes);
      case State::kOpen: return Decrypt(bytes);
      case State::kOver: return;
    }
  }
  void OnEndOfInput() override {
    if (state_ == State::kOpen) return InputEnded();
    if (state_ == State::kHandshake) FailHandshake("the client left in the handshake");
    carrier_.Close();
  }
  void OnRoom() override {
    if (inner_ != nullptr) inner_->OnRoom();
  }
  void OnTick(env::MonotonicTime now) override {
    if (state_ == State::kOpen) return inner_->OnTick(now);
    if (state_ == State::kOver || now - began_ <= serving_.limits.handshake_max) return;
    FailHandshake("it took too long");
    carrier_.Close();
  }
  void OnDrain() override {
    if (inner_ != nullptr) return inner_->OnDrain();
    carrier_.Close();
  }
  void OnClosed() override {
    state_ = State::kOver;
    LeaveHandshakes();
    if (inner_ != nullptr) inner_->OnClosed();
  }

  void Write(std::span<const uint8_t> bytes) {
    if (state_ != State::kOpen) return;
    if (channel_->Write(bytes) != Step::kDone) return Break();
    carrier_.Write(channel_->TakeOutput());
  }
  void CloseAfterWrites() {
    if (state_ != State::kOpen) return;
    state_ = State::kOver;
    channel_->End();
    carrier_.Write(channel_->TakeOutput());
    carrier_.CloseAfterWrites();
  }

 private:
  enum class State : uint8_t { kHello, kHandshake, kOpen, kOver };

  // Before and during the handshake.
  void Gather(std::span<const uint8_t> bytes) {
    if (taken_ == 0 && gathered_.empty() && !BeginsTls(bytes)) return AnswerPlain();
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
    if (state_ == State::kHello && !BeginHandshake()) return;
    if (!step_under_way_ && !gathered_.empty()) MakeStep();
  }
  // False: not yet, or never.
  bool BeginHandshake() {
    if (gathered_.size() < kHelloStart) return false;
    const uint64_t size = gathered_[6] << 16U | gathered_[7] << 8U | gathered_[8];
    if (size > serving_.limits.hello_bytes_max) {
      TurnAway("a ClientHello that is too long");
      return false;
    }
    EnterHandshakes();
    auto charge = serving_.budget.TryCharge(base::MemoryAccount::kConnections,
                                            serving_.limits.handshake_charge_bytes);
    if (!charge) {
      TurnAway("the memory budget holds no further handshake");
      return false;
    }
    charge_ = std::move(*charge);
    channel_ = TlsChannel::Accept(serving_.identity.context(), port_.alpn);
    state_ = State::kHandshake;
    return true;
  }
  void MakeStep() {
    step_under_way_ = true;
    taken_ += gathered_.size();
    carrier_.PauseReading();
    serving_.steps.Push([this, channel = channel_, weak = carrier_.weak_from_this(),
                         bytes = std::exchange(gathered_, {})]() mutable {
      if (weak.expired()) return;
      channel->Supply(bytes);
      const Step step = channel->Handshake();
      const std::span<const uint8_t> unread = channel->unread();
      std::vector<uint8_t> rest(unread.begin(), unread.end());
      channel->Supply({});
      // Run drops the task once the connection is closed, and `this` lives as long as that.
      if (const auto carrier = weak.lock())
        carrier->Run([this, step, rest = std::move(rest)] { StepMade(step, rest); });
    });
    serving_.handshakes.Post([&serving = serving_] { serving.steps.MakeNewest(); });
  }
  void StepMade(Step step, const std::vector<uint8_t>& rest) {
    step_under_way_ = false;
    if (state_ != State::kHandshake) return;
    carrier_.Write(channel_->TakeOutput());
    switch (step) {
      case Step::kDone: return Open(rest);
      case Step::kWants:
        // The channel took all that it was given.
        if (taken_ > serving_.limits.handshake_bytes_max)
          return TurnAway("more bytes than a handshake has");
        if (!gathered_.empty()) return MakeStep();
        return carrier_.ResumeReading();
      case Step::kEnded:
      case Step::kFailed:
        FailHandshake(step == Step::kEnded ? "the client ended it"
                                           : channel_->failure().ToString());
        return carrier_.CloseAfterWrites();  // behind the alert
    }
  }
  void Open(const std::vector<uint8_t>& rest) {
    serving_.done.fetch_add(1, std::memory_order_relaxed);
    if (channel_->resumed()) serving_.resumed.fetch_add(1, std::memory_order_relaxed);
    LeaveHandshakes();
    state_ = State::kOpen;
    secured_ = std::make_shared<SecuredConnection>(*this, carrier_);
    inner_ = make_inner_(*secured_);
    if (inner_ == nullptr) return carrier_.Close();
    carrier_.ResumeReading();
    const std::vector<uint8_t> came = std::exchange(gathered_, {});
    Decrypt(rest);
    Decrypt(came);
  }

  void Decrypt(std::span<const uint8_t> bytes) {
    if (state_ != State::kOpen || input_ended_ || bytes.empty()) return;
    channel_->Supply(bytes);
    std::array<uint8_t, kRecordBytesMax> plain;
    while (state_ == State::kOpen) {
      size_t count = 0;
      const Step step = channel_->Read(plain, count);
      if (step == Step::kDone) {
        inner_->OnBytes(std::span(plain).first(count));
        continue;
      }
      if (step == Step::kEnded) InputEnded();
      if (step == Step::kFailed) Break();
      break;
    }
    channel_->Supply({});
    if (state_ != State::kOpen) return;
    // An answer to what is TLS's own, such as a change of keys.
    if (std::string out = channel_->TakeOutput(); !out.empty()) carrier_.Write(std::move(out));
  }
  void InputEnded() {
    if (std::exchange(input_ended_, true)) return;
    inner_->OnEndOfInput();
  }
  // Bytes that are not of this connection: nothing that follows can be believed.
  void Break() {
    if (state_ == State::kOver) return;
    state_ = State::kOver;
    serving_.failed.fetch_add(1, std::memory_order_relaxed);
    carrier_.Write(channel_->TakeOutput());
    carrier_.CloseAfterWrites();
  }

  void AnswerPlain() {
    state_ = State::kOver;
    serving_.plain_clients.fetch_add(1, std::memory_order_relaxed);
    if (const auto others = serving_.plain_notice.Begin(serving_.clock.Now()))
      base::LogWarning("protocols.plain_client_on_tls_port",
                       {{"protocol", port_.protocol},
                        {"peer", carrier_.peer()},
                        {"others", std::to_string(*others)},
                        {"how", "the client must speak TLS: it was told so"}});
    carrier_.Write(port_.plain_answer);
    carrier_.CloseAfterWrites();
  }
  void TurnAway(const char* why) {
    state_ = State::kOver;
    LeaveHandshakes();
    serving_.turned_away.fetch_add(1, std::memory_order_relaxed);
    if (const auto others = serving_.turned_away_notice.Begin(serving_.clock.Now()))
      base::LogWarning("protocols.tls_turned_away", {{"protocol", port_.protocol},
                                                     {"peer", carrier_.peer()},
                                                     {"others", std::to_string(*others)},
                                                     {"reason", why}});
    carrier_.Close();
  }
  void FailHandshake(const std::string& why) {
    state_ = State::kOver;
    LeaveHandshakes();
    serving_.failed.fetch_add(1, std::memory_order_relaxed);
    if (const auto others = serving_.failed_notice.Begin(serving_.clock.Now()))
      base::LogInfo("protocols.tls_handshake_failed", {{"protocol", port_.protocol},
                                                       {"peer", carrier_.peer()},
                                                       {"others", std::to_string(*others)},
                                                       {"reason", why}});
  }
  void EnterHandshakes() {
    // Run drops the task once the connection is closed, and `this` lives as long as that.
    number_ = serving_.under_way.Enter(serving_.limits.handshakes_max,
                                       [this, weak = carrier_.weak_from_this()] {
                                         if (const auto carrier = weak.lock())
                                           carrier->Run([this] {
                                             if (state_ == State::kHandshake)
                                               TurnAway("too many handshakes are under way");
                                           });
                                       });
  }
  void LeaveHandshakes() {
    if (number_ != 0) serving_.under_way.Leave(std::exchange(number_, 0));
    charge_ = base::MemoryCharge();
  }

  TlsServing& serving_;
  const TlsPort& port_;
  const env::SessionFactory& make_inner_;
  env::Connection& carrier_;
  const env::MonotonicTime began_;
  State state_ = State::kHello;
  std::vector<uint8_t> gathered_;  // for the next step of the handshake
  uint64_t taken_ = 0;             // bytes that went into its steps
  uint64_t number_ = 0;            // among serving_.under_way; 0: not there
  bool step_under_way_ = false;
  bool input_ended_ = false;
  base::MemoryCharge charge_;
  std::shared_ptr<TlsChannel> channel_;
  std::shared_ptr<SecuredConnection> secured_;
  std::unique_ptr<env::Session> inner_;  // goes before what it writes to
};

void SecuredConnection::Write(std::string bytes) {
  session_.Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}
void SecuredConnection::CloseAfterWrites() { session_.CloseAfterWrites(); }

}  // namespace

uint64_t HandshakeLine::Enter(size_t most, GiveUp give_up) {
  GiveUp first;
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (line_.size() >= most && most > 0) first = std::move(line_.extract(line_.begin()).mapped());
    number = ++last_;
    line_.emplace(number, std::move(give_up));
  }
  if (first) first();
  return number;
}

void HandshakeLine::Leave(uint64_t number) {
  const std::lock_guard lock(mutex_);
  line_.erase(number);
}

size_t HandshakeLine::size() const {
  const std::lock_guard lock(mutex_);
  return line_.size();
}

void HandshakeSteps::Push(env::Task step) {
  const std::lock_guard lock(mutex_);
  steps_.push_back(std::move(step));
}

void HandshakeSteps::MakeNewest() {
  env::Task step;
  {
    const std::lock_guard lock(mutex_);
    step = std::move(steps_.back());
    steps_.pop_back();
  }
  step();
}

env::SessionFactory OverTls(TlsServing& serving, TlsPort port, env::SessionFactory inner) {
  struct Shared {
    TlsPort port;
    env::SessionFactory inner;
  };
  // Sessions refer to it: the listener keeps its factory for as long as it has sessions.
  auto shared = std::make_shared<const Shared>(std::move(port), std::move(inner));
  return [&serving, shared](env::Connection& carrier) {
    return std::make_unique<TlsSession>(serving, shared->port, shared->inner, carrier);
  };
}

void NoteTlsOnPlainPort(NoticePace& pace, env::Clock& clock, const char* protocol,
                        const std::string& peer) {
  const auto others = pace.Begin(clock.Now());
  if (!others) return;
  base::LogWarning("protocols.tls_client_on_plain_port",
                   {{"protocol", protocol},
                    {"peer", peer},
                    {"others", std::to_string(*others)},
                    {"how",
                     "a client speaks TLS here and none is configured: start with --tls-cert and "
                     "--tls-key, or have the client speak plainly"}});
}

}  // namespace headrace::protocols

#include "hostile/held_network.h"

#include <utility>

namespace headrace::hostile {
namespace {

class HeldListener final : public env::Listener {
 public:
  explicit HeldListener(uint16_t port) : port_(port) {}
  uint16_t port() const override { return port_; }
  size_t connections() const override { return 1; }
  void Drain(std::chrono::milliseconds /*grace*/) override {}

 private:
  const uint16_t port_;
};

class HeldConnection final : public env::Connection {
 public:
  explicit HeldConnection(size_t unsent_bytes_max) : unsent_bytes_max_(unsent_bytes_max) {}

  void Run(env::Task task) override {
    if (!closed) task();
  }
  void Write(std::string bytes) override {
    if (!ended) written += bytes;
  }
  size_t unsent_bytes() const override { return written.size(); }
  bool choked() const override { return written.size() > unsent_bytes_max_; }
  void PauseReading() override { paused = true; }
  void ResumeReading() override { paused = false; }
  void CloseAfterWrites() override { ended = closing = true; }
  void Close() override { ended = closing = true; }
  const std::string& peer() const override { return peer_; }

  std::string written;
  bool paused = false;
  bool ended = false;    // nothing more is written
  bool closing = false;  // the session asked for it
  bool closed = false;   // and was told

 private:
  const size_t unsent_bytes_max_;
  const std::string peer_ = "127.0.0.1:49152";
};

class Peer final : public HeldPeer {
 public:
  Peer(size_t unsent_bytes_max, size_t read_bytes, const env::SessionFactory& factory)
      : connection_(std::make_shared<HeldConnection>(unsent_bytes_max)),
        read_bytes_(read_bytes),
        session_(factory(*connection_)) {}
  ~Peer() override {
    connection_->closing = true;
    NoteClosed();
  }

  void Send(std::string_view bytes) override {
    unread_ += bytes;
    Deliver();
  }
  void EndOutput() override {
    ended_ = true;
    Deliver();
  }
  void Tick(env::MonotonicTime now) override {
    Deliver();
    if (!connection_->closing) session_->OnTick(now);
    Deliver();
  }
  std::string Take() override {
    const bool choked = connection_->choked();
    std::string taken = std::exchange(connection_->written, {});
    if (choked && !connection_->closing) session_->OnRoom();
    Deliver();
    return taken;
  }
  bool closed() const override { return connection_->closing; }
  bool waiting() const override { return !connection_->closing && !unread_.empty(); }

 private:
  void Deliver() {
    while (!connection_->closing && !connection_->paused && !connection_->choked() &&
           !unread_.empty()) {
      // A copy of its own, so that a session that reads past what it was given is caught.
      const std::string piece = unread_.substr(0, read_bytes_);
      unread_.erase(0, piece.size());
      session_->OnBytes({reinterpret_cast<const uint8_t*>(piece.data()), piece.size()});
    }
    if (ended_ && unread_.empty() && !told_end_ && !connection_->closing) {
      told_end_ = true;
      session_->OnEndOfInput();
    }
    NoteClosed();
  }
  void NoteClosed() {
    if (!connection_->closing || connection_->closed) return;
    connection_->closed = true;
    session_->OnClosed();
  }

  std::shared_ptr<HeldConnection> connection_;
  const size_t read_bytes_;
  std::unique_ptr<env::Session> session_;
  std::string unread_;
  bool ended_ = false;
  bool told_end_ = false;
};

}  // namespace

base::Result<std::unique_ptr<env::Listener>> HeldNetwork::Listen(const std::string& /*host*/,
                                                                 uint16_t port,
                                                                 env::ConnectionLimits limits,
                                                                 env::SessionFactory factory) {
  ports_[port] = {std::move(limits), std::move(factory)};
  return std::make_unique<HeldListener>(port);
}

base::Result<std::unique_ptr<env::ClientStream>> HeldNetwork::Connect(
    const std::string& /*host*/, uint16_t /*port*/, std::chrono::milliseconds /*timeout*/) {
  return base::Fail(base::ErrorCode::kUnsupported, "a held network is dialled");
}

std::unique_ptr<HeldPeer> HeldNetwork::Dial(uint16_t port) {
  const auto found = ports_.find(port);
  HR_CHECK(found != ports_.end(), "somebody listens");
  return std::make_unique<Peer>(found->second.limits.unsent_bytes_max,
                                found->second.limits.read_bytes, found->second.factory);
}

}  // namespace headrace::hostile

#pragma once
// Sockets behind an interface: listeners whose connections are byte streams, served on a few I/O
// threads of the network's own. The protocol on top (protocols/http_server.h) is a Session: it sees
// bytes, writes bytes, and knows no socket.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/executor.h"

namespace headrace::env {

// Named limits of a listener; each one closes or pauses, never grows without end.
struct ConnectionLimits {
  // One more gets `refusal` and is closed. The process's open files may allow fewer
  // (RaiseOpenFilesMax).
  size_t connections_max = 16'384;
  std::string refusal;        // bytes for a connection that is one too many; empty: closed at once
  size_t refusals_max = 128;  // connections that are being refused; further ones are closed at once
  // Charged for each open connection, besides what waits to be sent; a connection that the budget
  // can't hold is refused. Nothing is charged without a budget.
  base::MemoryBudget* budget = nullptr;
  uint64_t connection_bytes = 8U << 10;
  size_t unsent_bytes_max =
      1U << 20;                   // beyond it the connection is not read until half of it is sent
  size_t read_bytes = 64U << 10;  // handed to a session at a time
  std::chrono::milliseconds idle_max{300'000};  // neither a byte in nor out: closed
  std::chrono::milliseconds stall_max{30'000};  // unsent bytes and none taken by the peer: closed
  std::chrono::milliseconds linger_max{
      5'000};  // after the last write, input is thrown away this long, so that the peer
               // reads the answer instead of a reset
};

// One peer. Lives until its last reference goes, which may be after it is closed (everything is a
// no-op then). Shared because an answer may come from another thread after the peer has left.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  // From any thread: runs `task` on this connection's I/O thread, at once if this is it. The task
  // is dropped, not run, when the network has stopped.
  virtual void Run(Task task) = 0;

  // The rest on the I/O thread only.
  // Queues bytes; what is queued in one turn leaves in one system call.
  virtual void Write(std::string bytes) = 0;
  virtual size_t unsent_bytes() const = 0;
  // More than unsent_bytes_max waits to be sent: write no more than is under way. OnRoom says when
  // that is over.
  virtual bool choked() const = 0;
  // A session that can take no more stops the bytes at their source; TCP then stops the peer.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  // Sends what is queued, ends the output, throws away input until the peer closes or linger_max.
  virtual void CloseAfterWrites() = 0;
  virtual void Close() = 0;
  // "127.0.0.1:51312".
  virtual const std::string& peer() const = 0;
};

// What a protocol does with one connection. All calls on the connection's I/O thread; destroyed
// with the connection.
class Session {
 public:
  virtual ~Session() = default;
  // New bytes, valid during the call. The session keeps what it has not used.
  virtual void OnBytes(std::span<const uint8_t> bytes) = 0;
  // The peer sends no more (it may still read). The session closes, now or after its last answer.
  virtual void OnEndOfInput() = 0;
  // The connection is no longer choked.
  virtual void OnRoom() {}
  // About once a second: for timeouts of the protocol.
  virtual void OnTick(MonotonicTime now) = 0;
  // The listener drains: answer what is under way, then close.
  virtual void OnDrain() = 0;
  // The connection is gone; nothing written from here on arrives.
  virtual void OnClosed() = 0;
};

// Called on the new connection's I/O thread. Nothing: the connection is closed at once.
using SessionFactory = std::function<std::unique_ptr<Session>(Connection&)>;

// Accepts until it is drained or destroyed. Any thread, but no I/O thread, may drain and destroy
// it.
class Listener {
 public:
  // Closes what is left; when it returns no session of this listener runs any more.
  virtual ~Listener() = default;
  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
  // Stops accepting, lets every session finish (OnDrain), closes what is left after `grace`.
  virtual void Drain(std::chrono::milliseconds grace) = 0;
};

// A connection that the caller drives, for clients: each call blocks, up to its timeout. One thread
// at a time.
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  // Errors: kDeadlineExceeded, kUnavailable (reset, closed).
  virtual base::Result<void> Write(std::span<const uint8_t> bytes,
                                   std::chrono::milliseconds timeout) = 0;
  // At least one byte, or 0 at the end of the stream.
  virtual base::Result<size_t> Read(std::span<uint8_t> out, std::chrono::milliseconds timeout) = 0;
};

// Thread-safe. Outlives its listeners.
class Network {
 public:
  virtual ~Network() = default;
  // Binds `host` ("127.0.0.1", "::1", "localhost") and `port` (0: the system chooses). Errors:
  // kAlreadyExists when the port is in use, kInvalidInput for a host that is no address of this
  // machine, kIoError.
  virtual base::Result<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port,
                                                         ConnectionLimits limits,
                                                         SessionFactory factory) = 0;
  // Errors: kUnavailable (nobody listens), kDeadlineExceeded, kInvalidInput (unknown host).
  virtual base::Result<std::unique_ptr<ClientStream>> Connect(
      const std::string& host, uint16_t port, std::chrono::milliseconds timeout) = 0;
};

// One for every two cores of the machine, at most eight.
inline constexpr size_t kIoThreadsByCores = 0;

// Sockets of this machine with so many threads (one serves well over 15,000 small requests a
// second); connections are dealt to them in turn.
std::unique_ptr<Network> MakeRealNetwork(Clock& clock, size_t io_threads = 1);

// Raises the number of files and sockets that this process may have open to `wanted`, as far as the
// system lets it; what it is then.
uint64_t RaiseOpenFilesMax(uint64_t wanted);

}  // namespace headrace::env

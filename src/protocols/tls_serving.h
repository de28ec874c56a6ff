#pragma once
// TLS in front of a protocol: a session around a session. The protocol's session sees the bytes
// that were in the records, through a Connection of its own, and knows nothing of TLS.
//
// A handshake is a millisecond of arithmetic, so its steps are made on an executor, not on the I/O
// thread: connections that are open go on beside any number of new ones.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "env/clock.h"
#include "env/executor.h"
#include "env/network.h"
#include "protocols/notice_pace.h"
#include "protocols/tls_identity.h"

namespace headrace::protocols {

// Named limits, of all ports together.
struct TlsLimits {
  // At once, counted from the first byte; with one more, the one that began first is closed: an
  // honest client's takes two round trips, one that nobody goes on with waits for handshake_max.
  size_t handshakes_max = 1024;
  std::chrono::seconds handshake_max{10};        // from the connection on, then it is closed
  uint64_t handshake_bytes_max = 64U << 10;      // that it takes without an end, then it is closed
  uint64_t hello_bytes_max = 16U << 10;          // of a ClientHello; a longer one is closed
  uint64_t handshake_charge_bytes = 48U << 10;   // of the memory budget, while it is under way
  uint64_t connection_charge_bytes = 24U << 10;  // beside that of a connection without TLS
};

// The handshakes under way on all ports. Thread-safe.
class HandshakeLine {
 public:
  using GiveUp = std::function<void()>;  // called on any thread

  // A number for Leave. When there are `most`, the one that began first leaves, and is told to give
  // up.
  uint64_t Enter(size_t most, GiveUp give_up);
  // No-op for one that has left.
  void Leave(uint64_t number);
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, GiveUp> line_;
  uint64_t last_ = 0;
};

// Steps of handshakes that wait for the executor; the newest is made first. When more come than can
// be made, each client that is served is served at once, and those that waited in vain already wait
// on. Thread-safe; as many as there are handshakes.
class HandshakeSteps {
 public:
  void Push(env::Task step);
  // For each Push once.
  void MakeNewest();

 private:
  std::mutex mutex_;
  std::vector<env::Task> steps_;
};

// What all ports of an engine share. Outlives their servers.
struct TlsServing {
  const TlsIdentity& identity;
  env::Clock& clock;
  base::MemoryBudget& budget;
  env::Executor& handshakes;  // its tasks do not block on I/O; ends after the servers
  TlsLimits limits = {};
  HandshakeLine under_way = {};
  HandshakeSteps steps = {};
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> resumed{0};
  std::atomic<uint64_t> failed{0};         // broken off, late, or not believed
  std::atomic<uint64_t> turned_away{0};    // over a limit
  std::atomic<uint64_t> plain_clients{0};  // that spoke no TLS
  NoticePace failed_notice;
  NoticePace plain_notice;
  NoticePace turned_away_notice;
};

// How one port's protocol looks from TLS.
struct TlsPort {
  std::string protocol;      // "HTTP", for the log
  std::string alpn;          // "http/1.1"; empty: none
  std::string plain_answer;  // to a client that speaks no TLS; then it is closed
};

// A factory whose sessions decrypt for those of `inner`. `serving` outlives the listener.
env::SessionFactory OverTls(TlsServing& serving, TlsPort port, env::SessionFactory inner);

// Whether these, a connection's first bytes, begin a TLS handshake: no HTTP and no command does.
inline bool BeginsTls(std::span<const uint8_t> bytes) { return !bytes.empty() && bytes[0] == 0x16; }
// Says once a minute that somebody speaks TLS where none is spoken.
void NoteTlsOnPlainPort(NoticePace& pace, env::Clock& clock, const char* protocol,
                        const std::string& peer);

}  // namespace headrace::protocols

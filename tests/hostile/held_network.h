#pragma once
// A network without sockets or time: a server's sessions, spoken to in the caller's thread. What
// they write is kept; what they refuse to read waits.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "env/network.h"

namespace headrace::hostile {

// A connection's far end. Goes before the network, and before the server that listens.
class HeldPeer {
 public:
  virtual ~HeldPeer() = default;
  // The session has them at once, or, while it does not read, as soon as it does.
  virtual void Send(std::string_view bytes) = 0;
  // No more is sent.
  virtual void EndOutput() = 0;
  virtual void Tick(env::MonotonicTime now) = 0;
  // What the session wrote since the last call.
  virtual std::string Take() = 0;
  // The session closed: what it wrote before is there.
  virtual bool closed() const = 0;
  // Bytes wait, as the session does not read.
  virtual bool waiting() const = 0;
};

// One thread only.
class HeldNetwork final : public env::Network {
 public:
  base::Result<std::unique_ptr<env::Listener>> Listen(const std::string& host, uint16_t port,
                                                      env::ConnectionLimits limits,
                                                      env::SessionFactory factory) override;
  // kUnsupported: Dial is the way in.
  base::Result<std::unique_ptr<env::ClientStream>> Connect(
      const std::string& host, uint16_t port, std::chrono::milliseconds timeout) override;
  // Somebody must listen there.
  std::unique_ptr<HeldPeer> Dial(uint16_t port);

 private:
  struct Port {
    env::ConnectionLimits limits;
    env::SessionFactory factory;
  };
  std::map<uint16_t, Port> ports_;
};

}  // namespace headrace::hostile

#pragma once
// A network of one simulated machine: listeners' sessions run on a mailbox of its own, and the
// other ends of their connections are driven by the simulation. Bytes travel in pieces, each after
// a time of its own, in order; a connection may break between any two of them.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "env/network.h"
#include "env/simulated/environment.h"

namespace headrace::env::simulated {

struct NetworkFaults {
  double break_share = 0;  // of pieces, in either direction, with which the connection is lost
  MonotonicTime piece_min = std::chrono::microseconds(20);  // on its way
  MonotonicTime piece_max = std::chrono::milliseconds(3);
};

// The far end of a connection, outside the process.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual void Send(std::string bytes) = 0;
  // Sends no more, and still hears.
  virtual void EndOutput() = 0;
  // Gone without a word.
  virtual void Vanish() = 0;
  virtual bool open() const = 0;
};

// One life's. One thread only, as all of the simulation; outlived by the machine.
class SimulatedNetwork final : public Network {
 public:
  explicit SimulatedNetwork(SimulatedEnvironment& machine, NetworkFaults faults = {});
  ~SimulatedNetwork() override;

  base::Result<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port,
                                                 ConnectionLimits limits,
                                                 SessionFactory factory) override;
  // kUnsupported: nothing here may block.
  base::Result<std::unique_ptr<ClientStream>> Connect(const std::string& host, uint16_t port,
                                                      std::chrono::milliseconds timeout) override;

  // A peer connects. `on_bytes` hears what the session writes, `on_end` once that the connection is
  // gone; neither when the process dies. Null when nobody listens.
  std::unique_ptr<Peer> Dial(uint16_t port, std::function<void(std::string_view)> on_bytes,
                             std::function<void()> on_end);
  uint64_t broken() const;  // connections lost so far

 private:
  class Wire;
  class Port;
  class FarEnd;
  struct State;
  std::unique_ptr<Executor> io_;
  std::shared_ptr<State> state_;
};

}  // namespace headrace::env::simulated

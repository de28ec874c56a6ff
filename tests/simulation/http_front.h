#pragma once
// A core behind its HTTP verbs on a simulated network, and a client that speaks to it in bytes.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "env/simulated/network.h"
#include "protocols/http_router.h"
#include "protocols/http_server.h"
#include "simulation/record.h"
#include "wiring/engine.h"
#include "wiring/log_gate.h"

namespace headrace::simulation {

// As wiring::Engine does it, but for Flight. Of one life; goes before its core.
class HttpFront {
 public:
  HttpFront(env::simulated::SimulatedEnvironment& machine, wiring::Core& core,
            env::simulated::NetworkFaults faults);

  struct Reply {
    int status = 0;
    std::string body;
  };
  // Nothing: the connection broke first, and nobody knows what became of the request.
  using Done = std::function<void(std::optional<Reply>)>;
  // Over one connection, several at a time; dials anew when it broke. `headers` are whole lines.
  void Post(const std::string& path, const std::string& headers, const std::string& body,
            Done done);
  uint64_t broken() const { return network_.broken(); }

 private:
  void Dial();
  void OnBytes(std::string_view bytes);
  void OnEnd();

  env::simulated::SimulatedNetwork network_;
  wiring::LogGate gate_;
  std::unique_ptr<env::Executor> events_;
  protocols::HttpRouter router_;
  std::unique_ptr<protocols::HttpServer> server_;
  std::unique_ptr<env::simulated::Peer> peer_;
  std::string received_;
  std::deque<Done> waiting_;
};

// The rows of a batch, as a producer posts them.
void PostBatch(HttpFront& front, const Batch& batch, const std::string& producer,
               log::AckCallback done);
// A lookup of one card.
void PostQuestion(HttpFront& front, int64_t card, std::function<void(base::Result<Asked>)> done);

}  // namespace headrace::simulation

#pragma once
// A whole engine on a simulated machine, with its HTTP and RESP servers on a held network: what the
// hostile requests and the fuzz targets talk to.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "access/access_list.h"
#include "env/simulated/environment.h"
#include "hostile/held_network.h"
#include "protocols/http_server.h"
#include "protocols/resp_server.h"
#include "wiring/engine.h"
#include "wiring/log_gate.h"

namespace headrace::hostile {

enum class Protocol : uint8_t { kHttp, kResp };

// The definition that it serves, and the rows that it has, for those who start a real one.
struct SmallPipeline {
  static std::string_view Pipeline();
  static std::string_view Contract();  // contracts/payments.yaml
  static std::string_view Rows();      // of the stream payments, NDJSON
};

// Whether the engine asks for tokens; their texts are in small_engine.cc.
enum class Asking : uint8_t { kNobody, kTokens };

// One thread only. The wall clock stands at 2026-07-01 at first.
class SmallEngine {
 public:
  explicit SmallEngine(Asking asking = Asking::kNobody);
  ~SmallEngine();
  SmallEngine(const SmallEngine&) = delete;

  std::unique_ptr<HeldPeer> Dial(Protocol protocol);
  // All that is due is done, syncs and answers of other threads.
  void Settle();
  // Lets simulated time pass, and tells the peer.
  void Wait(HeldPeer& peer, std::chrono::milliseconds time);
  // Runs `talk` as a thread of the engine's process.
  void Run(const std::function<void()>& talk);
  wiring::Core& core() { return *core_; }

 private:
  void Feed();
  void WriteTokens();

  std::unique_ptr<env::simulated::SimulatedEnvironment> machine_;
  std::unique_ptr<access::AccessList> access_;
  HeldNetwork network_;
  std::unique_ptr<wiring::Core> core_;
  std::unique_ptr<wiring::LogGate> gate_;
  std::unique_ptr<env::Executor> events_;
  protocols::HttpRouter router_;
  protocols::RespHandlers commands_;
  std::unique_ptr<protocols::HttpServer> http_;
  std::unique_ptr<protocols::RespServer> resp_;
};

}  // namespace headrace::hostile

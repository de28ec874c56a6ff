// Connections that never get through a TLS handshake, to a port that speaks it.

#include <algorithm>

#include "env/simulated/environment.h"
#include "fuzz/target.h"
#include "hostile/held_network.h"
#include "protocols/tls_fixture.h"
#include "protocols/tls_serving.h"

namespace headrace::fuzz {
namespace {

constexpr uint16_t kPort = 443;

// None of these is ever begun.
std::unique_ptr<env::Session> NoSession(env::Connection& /*connection*/) {
  Promise(false, "no session begins without a handshake");
  return nullptr;
}

class TlsServer {
 public:
  TlsServer() : machine_(1) {
    const protocols::TestCertificate own{{}};
    machine_.StepWall(base::Timestamp{int64_t{time(nullptr)} * 1'000'000} -
                      machine_.clock().Wall());
    Write("cert.pem", own.certificate());
    Write("key.pem", own.key());
    identity_ = std::move(*protocols::TlsIdentity::Open(
        machine_.files(), machine_.clock(),
        {.certificate = "cert.pem", .key = "key.pem", .client_ca = ""}));
    handshakes_ = machine_.NewExecutor("tls", env::Priority::kBackground);
    serving_ = std::make_unique<protocols::TlsServing>(*identity_, machine_.clock(), budget_,
                                                       *handshakes_);
    listener_ =
        *network_.Listen("", kPort, {}, OverTls(*serving_, {"fuzz", "", "TLS\n"}, NoSession));
  }

  void Talk(std::string_view bytes, size_t piece) {
    std::unique_ptr<hostile::HeldPeer> peer;
    Run([&] { peer = network_.Dial(kPort); });
    for (size_t at = 0; at < bytes.size(); at += piece) {
      Run([&] { peer->Send(bytes.substr(at, piece)); });
      machine_.RunUntilIdle();
    }
    machine_.RunFor(serving_->limits.handshake_max + std::chrono::seconds(1));
    Run([&] { peer->Tick(machine_.clock().Now()); });
    machine_.RunUntilIdle();
    Promise(peer->closed(), "a handshake ends, one way or another");
    Run([&] { peer.reset(); });
    machine_.RunUntilIdle();
    Promise(serving_->under_way.size() == 0, "every handshake is counted out");
    Promise(budget_.used_bytes() == 0, "every charge is given back");
  }

 private:
  void Write(const std::string& path, const std::string& text) {
    Promise(env::PutAtomically(machine_.files(), path,
                               {reinterpret_cast<const uint8_t*>(text.data()), text.size()})
                .has_value(),
            "the files are written");
  }
  void Run(const std::function<void()>& talk) { machine_.Run(talk); }

  base::MemoryBudget budget_{64U << 20};
  env::simulated::SimulatedEnvironment machine_;
  hostile::HeldNetwork network_;
  std::unique_ptr<protocols::TlsIdentity> identity_;
  std::unique_ptr<env::Executor> handshakes_;
  std::unique_ptr<protocols::TlsServing> serving_;
  std::unique_ptr<env::Listener> listener_;
};

}  // namespace
}  // namespace headrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static headrace::fuzz::TlsServer server;
  const auto [piece, bytes] = headrace::fuzz::Cut(data, size);
  server.Talk(bytes, std::max<size_t>(1, piece));
  return 0;
}

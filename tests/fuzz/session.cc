#include "fuzz/session.h"

#include <optional>

#include "base/log.h"
#include "fuzz/target.h"
#include "hostile/answers.h"

namespace headrace::fuzz {
namespace {

using hostile::HeldPeer;
using hostile::Protocol;
using hostile::SmallEngine;

constexpr int kTalksOfAnEngine = 5'000;  // then a new one: events that came in stay in its memory
constexpr std::chrono::seconds kLongestWait{62};  // for an epoch, then a little

std::string_view Probe(Protocol protocol) {
  return protocol == Protocol::kHttp ? "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                     : "*1\r\n$4\r\nPING\r\n";
}

std::string Collect(SmallEngine& engine, HeldPeer& peer) {
  std::string bytes;
  for (int i = 0; i < 2; ++i) {
    engine.Settle();
    engine.Run([&] { bytes += peer.Take(); });
  }
  return bytes;
}

// A response to HEAD has no body, whatever its length says: such a talk's answers are not read.
bool AsksForHeads(Protocol protocol, std::string_view bytes) {
  return protocol == Protocol::kHttp && bytes.find("HEAD ") != std::string_view::npos;
}

// Interim answers are told apart from final ones only by their order.
void CheckAnswers(Protocol protocol, std::string_view sent, std::string_view answered) {
  if (AsksForHeads(protocol, sent)) return;
  Promise(ReadAnswers(protocol, answered).has_value(), "every answer is a whole one");
}

void Talk(SmallEngine& engine, Protocol protocol, const Pieces& cut) {
  std::string answered;
  const std::unique_ptr<HeldPeer> peer = engine.Dial(protocol);
  for (size_t at = 0; at < cut.bytes.size(); at += cut.piece) {
    engine.Run([&] { peer->Send(cut.bytes.substr(at, cut.piece)); });
    answered += Collect(engine, *peer);
  }
  engine.Run([&] { peer->EndOutput(); });
  answered += Collect(engine, *peer);
  if (!peer->closed()) {
    engine.Wait(*peer, kLongestWait);
    answered += Collect(engine, *peer);
  }
  Promise(peer->closed(), "a connection that ended is closed");
  CheckAnswers(protocol, cut.bytes, answered);
}

void CheckServes(SmallEngine& engine, Protocol protocol) {
  const std::unique_ptr<HeldPeer> next = engine.Dial(protocol);
  engine.Run([&] { next->Send(Probe(protocol)); });
  const std::string answer = Collect(engine, *next);
  Promise(answer.starts_with(protocol == Protocol::kHttp ? "HTTP/1.1 200 " : "+PONG"),
          "the next client is served");
}

}  // namespace

int TalkToEngine(Protocol protocol, const uint8_t* data, size_t size) {
  static std::optional<SmallEngine> engine;
  static int talks = 0;
  if (talks++ % kTalksOfAnEngine == 0) engine.reset();
  if (!engine) {
    base::SetLogSink([](const base::LogLine&) {});
    engine.emplace();
  }
  Talk(*engine, protocol, Cut(data, size));
  CheckServes(*engine, protocol);
  return 0;
}

}  // namespace headrace::fuzz

#pragma once
// One HTTP connection: bytes in, requests to the router, responses out in the order of the
// requests.

#include <atomic>
#include <deque>
#include <optional>
#include <string>

#include "access/access_list.h"
#include "protocols/http_head.h"
#include "protocols/http_server.h"
#include "protocols/unread_bytes.h"

namespace headrace::protocols {

// What the sessions of a server share. Outlives every open connection.
struct HttpServing {
  env::Clock& clock;
  base::MemoryBudget& budget;
  std::atomic<const HttpRouter*> router;
  HttpServerOptions options;
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> refused{0};
  base::Histogram serve_us;
  NoticePace tls_notice;
};

// On the connection's I/O thread; replies of other threads come through Connection::Run.
class HttpSession final : public env::Session {
 public:
  HttpSession(HttpServing& serving, env::Connection& connection);

  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEndOfInput() override;
  void OnRoom() override { Pump(); }
  void OnTick(env::MonotonicTime now) override;
  void OnDrain() override;
  void OnClosed() override {
    slots_.clear();
    held_.reset();
  }

 private:
  using State = HttpRequestParser::State;

  // A request under way and the place of its answer in the order.
  struct Slot {
    std::optional<HttpResponse> response;
    base::MemoryCharge charge;  // of the response's bytes, until the connection has them
    BodyPart body = BodyPart::kSend;
    AfterResponse after = AfterResponse::kKeepAlive;
    env::MonotonicTime complete_at{0};
  };

  // Parses while there is room, answers what is ready, until neither gets further.
  void Pump();
  bool ParseOne();
  // Who asks, and whether they may at all.
  std::optional<HeadRefusal> CheckHead(const RequestHead& head);
  void DispatchRequest();
  // The request of the newest slot.
  void Begin(HttpRequest request);
  // True when the request that waited for its turn was begun.
  bool BeginHeld();
  void Refuse(const base::Error& error, int status);
  void Answer(uint64_t number, HttpResponse response);
  void SendReady();
  void SendContinue();
  bool Room() const {
    return !input_closed_ && !held_ && slots_.size() < serving_.options.pipelined_max &&
           !connection_.choked();
  }
  const HttpRouter& router() const { return *serving_.router.load(std::memory_order_acquire); }
  std::string_view Date();

  HttpServing& serving_;
  env::Connection& connection_;
  HttpRequestParser parser_;
  std::optional<access::ShownToken> shown_;  // where access is controlled
  access::CallerRef caller_;                 // of the request that is being read
  UnreadBytes unread_;
  std::deque<Slot> slots_;
  uint64_t first_slot_ = 0;  // number of slots_.front()
  size_t unanswered_ = 0;    // requests that were begun
  // Of the newest slot: it begins when all before it are answered, and nothing is read until then.
  std::optional<HttpRequest> held_;
  bool pumping_ = false;
  bool paused_ = false;
  bool input_closed_ = false;  // nothing more is parsed on this connection
  bool continue_wanted_ = false;
  bool draining_ = false;
  env::MonotonicTime head_began_{0};
  env::MonotonicTime last_bytes_{0};
  int64_t date_second_ = -1;
  std::string date_;
};

}  // namespace headrace::protocols

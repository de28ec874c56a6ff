#include "protocols/http_session.h"

#include <utility>

#include "protocols/problem.h"

namespace headrace::protocols {
namespace {

constexpr size_t kLongBody = 16U << 10;  // is not copied behind its head
constexpr size_t kUncharged = 4096;      // smaller answers are covered by the connection's charge

}  // namespace

HttpSession::HttpSession(HttpServing& serving, env::Connection& connection)
    : serving_(serving),
      connection_(connection),
      parser_(
          serving.options.limits, serving.budget,
          [this](const RequestHead& head) { return CheckHead(head); },
          [this](HttpMethod method, std::string_view path, uint64_t declared) {
            return router().BodyBytesMax(method, path, declared);
          }),
      unread_(serving.budget) {}

void HttpSession::OnBytes(std::span<const uint8_t> bytes) {
  if (input_closed_) return;
  if (last_bytes_ == env::MonotonicTime(0) && BeginsTls(bytes))
    NoteTlsOnPlainPort(serving_.tls_notice, serving_.clock, "HTTP", connection_.peer());
  last_bytes_ = serving_.clock.Now();
  unread_.Append(bytes);
  Pump();
}

void HttpSession::Pump() {
  if (pumping_) return;
  pumping_ = true;
  // The peer was not slow while it was not read.
  if (paused_) head_began_ = last_bytes_ = serving_.clock.Now();
  bool further = true;
  while (further) {
    further = false;
    while (Room() && !unread_.empty() && ParseOne()) further = true;
    const uint64_t answered = first_slot_;
    SendReady();
    further = BeginHeld() || further || first_slot_ != answered;
  }
  if (input_closed_) unread_.Clear();
  unread_.Settle();
  const bool full = !Room() && !input_closed_;
  if (full != paused_) {
    paused_ = full;
    full ? connection_.PauseReading() : connection_.ResumeReading();
  }
  pumping_ = false;
}

// True when a request was completed or refused: there may be more.
bool HttpSession::ParseOne() {
  const State before = parser_.state();
  const std::string_view input = unread_.rest();
  unread_.Take(parser_.Feed({reinterpret_cast<const uint8_t*>(input.data()), input.size()}));
  if (before == State::kIdle) head_began_ = last_bytes_;
  switch (parser_.state()) {
    case State::kComplete: DispatchRequest(); return true;
    case State::kFailed: Refuse(parser_.failure(), parser_.failure_status()); return true;
    case State::kBody:
      if (parser_.TakeContinue()) continue_wanted_ = true;
      return false;
    case State::kIdle:
    case State::kHead: return false;
  }
  return false;
}

// Without a token nothing but a head is read: what has a body is refused before it.
std::optional<HeadRefusal> HttpSession::CheckHead(const RequestHead& head) {
  if (auto refusal = CheckBrowser(head.fields, serving_.options.hosts)) return refusal;
  if (serving_.options.access == nullptr) return std::nullopt;
  const HttpField* authorization = nullptr;
  for (const HttpField& field : head.fields) {
    if (field.name != "authorization") continue;
    if (authorization != nullptr) return HeadRefusal{400, "two Authorization fields"};
    authorization = &field;
  }
  if (authorization == nullptr) {
    caller_ = access::Nobody();
    if (head.framing == Framing::kNone) return std::nullopt;
    return HeadRefusal{401, "no token: send Authorization: Bearer TOKEN"};
  }
  const std::string_view token = access::BearerToken(authorization->value);
  if (token.empty()) return HeadRefusal{401, "an Authorization that is not Bearer TOKEN"};
  if (!shown_) shown_.emplace(*serving_.options.access);
  caller_ = shown_->Who(token);
  if (caller_ == nullptr) return HeadRefusal{401, "a token that nobody has, or has any more"};
  return std::nullopt;
}

void HttpSession::DispatchRequest() {
  serving_.requests.fetch_add(1, std::memory_order_relaxed);
  continue_wanted_ = false;
  Slot& slot = slots_.emplace_back();
  slot.complete_at = serving_.clock.Now();
  if (!parser_.keep_alive()) {
    slot.after = AfterResponse::kClose;
    input_closed_ = true;
  }
  HttpRequest request = parser_.Take();
  request.caller = std::move(caller_);
  if (request.method == HttpMethod::kHead) slot.body = BodyPart::kLeaveOut;
  if (unanswered_ > 0 && router().BeginsInTurn(request.method, request.path)) {
    held_ = std::move(request);
    return;
  }
  Begin(std::move(request));
}

bool HttpSession::BeginHeld() {
  if (!held_ || unanswered_ > 0 || connection_.choked()) return false;
  HttpRequest request = std::move(*held_);
  held_.reset();
  Begin(std::move(request));
  return true;
}

void HttpSession::Begin(HttpRequest request) {
  const uint64_t number = first_slot_ + slots_.size() - 1;
  ++unanswered_;
  // Run drops the task once the connection is closed, and `this` lives as long as the connection.
  HttpReply reply([this, number, weak = connection_.weak_from_this()](HttpResponse response) {
    if (const auto connection = weak.lock())
      connection->Run([this, number, response = std::move(response)]() mutable {
        Answer(number, std::move(response));
      });
  });
  router().Dispatch(std::move(request), std::move(reply));
}

void HttpSession::Refuse(const base::Error& error, int status) {
  serving_.refused.fetch_add(1, std::memory_order_relaxed);
  input_closed_ = true;
  Slot& slot = slots_.emplace_back();
  slot.complete_at = serving_.clock.Now();
  slot.after = AfterResponse::kClose;
  if (parser_.asks_for_head()) slot.body = BodyPart::kLeaveOut;
  slot.response = ProblemResponse(error, status);
}

void HttpSession::Answer(uint64_t number, HttpResponse response) {
  if (number < first_slot_ || number - first_slot_ >= slots_.size()) return;
  Slot& slot = slots_[number - first_slot_];
  --unanswered_;
  if (response.body.size() > kUncharged) {
    auto charge =
        serving_.budget.TryCharge(base::MemoryAccount::kReplies, response.body.capacity());
    if (charge) {
      slot.charge = std::move(*charge);
    } else {
      serving_.refused.fetch_add(1, std::memory_order_relaxed);
      response = ProblemResponse(charge.error(), 503);
    }
  }
  slot.response = std::move(response);
  Pump();
}

void HttpSession::SendReady() {
  if (slots_.empty() || !slots_.front().response) return SendContinue();
  std::string out;
  while (!slots_.empty() && slots_.front().response && !connection_.choked()) {
    Slot& slot = slots_.front();
    if (slots_.size() == 1 && draining_) slot.after = AfterResponse::kClose;
    std::string body;
    if (slot.body == BodyPart::kSend && slot.response->body.size() >= kLongBody) {
      AppendHead(*slot.response, Date(), slot.after, out);
      body = std::move(slot.response->body);
    } else {
      AppendResponse(*slot.response, Date(), slot.body, slot.after, out);
    }
    const auto took = serving_.clock.Now() - slot.complete_at;
    serving_.serve_us.Record(static_cast<uint64_t>(std::max<int64_t>(0, took.count() / 1000)));
    const bool close = slot.after == AfterResponse::kClose;
    slots_.pop_front();
    ++first_slot_;
    connection_.Write(std::exchange(out, {}));
    connection_.Write(std::move(body));
    if (!close) continue;
    input_closed_ = true;
    return connection_.CloseAfterWrites();
  }
  SendContinue();
}

void HttpSession::SendContinue() {
  if (!continue_wanted_ || !slots_.empty()) return;
  continue_wanted_ = false;
  connection_.Write("HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpSession::OnEndOfInput() {
  input_closed_ = true;
  if (slots_.empty()) return connection_.CloseAfterWrites();
  slots_.back().after = AfterResponse::kClose;
}

void HttpSession::OnTick(env::MonotonicTime now) {
  if (input_closed_ || paused_) return;
  const bool slow_head =
      parser_.state() == State::kHead && now - head_began_ > serving_.options.header_time_max;
  const bool slow_body =
      parser_.state() == State::kBody && now - last_bytes_ > serving_.options.body_stall_max;
  if (!slow_head && !slow_body) return;
  Refuse({base::ErrorCode::kDeadlineExceeded, "the request came too slowly"}, 408);
  Pump();
}

void HttpSession::OnDrain() {
  draining_ = true;
  if (slots_.empty() && parser_.state() == State::kIdle) connection_.CloseAfterWrites();
}

std::string_view HttpSession::Date() {
  const int64_t now_us = serving_.clock.Wall().us;
  if (now_us / 1'000'000 != date_second_) {
    date_second_ = now_us / 1'000'000;
    date_ = HttpDate(now_us);
  }
  return date_;
}

}  // namespace headrace::protocols

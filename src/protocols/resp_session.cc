#include "protocols/resp_session.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace headrace::protocols {
namespace {

constexpr size_t kWriteBytes = 64U << 10;        // answers gathered before they are written
constexpr std::chrono::seconds kStallMax{30};    // without a byte inside a command
constexpr std::chrono::seconds kCommandMax{60};  // from a command's first byte to its last

}  // namespace

RespReply::~RespReply() {
  if (!sink_) return;
  Send([](RespWriter& out) { out.Error("ERR", "the command was dropped without an answer"); });
}

void RespReply::Send(Write write) {
  HR_CHECK(sink_ != nullptr, "a command is answered once");
  Sink sink = std::exchange(sink_, Sink());
  sink(std::move(write));
}

class RespSession::Call final : public RespCall {
 public:
  // `bytes`: the command as it was read. `slot`: its number, of an overlapping command.
  Call(RespSession& session, std::span<const std::string_view> arguments, std::string_view bytes,
       RespWriter& out, std::optional<uint64_t> slot)
      : RespCall(arguments, out), session_(session), bytes_(bytes), slot_(slot) {}

  RespReply Later() override {
    later_ = true;
    if (!slot_) session_.state_ = State::kWaiting;
    // Run drops the task once the connection is closed, and the session lives as long as that.
    return RespReply([session = &session_, slot = slot_,
                      weak = session_.connection_.weak_from_this()](RespReply::Write write) {
      if (const auto connection = weak.lock())
        connection->Run([session, slot, write = std::move(write)]() mutable {
          session->Answer(slot, std::move(write));
        });
    });
  }
  void CloseAfter() override { session_.CloseAfterAnswers(); }
  base::Result<void> Keep() override { return session_.Keep(bytes_); }
  size_t kept() const override { return session_.kept_count_; }
  void DropKept() override { session_.DropKept(); }
  void RunKept() override { session_.run_kept_ = true; }
  bool later() const { return later_; }

 private:
  RespSession& session_;
  const std::string_view bytes_;
  const std::optional<uint64_t> slot_;
  bool later_ = false;
};

RespSession::RespSession(RespServing& serving, env::Connection& connection)
    : serving_(serving),
      connection_(connection),
      number_(serving.connections_made.fetch_add(1, std::memory_order_relaxed) + 1),
      authenticated_(serving.options.authentication == Authentication::kNone),
      began_(serving.clock.Now()),
      parser_(authenticated_ ? serving.options.limits : serving.options.limits_before),
      unread_(serving.budget),
      kept_(serving.budget, sizeof(std::string)) {}

void RespSession::NoteAuthenticated(bool authenticated) {
  if (authenticated == authenticated_) return;
  authenticated_ = authenticated;
  parser_.UseLimits(authenticated ? serving_.options.limits : serving_.options.limits_before);
}

// Who showed a token did so to the handlers before, which therefore stay.
bool RespSession::MustConnectAnew() const {
  return serving_.options.authentication == Authentication::kFirst && made_by_ != nullptr &&
         made_by_ != serving_.handlers.load(std::memory_order_acquire);
}

RespHandler& RespSession::handler() {
  const RespHandlers* now = serving_.handlers.load(std::memory_order_acquire);
  const bool stays = serving_.options.authentication == Authentication::kFirst;
  if (handler_ == nullptr || (now != made_by_ && !stays)) {
    handler_ = (*now)(number_);
    made_by_ = now;
  }
  return *handler_;
}

void RespSession::OnBytes(std::span<const uint8_t> bytes) {
  if (state_ == State::kClosing || state_ == State::kClosed) return;
  if (last_bytes_ == env::MonotonicTime(0) && BeginsTls(bytes))
    NoteTlsOnPlainPort(serving_.tls_notice, serving_.clock, "RESP", connection_.peer());
  last_bytes_ = serving_.clock.Now();
  if (unread_.empty()) command_began_ = last_bytes_;
  unread_.Append(bytes);
  Pump();
}

bool RespSession::ParseAhead(RespAhead& ahead) {
  while (!ahead.full()) {
    const auto outcome = parser_.Parse(unread_.rest().substr(ahead.bytes()));
    if (outcome == RespParser::Outcome::kIncomplete) break;
    if (outcome == RespParser::Outcome::kFailed) {
      if (ahead.empty()) {
        serving_.refused.fetch_add(1, std::memory_order_relaxed);
        Refuse("ERR", parser_.failure());
      } else {
        parser_.Next();  // and fails again when those before it were run
      }
      break;
    }
    if (parser_.arguments().empty()) {
      ahead.empty() ? TakeParsed(parser_.size()) : ahead.AddBytes(parser_.size());
      parser_.Next();
      continue;
    }
    ahead.Add(parser_.arguments(), parser_.size());
    // What the next one may be is decided by this one, or it has no bytes to refer to.
    const bool alone = !authenticated_ || !parser_.borrows();
    parser_.Next();
    if (alone) break;
  }
  return !ahead.empty();
}

bool RespSession::RunOne(RespAhead& ahead) {
  const bool first = ahead.empty();
  if (first && !ParseAhead(ahead)) return false;
  if (MustConnectAnew()) {
    Refuse("LOADING", "the start is over: connect anew");
    return false;
  }
  if (first) handler().Expect(ahead.commands());
  if (!Run(ahead.arguments(), unread_.rest().substr(0, ahead.size()))) {
    held_ = true;  // and is parsed again
    return false;
  }
  if (serving_.options.authentication == Authentication::kFirst)
    NoteAuthenticated(handler_->authenticated());
  TakeParsed(ahead.Take());
  if (std::exchange(run_kept_, false)) {
    parser_.Next();  // what came since is parsed again, behind those that were kept
    ahead = {};
    unread_.PutBack(kept_.rest());
    DropKept();
  }
  return true;
}

base::Result<void> RespSession::Keep(std::string_view bytes) {
  if (kept_count_ >= serving_.options.kept_max ||
      kept_.rest().size() + bytes.size() > serving_.options.kept_bytes_max)
    return base::Fail(base::ErrorCode::kInvalidInput,
                      fmt::format("more than {} commands, or {} bytes of them",
                                  serving_.options.kept_max, serving_.options.kept_bytes_max));
  kept_.Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  auto charged = kept_.TrySettle(0);
  charged ? void(++kept_count_) : DropKept();
  return charged;
}

void RespSession::DropKept() {
  kept_.Clear();
  kept_.Settle();
  kept_count_ = 0;
}

void RespSession::TakeParsed(size_t bytes) {
  unread_.Take(bytes);
  command_began_ = last_bytes_;  // or before, which is in its favour
}

void RespSession::KeepUnfinished() {
  const auto kept = unread_.TrySettle(parser_.kept_bytes());
  if (kept) return;
  serving_.refused.fetch_add(1, std::memory_order_relaxed);
  Refuse("TRYAGAIN", fmt::format("{}: connect anew, and send it again", kept.error().message()));
}

// Behind the answers that are still to come; then the connection closes.
void RespSession::Refuse(std::string_view code, std::string_view message) {
  if (!slots_.empty()) slots_.push_back({.bytes = {}, .ready = true});
  RespWriter(version_, slots_.empty() ? out_ : slots_.back().bytes).Error(code, message);
  CloseAfterAnswers();
}

bool RespSession::Run(Arguments arguments, std::string_view bytes) {
  const bool overlaps = handler().MayOverlap(arguments);
  if (overlaps ? slots_.size() >= serving_.options.overlapping_max : !slots_.empty()) return false;
  serving_.commands.fetch_add(1, std::memory_order_relaxed);
  if (!overlaps) {
    RespWriter writer(version_, out_);
    Call call(*this, arguments, bytes, writer, std::nullopt);
    handler().Run(call);
    version_ = writer.version();
    return true;
  }
  const uint64_t number = first_slot_ + slots_.size();
  slots_.emplace_back();
  std::string answer;  // the slot may be answered, and gone, before Run returns
  RespWriter writer(version_, answer);
  Call call(*this, arguments, bytes, writer, number);
  handler().Run(call);
  if (call.later()) return true;
  slots_.back() = {std::move(answer), true};
  TakeReady();
  return true;
}

void RespSession::TakeReady() {
  for (; !slots_.empty() && slots_.front().ready; ++first_slot_) {
    out_ += slots_.front().bytes;
    slots_.pop_front();
  }
}

void RespSession::Pump() {
  if (pumping_) return;  // an answer that came while its command was still being run
  pumping_ = true;
  // The peer was not slow while it was not read.
  if (paused_) command_began_ = last_bytes_ = serving_.clock.Now();
  held_ = false;
  RespAhead ahead;
  while (state_ == State::kReading && !connection_.choked() && !unread_.empty() && RunOne(ahead))
    if (out_.size() >= kWriteBytes) Flush();
  if (!ahead.empty()) parser_.Next();  // they are parsed again, and what came behind them
  if (!parser_.begun()) parser_.GiveBack();
  if (state_ == State::kReading && !connection_.choked() && parser_.begun()) KeepUnfinished();
  Flush();
  pumping_ = false;
  if (state_ == State::kReading && ended_ && !held_ && !connection_.choked()) CloseAfterAnswers();
  if (state_ == State::kClosing) {
    unread_.Clear();
    parser_.Next();
    parser_.GiveBack();
  }
  if (state_ == State::kClosing && slots_.empty()) {
    state_ = State::kClosed;
    connection_.CloseAfterWrites();
  }
  unread_.Settle(parser_.kept_bytes());
  const bool full =
      state_ == State::kWaiting || held_ || (state_ == State::kReading && connection_.choked());
  if (full != paused_) {
    paused_ = full;
    full ? connection_.PauseReading() : connection_.ResumeReading();
  }
}

void RespSession::Flush() {
  if (!out_.empty()) connection_.Write(std::exchange(out_, {}));
}

void RespSession::Answer(std::optional<uint64_t> slot, RespReply::Write write) {
  if (state_ == State::kClosed) return;
  Slot* const place = slot ? &slots_[*slot - first_slot_] : nullptr;
  RespWriter writer(version_, place != nullptr ? place->bytes : out_);
  write(writer);
  if (place != nullptr) {
    place->ready = true;
    TakeReady();
  } else if (state_ == State::kWaiting) {
    state_ = State::kReading;
  }
  Pump();
}

void RespSession::OnEndOfInput() {
  ended_ = true;
  Pump();
}

void RespSession::OnTick(env::MonotonicTime now) {
  if (state_ != State::kReading) return;
  const bool stalled = !paused_ && parser_.begun() &&
                       (now - last_bytes_ > kStallMax || now - command_began_ > kCommandMax);
  const bool unknown = !authenticated_ && now - began_ > serving_.options.authentication_max;
  if (!stalled && !unknown) return;
  serving_.refused.fetch_add(1, std::memory_order_relaxed);
  Refuse("ERR", unknown ? "no token came in time" : "the command came too slowly");
  Pump();
}

void RespSession::OnDrain() {
  ended_ = true;
  Pump();
}

}  // namespace headrace::protocols

#pragma once
// One connection of the Redis protocol: bytes in, commands to the handler, answers out in the order
// of the commands.

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "protocols/resp_ahead.h"
#include "protocols/resp_server.h"
#include "protocols/unread_bytes.h"

namespace headrace::protocols {

// What the sessions of a server share. Outlives every open connection.
struct RespServing {
  env::Clock& clock;
  base::MemoryBudget& budget;
  std::atomic<const RespHandlers*> handlers;
  RespServerOptions options;
  std::atomic<uint64_t> connections_made{0};
  std::atomic<uint64_t> commands{0};
  std::atomic<uint64_t> refused{0};
  NoticePace tls_notice;
};

// On the connection's I/O thread; later answers of other threads come through Connection::Run.
// Commands are run one after the other as they are read, and the answers of one read leave in one
// write. A connection whose answers nobody reads is not read until there is room; one that waits
// for an answer is not read either, unless what it has under way are overlapping commands
// (RespHandler::MayOverlap), fewer than overlapping_max of them.
class RespSession final : public env::Session {
 public:
  RespSession(RespServing& serving, env::Connection& connection);

  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEndOfInput() override;
  void OnRoom() override { Pump(); }
  void OnTick(env::MonotonicTime now) override;
  void OnDrain() override;
  void OnClosed() override { state_ = State::kClosed; }

 private:
  enum class State : uint8_t {
    kReading,
    kWaiting,  // for the answer of the last command
    kClosing,  // behind the answers that are there
    kClosed,
  };
  class Call;
  using Arguments = std::span<const std::string_view>;

  // Runs commands while there are whole ones and room for their answers.
  void Pump();
  // Parses the next whole commands. False when there is none.
  bool ParseAhead(RespAhead& ahead);
  // Runs the first of them. False when nothing more can be run now.
  bool RunOne(RespAhead& ahead);
  // False: it waits for those that overlap. `bytes`: the command as it was read.
  bool Run(Arguments arguments, std::string_view bytes);
  base::Result<void> Keep(std::string_view bytes);
  void DropKept();
  void Refuse(std::string_view code, std::string_view message);
  void TakeParsed(size_t bytes);
  // Charges the beginning of a command, of which more is to be read; refuses it when the memory
  // budget has no room for it.
  void KeepUnfinished();
  // `slot`: the number of an overlapping command; nothing for the one that is waited for.
  void Answer(std::optional<uint64_t> slot, RespReply::Write write);
  // Answers that are there go out as far as none before them is missing.
  void TakeReady();
  void Flush();
  void CloseAfterAnswers() {
    if (state_ != State::kClosed) state_ = State::kClosing;
  }
  RespHandler& handler();
  bool MustConnectAnew() const;
  void NoteAuthenticated(bool authenticated);

  RespServing& serving_;
  env::Connection& connection_;
  const uint64_t number_;
  bool authenticated_;
  const env::MonotonicTime began_;
  RespParser parser_;
  RespVersion version_ = RespVersion::k2;
  const RespHandlers* made_by_ = nullptr;
  std::unique_ptr<RespHandler> handler_;
  UnreadBytes unread_;  // of no command that was run
  UnreadBytes kept_;    // commands, as they were read (RespCall::Keep)
  size_t kept_count_ = 0;
  bool run_kept_ = false;  // next
  std::string out_;        // answers that are not written yet; none between two calls
  // Of overlapping commands; a later one may be answered before an earlier one.
  struct Slot {
    std::string bytes;
    bool ready = false;
  };
  std::deque<Slot> slots_;
  uint64_t first_slot_ = 0;  // number of slots_.front()
  bool held_ = false;        // a command waits until slots_ is empty, or has room
  State state_ = State::kReading;
  bool pumping_ = false;
  bool paused_ = false;
  bool ended_ = false;  // the peer sends no more
  env::MonotonicTime last_bytes_{0};
  env::MonotonicTime command_began_{0};  // the first one that was not run
};

}  // namespace headrace::protocols

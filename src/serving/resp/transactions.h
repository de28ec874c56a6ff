#pragma once
// MULTI, EXEC and DISCARD: commands that are kept, then run one behind the other.

#include "protocols/resp_server.h"
#include "serving/resp/commands.h"

namespace headrace::serving {

// Of one connection; on its I/O thread. As in Redis, but for one thing: between two commands of an
// EXEC the newest epoch may be another one.
class Transactions {
 public:
  // Answers when the command is one of these, or is kept. Names, counts of arguments and the caller
  // were looked at.
  bool Take(const RespCommandRow& command, protocols::RespCall& call);
  // A command was refused before it could be taken: nothing will be run, and with EXEC or DISCARD
  // it is over. `command`: null when there is none of its name and count of arguments.
  void NoteRefused(const RespCommandRow* command, protocols::RespCall& call);

 private:
  enum class State : uint8_t {
    kNone,
    kKeeping,
    kRefused,  // nothing will be run
  };
  void Keep(protocols::RespCall& call);
  void Exec(protocols::RespCall& call);
  void End(protocols::RespCall& call);

  State state_ = State::kNone;
};

}  // namespace headrace::serving

#include "serving/resp/transactions.h"

#include <fmt/format.h>

#include "serving/resp/service_answer.h"

namespace headrace::serving {

using protocols::RespCall;

bool Transactions::Take(const RespCommandRow& command, RespCall& call) {
  const bool begun = state_ != State::kNone;
  if (command.name == "multi") {
    if (begun) {
      call.out().Error("ERR", "MULTI calls can not be nested");
    } else {
      state_ = State::kKeeping;
      call.out().Ok();
    }
    return true;
  }
  if (command.name == "exec") {
    begun ? Exec(call) : call.out().Error("ERR", "EXEC without MULTI");
    return true;
  }
  if (command.name == "discard") {
    if (!begun) {
      call.out().Error("ERR", "DISCARD without MULTI");
    } else {
      End(call);
      call.out().Ok();
    }
    return true;
  }
  if (!begun) return false;
  if (command.name == "reset" || command.name == "quit") {
    End(call);
    return false;
  }
  Keep(call);
  return true;
}

void Transactions::NoteRefused(const RespCommandRow* command, RespCall& call) {
  if (state_ == State::kNone) return;
  call.DropKept();
  const bool ends = command != nullptr && (command->name == "exec" || command->name == "discard");
  state_ = ends ? State::kNone : State::kRefused;
}

void Transactions::Keep(RespCall& call) {
  if (state_ == State::kRefused) return call.out().Simple("QUEUED");
  const auto kept = call.Keep();
  if (kept) return call.out().Simple("QUEUED");
  state_ = State::kRefused;
  call.DropKept();
  const base::Error error(kept.error().code(),
                          fmt::format("{}: nothing of this MULTI is run", kept.error().message()));
  WriteAnswerError(error, call.out());
}

void Transactions::Exec(RespCall& call) {
  if (state_ == State::kRefused) {
    End(call);
    return call.out().Error("EXECABORT", "Transaction discarded because of previous errors.");
  }
  state_ = State::kNone;
  call.out().Array(call.kept());
  call.RunKept();
}

void Transactions::End(RespCall& call) {
  state_ = State::kNone;
  call.DropKept();
}

}  // namespace headrace::serving

#pragma once
// The commands by which events come in: FEATURES.PUSH, FEATURES.PUSHGET, FEATURES.PUSHED.

#include <span>
#include <string_view>

#include "protocols/resp_server.h"
#include "serving/resp/commands.h"

namespace headrace::serving {

// Whether a command, by its name in any case, is one of these: they may overlap on a connection, so
// that events that come together are made durable together.
bool IsPush(std::string_view name);

// Of one connection; on its I/O thread.
class PushCommands {
 public:
  explicit PushCommands(const RespVerbs& verbs) : verbs_(verbs) {}
  // Answers, or will, when the command is one of these. Names and counts of arguments were looked
  // at.
  // `caller`: null: everybody may.
  bool Run(const RespCommandRow& command, const access::CallerRef& caller,
           protocols::RespCall& call);

 private:
  void Push(const access::CallerRef& caller, protocols::RespCall& call);
  void PushGet(const access::CallerRef& caller, protocols::RespCall& call);
  void Pushed(protocols::RespCall& call);

  const RespVerbs& verbs_;
};

}  // namespace headrace::serving

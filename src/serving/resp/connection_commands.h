#pragma once
// The commands that are about the connection or the server, and the looking up of names.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/resp/commands.h"

namespace headrace::serving {

// `name` is in small letters.
bool SameWord(std::string_view given, std::string_view name);
// The row of a command's name in any case; null when there is none.
const RespCommandRow* CommandNamed(std::string_view name);

// Of one connection.
class ConnectionCommands {
 public:
  ConnectionCommands(uint64_t connection, const RespVerbs& verbs)
      : connection_(connection), verbs_(verbs) {
    if (verbs.access != nullptr) shown_.emplace(*verbs.access);
  }
  // Whose token was shown, as of now; null: nobody's, or access is not controlled.
  access::CallerRef caller() { return shown_ ? shown_->Who() : nullptr; }
  // Where access is controlled: a known caller that may read, one that asks what any may, or a
  // command to become one. False, and answered, otherwise.
  bool Admit(const RespCommandRow& command, protocols::RespCall& call);
  // Answers when the command is one of these. Names and counts of arguments were looked at.
  bool Run(const RespCommandRow& command, protocols::RespCall& call);

 private:
  // True when it is somebody's by this name, or by none.
  bool Authenticate(std::string_view name, std::string_view token, protocols::RespWriter& out);
  void Auth(protocols::RespCall& call);
  void Ping(protocols::RespCall& call);
  void Hello(protocols::RespCall& call);
  void Client(protocols::RespCall& call);
  void Command(protocols::RespCall& call);
  void Config(protocols::RespCall& call);
  void Info(protocols::RespCall& call);
  bool SetName(std::string_view name, protocols::RespWriter& out);

  const uint64_t connection_;
  const RespVerbs& verbs_;
  std::optional<access::ShownToken> shown_;
  std::string name_;
};

// False, and answered, when there is no such command or its arguments are too few or too many.
const RespCommandRow* CheckCommand(protocols::RespCall& call);

}  // namespace headrace::serving

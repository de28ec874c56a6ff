#pragma once
// The commands of the Redis protocol: a view's keys read as hashes, features as strings, services
// by commands of our own. docs/reference/resp.md is generated from the table.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "access/access_list.h"
#include "ingest/typing_queue.h"
#include "protocols/resp_server.h"
#include "serving/answer.h"
#include "serving/push/push.h"

namespace headrace::serving {

class PastQuestions;

// What INFO and HELLO say.
struct ServerFigures {
  std::string version;  // of this program
  uint16_t port = 0;
  uint64_t uptime_s = 0;
  uint64_t connections = 0;
  uint64_t commands = 0;
  uint64_t memory_bytes = 0;
  uint64_t memory_bytes_max = 0;
  std::string log;     // its id
  uint64_t epoch = 0;  // visible
};

// What the commands need. References outlive the handlers.
struct RespVerbs {
  AnswerService* answers = nullptr;
  std::function<ServerFigures()> info;
  const access::AccessList* access = nullptr;  // null: everybody may read everything
  // Null: events are not taken in (tests of what is read).
  ingest::StreamGate* gate = nullptr;
  PushService* pushes = nullptr;
  base::MemoryBudget* budget = nullptr;
  std::shared_ptr<ingest::TypingQueue> typing = {};
  std::shared_ptr<PastQuestions> past = {};  // null: the past is not asked of
};

// A handler for each connection.
protocols::RespHandlers RespCommandHandlers(RespVerbs verbs);

// For a start that is not over: commands about the connection are answered, all others told why not
// yet.
protocols::RespHandlers RespStartingHandlers(RespVerbs verbs, std::function<std::string()> why);

// A row of the table of commands.
struct RespCommandRow {
  std::string_view name;    // in small letters
  int arity;                // arguments with the name; negative: at least so many
  std::string_view flags;   // as COMMAND tells them, blanks between
  int first_key;            // 0: none
  int last_key;             // -1: the last argument
  std::string_view syntax;  // what follows the name
  std::string_view summary;
};
std::span<const RespCommandRow> RespCommandTable();

// docs/reference/resp.md.
std::string RespReference();

}  // namespace headrace::serving

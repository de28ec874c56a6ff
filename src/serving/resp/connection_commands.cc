#include "serving/resp/connection_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "serving/resp/push_commands.h"

namespace headrace::serving {
namespace {

using protocols::RespCall;
using protocols::RespVersion;
using protocols::RespWriter;

constexpr std::string_view kNoTokens =
    "this server asks for no token (serve --tokens): connect without AUTH";
// Clients of Redis look for each of these; what is not counted here is 0.
constexpr std::string_view kClientInfo =
    "id={} name={} age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 "
    "argv-mem=0 multi-mem=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|info user=default "
    "resp={}";
// Commands of Redis that write: worth a better answer than that they are unknown.
constexpr std::array<std::string_view, 24> kWriting = {
    "set",    "setex", "setnx",  "mset", "getset",  "append",  "del",      "unlink",
    "hset",   "hmset", "hsetnx", "hdel", "hincrby", "incr",    "incrby",   "decr",
    "expire", "lpush", "rpush",  "sadd", "zadd",    "flushdb", "flushall", "xadd"};

// Lines of an HTTP request, as a page in a browser can send one to any port: what follows may be a
// body full of commands, so the connection ends there, as Redis ends it.
constexpr std::array<std::string_view, 2> kOfBrowsers = {"post", "host:"};

// What clients send before anything else: whoever is known may.
constexpr std::array<std::string_view, 9> kOfTheConnection = {
    "ping", "echo", "select", "client", "command", "config", "multi", "exec", "discard"};

char Small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string SmallName(std::string_view name) {
  std::string small(name);
  std::transform(small.begin(), small.end(), small.begin(), Small);
  return small;
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// As COMMAND INFO tells a command.
void AppendInfo(const RespCommandRow& row, RespWriter& out) {
  constexpr int kOfRedis7 = 4;  // ACL categories, tips, key specifications, subcommands: none
  out.Array(6 + kOfRedis7);
  out.Bulk(row.name);
  out.Integer(row.arity);
  const std::vector<std::string_view> flags = Words(row.flags);
  out.Array(flags.size());
  for (const std::string_view flag : flags) out.Simple(flag);
  out.Integer(row.first_key);
  out.Integer(row.last_key);
  out.Integer(row.first_key == 0 ? 0 : 1);
  for (int i = 0; i < kOfRedis7; ++i) out.Array(0);
}

void AppendDocs(const RespCommandRow& row, RespWriter& out) {
  out.Bulk(row.name);
  out.Map(3);
  out.Bulk("summary");
  out.Bulk(row.summary);
  out.Bulk("since");
  out.Bulk("0.1.0");
  out.Bulk("group");
  out.Bulk(row.first_key > 0 ? "hash" : row.name.starts_with("features") ? "features" : "server");
}

// The rows that are named behind `from`, null for an unknown name; all when none is.
std::vector<const RespCommandRow*> Chosen(const RespCall& call, size_t from) {
  std::vector<const RespCommandRow*> rows;
  for (const std::string_view name : call.arguments().subspan(from))
    rows.push_back(CommandNamed(name));
  if (call.arguments().size() == from)
    for (const RespCommandRow& row : RespCommandTable()) rows.push_back(&row);
  return rows;
}

}  // namespace

bool SameWord(std::string_view given, std::string_view name) {
  return given.size() == name.size() && std::equal(given.begin(), given.end(), name.begin(),
                                                   [](char a, char b) { return Small(a) == b; });
}

const RespCommandRow* CommandNamed(std::string_view name) {
  static const std::unordered_map<std::string_view, const RespCommandRow*> kRows = [] {
    std::unordered_map<std::string_view, const RespCommandRow*> by_name;
    for (const RespCommandRow& row : RespCommandTable()) by_name.emplace(row.name, &row);
    return by_name;
  }();
  std::array<char, 32> small{};
  if (name.size() > small.size()) return nullptr;
  std::transform(name.begin(), name.end(), small.begin(), Small);
  const auto found = kRows.find({small.data(), name.size()});
  return found == kRows.end() ? nullptr : found->second;
}

const RespCommandRow* CheckCommand(RespCall& call) {
  const std::string_view name = call.arguments()[0];
  const RespCommandRow* row = CommandNamed(name);
  if (row == nullptr) {
    const std::string small = SmallName(name.substr(0, 64));
    if (std::find(kOfBrowsers.begin(), kOfBrowsers.end(), small) != kOfBrowsers.end()) {
      call.out().Error("ERR", "this port speaks the Redis protocol, not HTTP");
      call.CloseAfter();
    } else if (std::find(kWriting.begin(), kWriting.end(), small) != kWriting.end()) {
      call.out().Error("READONLY",
                       "features are computed from events: FEATURES.PUSH takes them in");
    } else {
      call.out().Error("ERR", fmt::format("unknown command '{}': COMMAND lists those that there "
                                          "are",
                                          name.substr(0, 64)));
    }
    return nullptr;
  }
  const auto count = static_cast<int>(call.arguments().size());
  if (row->arity >= 0 ? count == row->arity : count >= -row->arity) return row;
  call.out().Error("ERR", fmt::format("wrong number of arguments for '{}' command: it is {} {}",
                                      row->name, row->name, row->syntax));
  return nullptr;
}

bool ConnectionCommands::Run(const RespCommandRow& command, RespCall& call) {
  const auto arguments = call.arguments();
  RespWriter& out = call.out();
  const std::string_view name = command.name;
  if (name == "ping") {
    Ping(call);
  } else if (name == "echo") {
    out.Bulk(arguments[1]);
  } else if (name == "hello") {
    Hello(call);
  } else if (name == "auth") {
    Auth(call);
  } else if (name == "select") {
    if (arguments[1] == "0")
      out.Ok();
    else
      out.Error("ERR", "DB index is out of range: there is database 0 only");
  } else if (name == "client") {
    Client(call);
  } else if (name == "command") {
    Command(call);
  } else if (name == "config") {
    Config(call);
  } else if (name == "info") {
    Info(call);
  } else if (name == "reset") {
    out.UseVersion(RespVersion::k2);
    name_.clear();
    if (shown_) shown_->Who({});
    out.Simple("RESET");
  } else if (name == "quit") {
    out.Ok();
    call.CloseAfter();
  } else {
    return false;
  }
  return true;
}

bool ConnectionCommands::Admit(const RespCommandRow& command, RespCall& call) {
  if (!shown_) return true;
  const access::CallerRef& who = shown_->Who();
  const std::string_view name = command.name;
  if (name == "auth" || name == "hello" || name == "quit" || name == "reset") return true;
  if (who == nullptr) {
    call.out().Error("NOAUTH", "Authentication required: AUTH token");
    return false;
  }
  const auto is = [&](std::string_view own) { return name == own; };
  if (std::ranges::any_of(kOfTheConnection, is)) return true;
  // Which stream they may push to is looked at by the commands themselves.
  if (IsPush(name) || who->scope.AllowsSome(access::Verb::kRead)) return true;
  if (name == "info" && who->scope.AllowsSome(access::Verb::kWatch)) return true;
  call.out().Error("NOPERM", "the scopes of this token do not allow to read");
  return false;
}

bool ConnectionCommands::Authenticate(std::string_view name, std::string_view token,
                                      RespWriter& out) {
  if (!shown_) {
    out.Error("NOPERM", kNoTokens);
    return false;
  }
  const access::CallerRef& who = shown_->Who(token);
  if (who != nullptr && (name.empty() || name == "default" || name == who->name)) return true;
  shown_->Who({});
  out.Error("WRONGPASS", "a token that nobody has by this name, or has any more");
  return false;
}

void ConnectionCommands::Auth(RespCall& call) {
  const auto arguments = call.arguments();
  if (arguments.size() > 3) return call.out().Error("ERR", "syntax error: auth [name] token");
  const std::string_view name = arguments.size() == 3 ? arguments[1] : std::string_view();
  if (Authenticate(name, arguments.back(), call.out())) call.out().Ok();
}

void ConnectionCommands::Ping(RespCall& call) {
  if (call.arguments().size() == 1) return call.out().Simple("PONG");
  if (call.arguments().size() == 2) return call.out().Bulk(call.arguments()[1]);
  call.out().Error("ERR", "wrong number of arguments for 'ping' command");
}

bool ConnectionCommands::SetName(std::string_view name, RespWriter& out) {
  constexpr size_t kNameBytesMax = 128;
  if (name.size() > kNameBytesMax ||
      std::any_of(name.begin(), name.end(), [](char c) { return c < '!' || c > '~'; })) {
    out.Error("ERR",
              "Client names cannot contain spaces, newlines or special characters, and have "
              "at most 128 bytes");
    return false;
  }
  name_ = name;
  return true;
}

void ConnectionCommands::Hello(RespCall& call) {
  const auto arguments = call.arguments();
  RespWriter& out = call.out();
  RespVersion version = out.version();
  if (arguments.size() > 1) {
    if (arguments[1] != "2" && arguments[1] != "3")
      return out.Error("NOPROTO", "unsupported protocol version: 2 and 3 are spoken here");
    version = arguments[1] == "2" ? RespVersion::k2 : RespVersion::k3;
  }
  for (size_t i = 2; i < arguments.size(); ++i) {
    if (SameWord(arguments[i], "auth") && i + 2 < arguments.size()) {
      if (!Authenticate(arguments[i + 1], arguments[i + 2], out)) return;
      i += 2;
      continue;
    }
    if (!SameWord(arguments[i], "setname") || i + 1 == arguments.size())
      return out.Error(
          "ERR", fmt::format("syntax error in HELLO: hello {}", CommandNamed("hello")->syntax));
    if (!SetName(arguments[++i], out)) return;
  }
  if (shown_ && shown_->Who() == nullptr)
    return out.Error("NOAUTH", "HELLO needs a token here: hello 3 AUTH default TOKEN");
  const ServerFigures info = verbs_.info();
  out.UseVersion(version);
  out.Map(7);
  out.Bulk("server");
  out.Bulk("headrace");
  out.Bulk("version");
  out.Bulk(info.version);
  out.Bulk("proto");
  out.Integer(static_cast<int64_t>(version));
  out.Bulk("id");
  out.Integer(static_cast<int64_t>(connection_));
  out.Bulk("mode");
  out.Bulk("standalone");
  out.Bulk("role");
  out.Bulk("master");
  out.Bulk("modules");
  out.Array(0);
}

void ConnectionCommands::Client(RespCall& call) {
  const auto arguments = call.arguments();
  RespWriter& out = call.out();
  const std::string_view verb = arguments[1];
  const size_t count = arguments.size();
  if (SameWord(verb, "id") && count == 2) return out.Integer(static_cast<int64_t>(connection_));
  if (SameWord(verb, "getname") && count == 2) return name_.empty() ? out.Null() : out.Bulk(name_);
  if (SameWord(verb, "setname") && count == 3) {
    if (SetName(arguments[2], out)) out.Ok();
    return;
  }
  const bool noted = (SameWord(verb, "setinfo") && count == 4) ||
                     ((SameWord(verb, "no-evict") || SameWord(verb, "no-touch")) && count == 3);
  if (noted) return out.Ok();
  if (SameWord(verb, "info") && count == 2)
    return out.Bulk(fmt::format(kClientInfo, connection_, name_, static_cast<int>(out.version())));
  out.Error("ERR",
            fmt::format("unknown subcommand or wrong number of arguments for '{}': client {}",
                        verb.substr(0, 64), CommandNamed("client")->syntax));
}

void ConnectionCommands::Command(RespCall& call) {
  const auto arguments = call.arguments();
  RespWriter& out = call.out();
  const std::string_view verb = arguments.size() > 1 ? arguments[1] : "info";
  if (SameWord(verb, "count")) return out.Integer(static_cast<int64_t>(RespCommandTable().size()));
  const std::vector<const RespCommandRow*> rows =
      Chosen(call, std::min<size_t>(2, arguments.size()));
  if (SameWord(verb, "info")) {
    out.Array(rows.size());
    for (const RespCommandRow* row : rows) row == nullptr ? out.Null() : AppendInfo(*row, out);
    return;
  }
  if (SameWord(verb, "docs")) {
    const auto known = static_cast<size_t>(
        std::count_if(rows.begin(), rows.end(), [](const auto* row) { return row != nullptr; }));
    out.Map(known);
    for (const RespCommandRow* row : rows)
      if (row != nullptr) AppendDocs(*row, out);
    return;
  }
  out.Error("ERR", fmt::format("unknown subcommand '{}': command {}", verb.substr(0, 64),
                               CommandNamed("command")->syntax));
}

void ConnectionCommands::Config(RespCall& call) {
  const auto arguments = call.arguments();
  RespWriter& out = call.out();
  if (!SameWord(arguments[1], "get") || arguments.size() < 3)
    return out.Error("ERR", "nothing can be set here: the pipeline file says how the engine runs");
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const std::string_view name : arguments.subspan(2)) {
    if (SameWord(name, "appendonly")) found.emplace_back("appendonly", "yes");
    if (SameWord(name, "save")) found.emplace_back("save", "");
  }
  out.Map(found.size());
  for (const auto& [name, value] : found) {
    out.Bulk(name);
    out.Bulk(value);
  }
}

void ConnectionCommands::Info(RespCall& call) {
  const ServerFigures info = verbs_.info();
  call.out().Bulk(fmt::format(
      "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nheadrace_version:{}\r\n"
      "tcp_port:{}\r\nuptime_in_seconds:{}\r\n\r\n"
      "# Clients\r\nconnected_clients:{}\r\n\r\n"
      "# Memory\r\nused_memory:{}\r\nmaxmemory:{}\r\n\r\n"
      "# Stats\r\ntotal_commands_processed:{}\r\n\r\n"
      "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n"
      "# Headrace\r\nlog:{}\r\nepoch:{}\r\n",
      info.version, info.port, info.uptime_s, info.connections, info.memory_bytes,
      info.memory_bytes_max, info.commands, info.log, info.epoch));
}

}  // namespace headrace::serving

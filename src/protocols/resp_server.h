#pragma once
// The Redis protocol on a listener: a session per connection that reads commands and answers them
// in their order. What the commands are is the handler's business.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/network.h"
#include "protocols/resp_parser.h"
#include "protocols/resp_writer.h"
#include "protocols/tls_serving.h"

namespace headrace::protocols {

// The promise of an answer that is given later, from any thread. Dropped without one it answers an
// error, so no client waits for ever. The connection's next commands wait for it.
class RespReply {
 public:
  using Write = std::move_only_function<void(RespWriter&)>;
  using Sink = std::move_only_function<void(Write)>;
  explicit RespReply(Sink sink) : sink_(std::move(sink)) {}
  RespReply(RespReply&& other) noexcept : sink_(std::exchange(other.sink_, Sink())) {}
  RespReply& operator=(RespReply&&) = delete;
  ~RespReply();
  // `write` runs on the connection's I/O thread; never, when the connection has gone.
  void Send(Write write);

 private:
  Sink sink_;
};

// One command under way.
class RespCall {
 public:
  RespCall(std::span<const std::string_view> arguments, RespWriter& out)
      : arguments_(arguments), out_(out) {}
  virtual ~RespCall() = default;
  // The command's name and what follows it; valid during the call.
  std::span<const std::string_view> arguments() const { return arguments_; }
  // The answer; exactly one, unless Later was called.
  RespWriter& out() { return out_; }
  // The answer comes later.
  virtual RespReply Later() = 0;
  // The connection is closed behind this answer.
  virtual void CloseAfter() = 0;

  // Keeps this command behind those that are kept, to be run by RunKept; it is answered now, too.
  // Errors: kInvalidInput (kept_max, kept_bytes_max): it is not kept; kResourceExhausted (the
  // memory budget): none is kept any more.
  virtual base::Result<void> Keep() = 0;
  virtual size_t kept() const = 0;
  virtual void DropKept() = 0;
  // Those that are kept are run behind this one, before what came since; each is answered as ever.
  virtual void RunKept() = 0;

 private:
  std::span<const std::string_view> arguments_;
  RespWriter& out_;
};

// What answers the commands of one connection; keeps what belongs to it. All calls on the
// connection's I/O thread; it must not block.
class RespHandler {
 public:
  virtual ~RespHandler() = default;
  virtual void Run(RespCall& call) = 0;
  // Whether the command may be run while others of which this is true wait for their later answers
  // on the connection. Answers keep the order of the commands all the same.
  virtual bool MayOverlap(std::span<const std::string_view> /*arguments*/) const { return false; }
  // The commands that Run gets next, in this order, unless there is a reason to stop between them:
  // then it is told again. Nothing is asked of the handler; it may ask for memory.
  virtual void Expect(std::span<const std::span<const std::string_view>> /*commands*/) {}
  // Who is at the other end is known, or nobody asks. Looked at after each command.
  virtual bool authenticated() const { return true; }
};

// Makes the handler of a new connection. `connection` is a number of its own.
using RespHandlers = std::function<std::unique_ptr<RespHandler>(uint64_t connection)>;

enum class Authentication : uint8_t { kNone, kFirst };

struct RespServerOptions {
  RespLimits limits;
  size_t overlapping_max = 1024;  // such commands of a connection; at it, it is not read
  // RespCall::Keep, of a connection.
  size_t kept_max = 8192;
  size_t kept_bytes_max = 4U << 20;
  // kFirst: until a handler says that its connection is authenticated, commands have these limits,
  // and so much time.
  Authentication authentication = Authentication::kNone;
  RespLimits limits_before{.arguments_max = 10,
                           .argument_bytes_max = 1024,
                           .command_bytes_max = 4096,
                           .line_bytes_max = 2048};
  std::chrono::seconds authentication_max{10};
  // Null: no TLS. Outlives the server.
  TlsServing* tls = nullptr;
  env::ConnectionLimits connection;
};

// Thread-safe counters of a running server.
struct RespCounters {
  uint64_t connections = 0;
  uint64_t commands = 0;
  uint64_t refused = 0;  // malformed or over a limit
};

// Outlived by network, clock, budget and handlers. Destroying it closes its connections.
class RespServer {
 public:
  // Errors: those of env::Network::Listen.
  static base::Result<std::unique_ptr<RespServer>> Start(env::Network& network, env::Clock& clock,
                                                         base::MemoryBudget& budget,
                                                         const RespHandlers& handlers,
                                                         const std::string& host, uint16_t port,
                                                         RespServerOptions options = {});
  virtual ~RespServer() = default;
  virtual uint16_t port() const = 0;
  // From the next command on, handlers of these answer; they outlive the server, as those before
  // them do.
  virtual void UseHandlers(const RespHandlers& handlers) = 0;
  // Refuses new connections, answers what is under way (up to `grace`), closes.
  virtual void Drain(std::chrono::milliseconds grace) = 0;
  virtual RespCounters counters() const = 0;
};

}  // namespace headrace::protocols

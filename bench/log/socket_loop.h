#pragma once
// The closed loop over sockets: one thread, a connection for each producer, one request under way
// on each. What is said on a connection is the wire's business.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "load.h"

namespace headrace::bench {

// One producer's side of a protocol.
class Wire {
 public:
  enum class Reply : uint8_t { kWhole, kPartial, kRefused };

  virtual ~Wire() = default;
  // The next batch: what goes first, and what goes behind it. Valid until the next call.
  virtual std::string_view Head() = 0;
  virtual std::string_view Body() const = 0;
  // Whether `received` holds the acknowledgement of the whole batch.
  virtual Reply Read(std::string_view received) = 0;
};

std::unique_ptr<Wire> MakeHttpWire(const Load& load, int producer);
// One XADD an event: pipelined, or all of a batch inside one MULTI / EXEC.
enum class RedisBatch : uint8_t { kPipelined, kTransaction };
std::unique_ptr<Wire> MakeRedisWire(const Load& load, int producer, RedisBatch form);
// FEATURES.PUSH of Headrace, a batch a command.
std::unique_ptr<Wire> MakePushWire(const Load& load, int producer);
// A length and that many bytes; answered with one byte (sync_server.h).
std::unique_ptr<Wire> MakeFramesWire(const Load& load, int producer);

using MakeWire = std::unique_ptr<Wire> (*)(const Load& load, int producer);
Outcome RunSocketLoop(const Load& load, uint16_t port, MakeWire make_wire);

}  // namespace headrace::bench

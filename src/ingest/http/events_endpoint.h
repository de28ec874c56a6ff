#pragma once
// POST /streams/{stream}/events: the verb itself, without sockets. The server that has the bytes
// calls HandleEvents and sends the reply.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/event_batch.h"
#include "ingest/stream_gate.h"

namespace headrace::ingest {

// Named limits; beyond each the request is refused with what to do.
struct EventsLimits {
  size_t body_bytes_max = 32ULL << 20;  // kInvalidInput; servers should stop reading there already
  size_t row_bytes_max = 1ULL << 20;    // a longer row is rejected (rule `size`), the others go in
  size_t rows_max = 1ULL << 17;         // rows in one request: kInvalidInput
  size_t refused_listed_max =
      1000;  // refused rows described in a reply; all are counted and in the dead letters
};

// Header names, lower case.
inline constexpr std::string_view kProducerHeader = "headrace-producer";
inline constexpr std::string_view kSequenceHeader = "headrace-sequence";
inline constexpr std::string_view kIdempotencyHeader = "idempotency-key";

// Errors: kInvalidInput when a producer's name or an idempotency key is empty or over 256 bytes.
base::Result<void> CheckSourceName(std::string_view header, std::string_view name);

// One request. Producer and sequence come together; an idempotency key comes instead of them.
struct EventsRequest {
  std::string stream;
  std::string body;                             // NDJSON, a JSON array, or one JSON object
  std::span<const std::string_view> rows = {};  // instead of a body: an event each
  std::string content_type;  // "application/json": one value; anything else: lines unless it begins
                             // with '['
  std::optional<std::string> producer;         // Headrace-Producer
  std::optional<std::string> sequence;         // Headrace-Sequence: 1, 2, 3 ... of that producer
  std::optional<std::string> idempotency_key;  // Idempotency-Key
  columns::Atomicity atomicity = columns::Atomicity::kGoodRowsIn;  // ?atomic=true
};

// Is told what the columns of rows take at least, before they are made: more than the rows' texts,
// where these leave most columns out.
using ChargeColumns = std::function<base::Result<void>(uint64_t bytes)>;

// The request's rows, typed and held to the contract, for StreamGate::Submit. Parsing happens on
// the caller's thread; the body is not needed any more when this returns. Errors: kNotFound
// (stream), kInvalidInput (headers, limits, an array that is not closed), those of
// `charge_columns`.
base::Result<columns::EventBatch> ReadEvents(EventsRequest& request, const StreamGate& gate,
                                             const EventsLimits& limits,
                                             const ChargeColumns& charge_columns = {});

struct EventsReply {
  int status = 200;  // 422 when rows were refused and none accepted
  std::string body;  // JSON: AppendOutcomeMembers in braces
};

using EventsCallback = std::move_only_function<void(base::Result<EventsReply>)>;

// Bytes of the events' texts.
size_t BytesOf(const EventsRequest& request);

// Parses, checks and submits. As HandleEvents, with the outcome itself.
void SubmitEvents(EventsRequest request, StreamGate& gate, base::MemoryBudget& budget,
                  const EventsLimits& limits, OutcomeCallback done);

// Parses, checks and submits; `done` is called exactly once, perhaps before this returns (see
// StreamGate::Submit). The typed rows are charged to `budget` until then. The body ends when this
// returns. Thread-safe; parsing happens on the caller's thread. Errors: kNotFound (stream),
// kInvalidInput (headers, limits, an array that is not closed), those of MemoryBudget and Submit.
void HandleEvents(EventsRequest request, StreamGate& gate, base::MemoryBudget& budget,
                  const EventsLimits& limits, EventsCallback done);

}  // namespace headrace::ingest

#pragma once
// The small JSON documents that travel beside record batches; docs/reference/flight.md is their
// reference.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ingest/stream_gate.h"

namespace headrace::ingest {

// Keys of the Arrow schema's metadata when a client opens a stream.
inline constexpr std::string_view kProducerKey = "headrace.producer";
inline constexpr std::string_view kAtomicKey = "headrace.atomic";  // "true" or "false"

// Client -> server, with each batch: {"sequence":17}. Without a producer there is none.
std::string WriteBatchMetadata(uint64_t sequence);
// Errors: kInvalidInput unless a JSON object with a whole number from 1 on.
base::Result<uint64_t> ReadBatchMetadata(std::string_view json);

// Client -> server, with the action last_sequence: {"stream":"flights","producer":"loader"}.
struct ProducerName {
  std::string stream;
  std::string producer;
};
// Errors: kInvalidInput unless a JSON object with both.
base::Result<ProducerName> ReadProducerName(std::string_view json);

// Server -> client, once, when a stream opens.
struct Greeting {
  std::string log;  // 32 hexadecimal digits
  std::string stream;
  uint64_t last_sequence =
      0;                // of the producer: batches up to it are durable and need not be sent again
  uint64_t window = 0;  // batches that may be unacknowledged; more wait unread
};
std::string WriteGreeting(const Greeting& greeting);
base::Result<Greeting> ReadGreeting(std::string_view json);

// Server -> client, for each durable batch, in the order of sending.
// {"batch":n,"sequence":n,"accepted":..., and the rest of AppendOutcomeMembers}
std::string WriteAcknowledgement(uint64_t batch, uint64_t sequence, const IngestOutcome& outcome,
                                 size_t refused_max);

// Server -> client, at most once, last: {"error":{"code":"StorageFull","message":".."}}. The client
// should stop sending; the call ends with the same error as its status.
std::string WriteRefusal(const base::Error& error);

// What a client needs of an acknowledgement.
struct BatchAcknowledgement {
  uint64_t batch = 0;     // 1, 2, 3 ... within this DoPut
  uint64_t sequence = 0;  // 0 without a producer
  uint64_t accepted = 0;
  uint64_t refused_rows = 0;
  uint64_t epoch = 0;
  Repeat repeat = Repeat::kFirst;
  std::string first_refusal;  // "row 3, delay: out of range ..."; empty when nothing was refused
};
// A refusal is returned as the error that it names. Other errors: kInvalidInput.
base::Result<BatchAcknowledgement> ReadAcknowledgement(std::string_view json);

}  // namespace headrace::ingest

#pragma once
// The gate through which every way in (HTTP, Flight, files) hands over rows. The rooms below
// implement it over the log; this room knows only what a producer may know: streams by name, and
// the answer to a batch.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/event_batch.h"
#include "contract/contract.h"

namespace headrace::ingest {

// A stream that rows can be sent to. A value; the contract is shared and immutable.
struct StreamHandle {
  base::StreamId id;
  std::string name;
  contract::ContractRef contract;
};

enum class Repeat : uint8_t { kFirst, kRepeated };

// What was promised when the answer was given: on stable storage, or handed to the operating system
// only.
enum class Durability : uint8_t { kFsync, kOs };
std::string_view NameOf(Durability durability);  // "fsync", "os"

// The answer to one EventBatch. For a repeat it is the first answer.
struct IngestOutcome {
  base::EpochId epoch;  // holds the rows: the token for reading one's own writes
  uint64_t accepted = 0;
  // The first accepted row. A repeat may say another time than the event that came in.
  struct FirstRow {
    uint32_t number = 0;   // among the stream's rows in the epoch
    base::Timestamp time;  // its event time
  };
  std::optional<FirstRow> first_row = {};  // nothing for a repeat of one that an older version took
  uint64_t refused_rows = 0;
  // In order of row number. Of a repeat the first ones, or none, as far as they are remembered.
  std::vector<columns::RejectedRow> refused;
  Repeat repeat = Repeat::kFirst;
  Durability durability = Durability::kFsync;

  // There were rows, and none of them went in.
  bool all_refused() const { return accepted == 0 && refused_rows > 0; }
};

using OutcomeCallback = std::move_only_function<void(base::Result<IngestOutcome>)>;

// Implementations are thread-safe and outlive every way in that uses them.
class StreamGate {
 public:
  virtual ~StreamGate() = default;

  // kUnavailable while starting: what the other calls then answer is not to be used.
  virtual base::Result<void> Ready() const { return {}; }
  // Errors: kNotFound, with the names there are; kUnavailable while starting or stopping.
  virtual base::Result<StreamHandle> Find(std::string_view stream) const = 0;
  // All streams, in the pipeline file's order.
  virtual std::vector<StreamHandle> Streams() const = 0;

  // Takes a batch in. `done` is called exactly once: on the gate's own thread when the rows are
  // durable (it must not block), or from within Submit when the batch is refused at once. Errors:
  // kResourceExhausted (queue full: back off, then repeat), kInvalidInput (a gap in the producer's
  // sequence), kStorageFull, kIoError, kUnavailable (stopping).
  virtual void Submit(columns::EventBatch batch, OutcomeCallback done) = 0;

  // The last sequence number of `producer` that is durable in a stream; 0 when it is unknown there.
  virtual uint64_t LastSequence(base::StreamId stream, const std::string& producer) const = 0;
  // The log's id as 32 hexadecimal digits: a client that resumes can tell another log.
  virtual std::string LogName() const = 0;
};

}  // namespace headrace::ingest

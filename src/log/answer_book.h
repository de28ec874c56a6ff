#pragma once
// Remembers what batches were answered, so that a repeat gets the first answer: by (producer,
// sequence), and by idempotency key. Rebuilt at start from the outcomes of all epochs.

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/event_batch.h"
#include "log/sequencer.h"

namespace headrace::log {

// A first answer. Refused rows are kept without their payload (the epoch has it).
struct StoredAnswer {
  base::EpochId epoch;
  uint32_t accepted = 0;
  std::shared_ptr<const std::vector<columns::RejectedRow>> refused;  // null: none
};

// Not thread-safe.
class AnswerBook {
 public:
  explicit AnswerBook(const LogOptions& options) : options_(options) {}

  // The first answer when the batch is a repeat; nothing when it is the next of its producer, or
  // new. A repeat older than the kept answers is answered without rows, under the newest epoch it
  // can be in. Errors: kInvalidInput for a gap (expected=), sequence 0, or both kinds of source.
  base::Result<std::optional<StoredAnswer>> Find(base::StreamId stream,
                                                 const columns::BatchSource& source) const;
  // Remembers an answer. `at`: wall clock, for idempotency_keep. `durable`: answers of later epochs
  // are all kept.
  void Put(base::StreamId stream, const columns::BatchSource& source, StoredAnswer answer,
           base::Timestamp at, base::EpochId durable);
  // The last sequence of a producer whose epoch is at most `durable`; 0 when there is none.
  uint64_t LastSequence(const std::string& producer, base::EpochId durable) const;
  // About what it holds in memory.
  uint64_t byte_size() const { return bytes_; }

 private:
  struct Producer {
    std::string name;
    uint64_t last_sequence = 0;
    std::deque<StoredAnswer> answers;  // of the last answers.size() sequences
  };
  struct KeyedAnswer {
    base::Timestamp at;
    StoredAnswer answer;
  };
  struct KeyInOrder {
    base::Timestamp at;
    std::string key;
  };
  void PutProducer(const columns::BatchSource& source, StoredAnswer answer, base::EpochId durable);
  void PutKey(std::string key, StoredAnswer answer, base::Timestamp at);
  void RetireProducers();
  void RetireKeys(base::Timestamp now);

  const LogOptions& options_;
  uint64_t bytes_ = 0;
  std::list<Producer> producers_;  // the one idle longest first
  std::unordered_map<std::string_view, std::list<Producer>::iterator> by_name_;
  std::unordered_map<std::string, KeyedAnswer> by_key_;
  std::deque<KeyInOrder> keys_in_order_;
};

// Drops payloads, as kept answers and acknowledgements have none. Null for no rows.
std::shared_ptr<const std::vector<columns::RejectedRow>> WithoutPayloads(
    std::span<const columns::RejectedRow> rows);

}  // namespace headrace::log

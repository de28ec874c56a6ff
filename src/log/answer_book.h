#pragma once
// Remembers what batches were answered, so that a repeat gets the first answer: by (producer,
// sequence), and by idempotency key, each of one stream. Rebuilt at start from a capture
// (answer_copy.h) and the outcomes of the epochs after it: what it holds after an epoch is a
// function of the epochs' bytes, but for which lists of refused rows were dropped.

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"
#include "columns/event_batch.h"
#include "log/sequencer.h"

namespace headrace::log {

// A first answer. Refused rows come without their payload (the epoch has it).
struct StoredAnswer {
  base::EpochId epoch;
  uint32_t accepted = 0;
  uint32_t refused_rows = 0;
  std::shared_ptr<const std::vector<columns::RejectedRow>> refused;  // null: none known
  uint32_t first_row = kRowUnknown;                                  // of the accepted ones
  base::Timestamp first_time = {};  // its event time, when first_row is known
};

// Of each answer at most so many refused rows are remembered, as many as any reply lists.
inline constexpr size_t kRefusedRowsKept = 1'000;

class AnswerCopy;

// How answers lie in a capture; each form has what those before it have.
enum class AnswerForm : uint8_t {
  kWithoutFirstRow,
  kWithFirstRow,
  kProducersOfStreams,
  kWithRefusedCount
};

// Not thread-safe. A batch's answer is Put when it is decided; EndEpoch follows the epoch's last.
class AnswerBook {
 public:
  explicit AnswerBook(const LogOptions& options) : options_(options) {}
  AnswerBook(const AnswerBook&) = delete;
  AnswerBook& operator=(const AnswerBook&) = delete;

  // The first answer when the batch is a repeat; nothing when it is the next of its producer, or
  // new. A repeat older than the kept answers is answered without rows, under the newest epoch it
  // can be in. Of refused rows it knows the first kRefusedRowsKept, and none once they were dropped
  // for answers_refused_bytes_max (the oldest first); their number stays. Errors: kInvalidInput for
  // a gap (expected=), sequence 0, or both kinds of source.
  base::Result<std::optional<StoredAnswer>> Find(base::StreamId stream,
                                                 const columns::BatchSource& source) const;
  // Remembers an answer. `durable`: answers of later epochs are all kept.
  void Put(base::StreamId stream, const columns::BatchSource& source, StoredAnswer answer,
           base::EpochId durable);
  // The epoch of the answers since the last call is sealed: its keys are as old as that, and keys
  // older than idempotency_keep are forgotten.
  void EndEpoch(base::Timestamp sealed_at);
  // Fills an empty book with what an AnswerCopy wrote; `form` is of the answers. Errors:
  // kCorruption.
  base::Result<void> Load(columns::ByteReader& in, AnswerForm form = AnswerForm::kWithRefusedCount);
  // The last sequence of a stream's producer whose epoch is at most `durable`; 0 when there is
  // none.
  uint64_t LastSequence(base::StreamId stream, const std::string& producer,
                        base::EpochId durable) const;
  // About what it holds in memory.
  uint64_t byte_size() const { return bytes_; }

 private:
  friend class AnswerCopy;
  // A StoredAnswer whose refused rows are in lists_, or were dropped.
  struct Kept {
    base::EpochId epoch;
    uint32_t accepted = 0;
    uint32_t refused_rows = 0;
    uint32_t first_row = kRowUnknown;
    base::Timestamp first_time = {};
    uint64_t list = 0;  // its number; 0: none
  };
  struct List {
    std::shared_ptr<const std::vector<columns::RejectedRow>> rows;
    uint64_t bytes = 0;
  };
  struct Producer {
    std::string name;  // "<stream id>/<name>"; without the id where a capture does not tell it
    uint64_t last_sequence = 0;
    std::deque<Kept> answers;  // of the last answers.size() sequences
    uint64_t in_copy = 0;      // the number of the AnswerCopy that has it
  };
  struct KeyedAnswer {
    uint64_t number = 0;  // of its place in keys_in_order_
    Kept answer;
  };
  struct KeyInOrder {
    base::Timestamp at;
    std::string key;
  };
  const Producer* Known(base::StreamId stream, const std::string& producer) const;
  // A producer without a stream's id is of the first stream that it sends to.
  void Adopt(const std::string& name);
  void PutProducer(const std::string& name, uint64_t sequence, StoredAnswer answer,
                   base::EpochId durable);
  void PutKey(std::string key, StoredAnswer answer);
  // The producer of that name, now the one idle shortest.
  Producer& Touch(const std::string& name);
  Kept Keep(StoredAnswer answer);
  void Forget(const Kept& answer);
  StoredAnswer Told(const Kept& answer) const;
  // Of its refused rows, as far as they are remembered.
  uint64_t ListBytes(const Kept& answer) const;
  void DropList(std::map<uint64_t, List>::iterator list);
  void Append(Producer& producer, StoredAnswer answer, base::EpochId durable);
  void DropAnswers(Producer& producer);
  // Those of sources stay, and do not count.
  void RetireProducers(size_t kept);
  void RetireOldestKey();
  void RetireKeys(size_t kept);
  base::Result<void> LoadRecord(uint8_t kind, columns::ByteReader& in, AnswerForm form);

  const LogOptions& options_;
  uint64_t bytes_ = 0;
  std::map<uint64_t, List> lists_;  // of refused rows, the oldest first
  uint64_t lists_begun_ = 0;
  uint64_t lists_bytes_ = 0;
  std::list<Producer> producers_;  // the one idle longest first
  size_t sources_ = 0;             // of them, producers of Delta tables
  std::unordered_map<std::string_view, std::list<Producer>::iterator> by_name_;
  std::unordered_map<std::string, KeyedAnswer> by_key_;
  std::deque<KeyInOrder> keys_in_order_;
  uint64_t first_key_number_ = 0;  // of keys_in_order_.front()
  size_t keys_unsealed_ = 0;       // the last so many wait for their epoch's time
  uint64_t copies_ = 0;            // begun so far
  AnswerCopy* copy_ = nullptr;     // under way
};

// At most `rows_max` of them. Drops payloads, as kept answers and acknowledgements have none. Null
// for no rows.
std::shared_ptr<const std::vector<columns::RejectedRow>> WithoutPayloads(
    std::span<const columns::RejectedRow> rows, size_t rows_max = SIZE_MAX);

}  // namespace headrace::log

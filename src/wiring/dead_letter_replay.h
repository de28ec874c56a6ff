#pragma once
// Refused rows once more, after contract or pipeline file were mended: each that fits now comes in,
// once for ever; each that does not stays the dead letter that it is.
//
//   1. Read a piece of the letters (dead_letters.h), without those that came in before.
//   2. Hold them to the stream's contract as it is now.
//   3. Submit those that pass as one batch; the epoch that has the rows says which letters they
//      were (log/replay_entry.h). Late rows come in: they are known from that epoch on.
//   4. When that is durable, the next piece.
//
// That a letter comes in once: one replay at a time decides by what the log says, and goes on
// behind an answer only. Whatever ends it, the rest can be asked for again.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "log/reader.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "wiring/dead_letter_page.h"
#include "wiring/dead_letters.h"

namespace headrace::wiring {

class DeadLetterReplay {
 public:
  // Named limits.
  static constexpr uint64_t kLettersMax = 100'000;    // a request tries
  static constexpr uint64_t kVisitedMax = 1'000'000;  // a request looks at, whosever they are
  static constexpr uint64_t kVisitedAtOnce = 50'000;  // likewise, before it lets others in
  static constexpr size_t kBatchRowsMax = 8'192;      // of a piece
  static constexpr size_t kBatchBytesMax = 4U << 20;  // likewise, of payloads; and one
  static constexpr size_t kListedMax = 100;           // that did not come in

  // All outlive it, and so does whatever it submitted.
  struct Parts {
    env::Environment& environment;
    base::MemoryBudget& budget;
    const DeadLetters& letters;
    log::LogReader& reader;
    std::function<pipeline::PipelineRef()> definition;  // in force
    std::function<base::Result<base::StreamId>(const std::string&)> stream_id;
    std::function<void(columns::EventBatch, log::AckCallback)> submit;
  };
  explicit DeadLetterReplay(Parts parts);
  ~DeadLetterReplay();

  // Any thread; `done` is called once, on its own executor, from within, or from within Close.
  // Errors: kConflict (one is under way), kNotFound (stream), kInvalidInput, kResourceExhausted
  // (too many ranges of letters to remember, or memory), kUnavailable (stopping); those of the log.
  // What came in before an error stays in.
  void Begin(ReplayRequest request, ReplayDone done);
  // Nothing is begun any more; one under way ends with kUnavailable. Idempotent.
  void Close();

 private:
  struct Task;
  struct Piece;
  void Post(std::move_only_function<void()> step);
  // On its executor.
  void GoOn();
  base::Result<std::unique_ptr<Piece>> Gather();
  // Without those that the contract refuses.
  base::Result<columns::EventBatch> BatchOf(const Piece& piece);
  void Submit(std::unique_ptr<Piece> piece);
  void TakeAnswer(const Piece& piece, const base::Result<log::Acknowledgement>& answer);
  // So many stay; of the first ones it is known why.
  void Keep(const Piece& piece, uint64_t rows, std::span<const columns::RejectedRow> first);
  void List(base::EpochId epoch, uint32_t row, const columns::RejectedRow& why);
  void Finish(base::Result<void> result);

  const Parts parts_;
  std::mutex mutex_;                         // guards the next two
  std::unique_ptr<env::Executor> executor_;  // made with the first
  std::atomic<bool> closed_{false};          // set under the mutex
  std::unique_ptr<Task> task_;               // set under the mutex; the rest is the executor's
};

}  // namespace headrace::wiring

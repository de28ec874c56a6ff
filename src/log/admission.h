#pragma once
// What decides about a batch before it is logged: is it a repeat, which rows are late or ahead. A
// state machine: the same batches and clock readings give the same decisions. It is restored from
// the decisions that epochs hold; nothing is decided again.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "columns/event_batch.h"
#include "log/answer_book.h"
#include "log/epoch.h"
#include "log/time_gate.h"

namespace headrace::log {

// What goes into the epoch for a batch that is no repeat. Of a replay nothing is refused anew: its
// answer alone tells of the rows that stay dead letters.
struct Admitted {
  columns::ColumnBatch rows;                   // may have none
  std::vector<columns::RejectedRow> rejected;  // by the contract and by time, ascending row number
  StoredAnswer answer;
};

// Not thread-safe.
class Admission {
 public:
  explicit Admission(const LogOptions& options);

  // The first answer when the batch is a repeat. Errors: AnswerBook::Find's.
  base::Result<std::optional<StoredAnswer>> FindRepeat(const columns::EventBatch& batch) const {
    return answers_.Find(batch.stream, batch.source);
  }
  // How many of its rows would not pass now.
  size_t WouldRefuse(const columns::EventBatch& batch, const StreamTiming& timing,
                     const ClockReading& now) const;
  // Whether the batch was admitted to an epoch after `epoch`, or is no repeat and all its rows
  // would pass now.
  bool WouldFollow(const columns::EventBatch& batch, const StreamTiming& timing,
                   const ClockReading& now, base::EpochId epoch) const;
  // Where what is accepted will stand.
  struct Place {
    base::EpochId epoch;
    uint32_t first_row = kRowUnknown;
  };
  // Decides and remembers. FindRepeat said that the batch is none. Takes the batch's rows and
  // rejects; of its replay the letters that came in are left.
  Admitted Admit(columns::EventBatch& batch, const StreamTiming& timing, Place place,
                 base::EpochId durable, const ClockReading& now);
  // The epoch of the decisions since the last call is sealed.
  void EndEpoch(base::Timestamp sealed_at) { answers_.EndEpoch(sealed_at); }
  // Learns from a recovered epoch; `event_time_field` gives the index of a stream's event time in
  // that epoch's schema.
  void Restore(const Epoch& epoch,
               const std::function<std::optional<size_t>(base::StreamId)>& event_time_field);

  // Learns from a capture instead of from the epochs up to its own: the gate, then the answers.
  void RestoreGate(base::Timestamp clock, std::span<const Watermark> newest);
  base::Result<void> LoadAnswers(columns::ByteReader& in, AnswerForm form) {
    return answers_.Load(in, form);
  }

  // The clock under kEvents.
  base::Timestamp newest() const { return gate_.newest(); }
  // The newest event time of each stream that has one.
  std::vector<Watermark> newest_by_stream() const { return gate_.newest_by_stream(); }
  const AnswerBook& answers() const { return answers_; }
  AnswerBook& answers() { return answers_; }

 private:
  static std::vector<Verdict> Judge(TimeGate& gate, const columns::EventBatch& batch,
                                    const StreamTiming& timing, const ClockReading& now);
  void Refuse(columns::EventBatch& batch, const std::vector<Verdict>& verdicts,
              const StreamTiming& timing, const ClockReading& now);

  TimeGate gate_;
  AnswerBook answers_;
};

}  // namespace headrace::log

#pragma once
// Decides by event time whether rows come in: late (behind the stream's watermark) or ahead (of the
// log clock).
//
// late: event time < newest event time of the stream so far - allowed lateness. Rows of one batch
// count in their order. ahead under kWall: event time > log clock + max_ahead. ahead under kEvents:
// event time > wall clock; or, as the clock is the largest event time so far, a jump of more than
// max_ahead
//   past it that the rows after it don't confirm. A jump to t is confirmed when, of the next
//   kConfirmRows rows of the batch, more than half are at t - max_ahead or later. A jump at the end
//   of its batch has no rows after it: it is refused, unless it is the log's first row or
//   kConfirmBatches such rows, each within max_ahead of the next, were refused just before.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "columns/column.h"
#include "log/sequencer.h"

namespace headrace::log {

// What the clocks say when a batch is judged.
struct ClockReading {
  base::Timestamp log;  // kWall: the log clock; kEvents: not looked at
  base::Timestamp wall;
};

// The newest event time of a stream's accepted rows.
struct Watermark {
  base::StreamId stream;
  base::Timestamp newest;
};

enum class Verdict : uint8_t { kAccept, kLate, kAhead, kNoTime };

// Not thread-safe. Copyable: an atomic batch may be taken back.
class TimeGate {
 public:
  static constexpr size_t kConfirmRows = 16;
  static constexpr uint32_t kConfirmBatches = 2;

  explicit TimeGate(ClockMode mode) : mode_(mode) {}

  // Judges rows in order and moves the watermark by the accepted ones. Empty: every row is accepted
  // (the common case, found by minimum and maximum alone). `times` is a timestamp column.
  std::vector<Verdict> Judge(base::StreamId stream, const StreamTiming& timing,
                             const columns::Column& times, const ClockReading& now);
  // The same for rows that were refused before: late ones come in where `late` says so, and what is
  // ahead, as of the begin of the batch, confirms nothing. A verdict a row.
  std::vector<Verdict> JudgeReplay(base::StreamId stream, const StreamTiming& timing,
                                   const columns::Column& times, columns::Replay::LateRows late,
                                   const ClockReading& now);
  // The rows judged since `before` did not come in. The jumps among them that were refused stay
  // counted.
  void TakeBack(const TimeGate& before);
  // Whether they all pass without a doubt; moves nothing.
  bool WouldPass(base::StreamId stream, const StreamTiming& timing, const columns::Column& times,
                 const ClockReading& now) const;
  // For rows that were accepted before a restart.
  void Restore(base::StreamId stream, const columns::Column& times);
  // The same, from a capture.
  void Restore(const Watermark& mark);
  // The clock of a recovered epoch.
  void RestoreClock(base::Timestamp clock) { newest_ = std::max(newest_, clock); }

  // The largest accepted event time of all streams: the clock under kEvents. Min() before the
  // first.
  base::Timestamp newest() const { return newest_; }
  // Of every stream that has one, in the order of ids.
  std::vector<Watermark> newest_by_stream() const;
  // Of one stream.
  base::Timestamp newest(base::StreamId stream) const;

  // Why a row was refused: a sentence with the numbers, for the sender. Call before the next Judge.
  std::string Reason(Verdict verdict, base::Timestamp at, base::StreamId stream,
                     const StreamTiming& timing, const ClockReading& now) const;

 private:
  struct Run {  // refused jumps at the ends of batches, one behind the other
    base::Timestamp at;
    uint32_t length = 0;
  };
  struct Span {
    base::Timestamp min;
    base::Timestamp max;
  };
  static std::optional<Span> SpanOf(const columns::Column& times);
  bool AllPass(const Span& span, base::Timestamp newest, const StreamTiming& timing,
               const ClockReading& now) const;
  Verdict JudgeRow(const columns::Column& times, size_t row, base::Timestamp newest,
                   const StreamTiming& timing, const ClockReading& now);
  bool IsAhead(const columns::Column& times, size_t row, const StreamTiming& timing,
               const ClockReading& now);
  bool JumpIsConfirmed(const columns::Column& times, size_t row, const StreamTiming& timing,
                       const ClockReading& now);
  base::Timestamp& NewestOf(base::StreamId stream);

  ClockMode mode_;
  base::Timestamp newest_ = base::Timestamp::Min();
  std::vector<base::Timestamp> newest_by_stream_;  // by stream id
  Run run_;
};

}  // namespace headrace::log

#include "log/time_gate.h"

#include <algorithm>

#include <fmt/core.h>

namespace headrace::log {

using base::Timestamp;
using columns::Column;

namespace {

Timestamp TimeAt(const Column& times, size_t row) { return {times.Int64s()[row]}; }

bool Near(Timestamp a, Timestamp b, base::Duration distance) {
  return a <= b + distance && b <= a + distance;
}

}  // namespace

Timestamp TimeGate::newest(base::StreamId stream) const {
  return stream.value < newest_by_stream_.size() ? newest_by_stream_[stream.value]
                                                 : Timestamp::Min();
}

Timestamp& TimeGate::NewestOf(base::StreamId stream) {
  if (stream.value >= newest_by_stream_.size())
    newest_by_stream_.resize(stream.value + 1, Timestamp::Min());
  return newest_by_stream_[stream.value];
}

std::optional<TimeGate::Span> TimeGate::SpanOf(const Column& times) {
  if (times.has_nulls() || times.length() == 0) return std::nullopt;
  int64_t min = times.Int64s()[0];
  int64_t max = min;
  for (const int64_t us : times.Int64s().first(times.length())) {
    min = std::min(min, us);
    max = std::max(max, us);
  }
  return Span{{min}, {max}};
}

void TimeGate::Restore(base::StreamId stream, const Column& times) {
  const auto span = SpanOf(times);
  if (!span) return;
  Timestamp& newest = NewestOf(stream);
  newest = std::max(newest, span->max);
  newest_ = std::max(newest_, span->max);
}

void TimeGate::Restore(const Watermark& mark) {
  Timestamp& newest = NewestOf(mark.stream);
  newest = std::max(newest, mark.newest);
  newest_ = std::max(newest_, mark.newest);
}

std::vector<Watermark> TimeGate::newest_by_stream() const {
  std::vector<Watermark> marks;
  for (uint32_t id = 0; id < newest_by_stream_.size(); ++id)
    if (newest_by_stream_[id] > Timestamp::Min()) marks.push_back({{id}, newest_by_stream_[id]});
  return marks;
}

// Sufficient, whatever the order of the rows: none is late even against the newest of its own
// batch.
bool TimeGate::AllPass(const Span& span, Timestamp newest, const StreamTiming& timing,
                       const ClockReading& now) const {
  if (span.min < std::max(newest, span.max) - timing.late) return false;
  if (mode_ == ClockMode::kWall) return span.max <= now.log + timing.max_ahead;
  if (span.max > now.wall) return false;
  const Timestamp clock = newest_ == Timestamp::Min() ? span.min : newest_;
  return span.max <= clock + timing.max_ahead;
}

std::vector<Verdict> TimeGate::Judge(base::StreamId stream, const StreamTiming& timing,
                                     const Column& times, const ClockReading& now) {
  if (times.length() == 0) return {};
  Timestamp& newest = NewestOf(stream);
  const auto span = SpanOf(times);
  if (span && AllPass(*span, newest, timing, now)) {
    newest = std::max(newest, span->max);
    newest_ = std::max(newest_, span->max);
    run_ = {};
    return {};
  }
  std::vector<Verdict> verdicts(times.length());
  bool all_accepted = true;
  for (size_t row = 0; row < times.length(); ++row) {
    verdicts[row] = JudgeRow(times, row, newest, timing, now);
    if (verdicts[row] == Verdict::kAccept) {
      newest = std::max(newest, TimeAt(times, row));
      newest_ = std::max(newest_, newest);
    } else {
      all_accepted = false;
    }
  }
  if (all_accepted) verdicts.clear();
  return verdicts;
}

std::vector<Verdict> TimeGate::JudgeReplay(base::StreamId stream, const StreamTiming& timing,
                                           const Column& times, columns::Replay::LateRows late,
                                           const ClockReading& now) {
  Timestamp& newest = NewestOf(stream);
  const Timestamp last = mode_ == ClockMode::kWall ? now.log + timing.max_ahead
                         : newest_ == Timestamp::Min()
                             ? newest_  // the clock begins with a row that is new
                             : std::min(now.wall, newest_ + timing.max_ahead);
  std::vector<Verdict> verdicts(times.length());
  for (size_t row = 0; row < times.length(); ++row) {
    if (times.IsNull(row)) {
      verdicts[row] = Verdict::kNoTime;
    } else if (const Timestamp at = TimeAt(times, row); at > last) {
      verdicts[row] = Verdict::kAhead;
    } else if (late == columns::Replay::LateRows::kStay && at < newest - timing.late) {
      verdicts[row] = Verdict::kLate;
    } else {
      newest = std::max(newest, at);
      newest_ = std::max(newest_, at);
    }
  }
  return verdicts;
}

void TimeGate::TakeBack(const TimeGate& before) {
  newest_ = before.newest_;
  newest_by_stream_ = before.newest_by_stream_;
}

bool TimeGate::WouldPass(base::StreamId stream, const StreamTiming& timing, const Column& times,
                         const ClockReading& now) const {
  const auto span = SpanOf(times);
  return span && AllPass(*span, newest(stream), timing, now);
}

Verdict TimeGate::JudgeRow(const Column& times, size_t row, Timestamp newest,
                           const StreamTiming& timing, const ClockReading& now) {
  if (times.IsNull(row)) return Verdict::kNoTime;
  if (IsAhead(times, row, timing, now)) return Verdict::kAhead;
  if (TimeAt(times, row) < newest - timing.late) return Verdict::kLate;
  return Verdict::kAccept;
}

bool TimeGate::IsAhead(const Column& times, size_t row, const StreamTiming& timing,
                       const ClockReading& now) {
  const Timestamp at = TimeAt(times, row);
  if (mode_ == ClockMode::kWall) return at > now.log + timing.max_ahead;
  if (at > now.wall) return true;
  const bool is_jump = newest_ == Timestamp::Min() || at > newest_ + timing.max_ahead;
  if (is_jump) return !JumpIsConfirmed(times, row, timing, now);
  run_ = {};
  return false;
}

bool TimeGate::JumpIsConfirmed(const Column& times, size_t row, const StreamTiming& timing,
                               const ClockReading& now) {
  const Timestamp at = TimeAt(times, row);
  const size_t end = std::min(times.length(), row + 1 + kConfirmRows);
  size_t with = 0;
  size_t against = 0;
  for (size_t next = row + 1; next < end; ++next) {
    if (times.IsNull(next) || TimeAt(times, next) > now.wall) continue;
    ++(TimeAt(times, next) >= at - timing.max_ahead ? with : against);
  }
  if (with + against > 0) return with > against;
  if (newest_ == Timestamp::Min()) return true;
  run_.length = run_.length > 0 && Near(run_.at, at, timing.max_ahead) ? run_.length + 1 : 1;
  run_.at = at;
  if (run_.length <= kConfirmBatches) return false;
  run_ = {};
  return true;
}

std::string TimeGate::Reason(Verdict verdict, Timestamp at, base::StreamId stream,
                             const StreamTiming& timing, const ClockReading& now) const {
  const auto shown = [&](Timestamp event_time) {
    return timing.event_time_restricted ? "***" : base::FormatTimestamp(event_time);
  };
  const std::string time = shown(at);
  if (verdict == Verdict::kNoTime) return "the row has no event time: send one";
  if (verdict == Verdict::kLate)
    return fmt::format(
        "{} is more than {} behind {}, the newest event time of the stream: raise `late`, or let "
        "it in with `headrace replay`",
        time, base::FormatDuration(timing.late), shown(newest(stream)));
  if (mode_ == ClockMode::kWall)
    return fmt::format("{} is more than {} ahead of the log clock, {}: mend the sender's clock",
                       time, base::FormatDuration(timing.max_ahead),
                       base::FormatTimestamp(now.log));
  if (at > now.wall) return fmt::format("{} lies in the future: mend the row's time", time);
  return fmt::format(
      "{} is more than {} past the newest event time, {}, and the rows after it do not confirm the "
      "jump: mend the row's time, or send it again with the rows that follow it",
      time, base::FormatDuration(timing.max_ahead), shown(newest_));
}

}  // namespace headrace::log

#include "log/admission.h"

#include <algorithm>

namespace headrace::log {

using columns::Atomicity;
using columns::ColumnBatch;
using columns::EventBatch;
using columns::RejectedRow;

namespace {

std::string_view RuleOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kLate: return "late";
    case Verdict::kAhead: return "ahead_of_clock";
    case Verdict::kNoTime: return "required";
    case Verdict::kAccept: break;
  }
  return "";
}

// What the batch was answered.
StoredAnswer AnswerOf(const Epoch& epoch, const SourceOutcome& outcome,
                      std::optional<size_t> event_time_field) {
  std::vector<RejectedRow> refused;
  for (const StreamRejects& group : epoch.rejects)
    if (group.stream == outcome.stream)
      for (const uint32_t index :
           std::span(outcome.rejects).first(std::min(outcome.rejects.size(), kRefusedRowsKept)))
        refused.push_back(group.rows[index]);
  StoredAnswer answer{epoch.id, outcome.accepted, static_cast<uint32_t>(outcome.rejects.size()),
                      WithoutPayloads(refused)};
  if (outcome.first_row != kRowUnknown && event_time_field) {
    const columns::Column& times = epoch.RowsOf(outcome.stream)->column(*event_time_field);
    answer.first_row = outcome.first_row;
    answer.first_time = {times.Int64s()[outcome.first_row]};
  }
  return answer;
}

ColumnBatch NoRows(const ColumnBatch& rows) { return rows.rows() == 0 ? rows : rows.Slice(0, 0); }

}  // namespace

Admission::Admission(const LogOptions& options) : gate_(options.clock), answers_(options) {}

std::vector<Verdict> Admission::Judge(TimeGate& gate, const EventBatch& batch,
                                      const StreamTiming& timing, const ClockReading& now) {
  if (batch.rows.rows() == 0) return {};
  if (!batch.replay.letters.empty())
    return gate.JudgeReplay(batch.stream, timing, batch.rows.column(timing.event_time_field),
                            batch.replay.late_rows, now);
  return gate.Judge(batch.stream, timing, batch.rows.column(timing.event_time_field), now);
}

// Moves the rows that did not pass from `batch.rows` to `batch.rejected`.
void Admission::Refuse(EventBatch& batch, const std::vector<Verdict>& verdicts,
                       const StreamTiming& timing, const ClockReading& now) {
  const columns::Column& times = batch.rows.column(timing.event_time_field);
  std::vector<uint32_t> kept;
  for (uint32_t row = 0; row < verdicts.size(); ++row) {
    if (verdicts[row] == Verdict::kAccept) {
      kept.push_back(row);
      continue;
    }
    const base::Timestamp at{times.IsNull(row) ? 0 : times.Int64s()[row]};
    batch.rejected.push_back({batch.row_numbers.empty() ? row : batch.row_numbers[row],
                              batch.rows.schema()->field(timing.event_time_field).name,
                              std::string(RuleOf(verdicts[row])),
                              gate_.Reason(verdicts[row], at, batch.stream, timing, now),
                              columns::RowAsJson(batch.rows, row, batch.json_columns)});
  }
  batch.rows = batch.rows.Take(kept);
  if (!batch.replay.letters.empty()) {
    std::vector<columns::Replay::Letter> left;
    for (const uint32_t row : kept) left.push_back(batch.replay.letters[row]);
    batch.replay.letters = std::move(left);
  }
  std::stable_sort(batch.rejected.begin(), batch.rejected.end(),
                   [](const RejectedRow& a, const RejectedRow& b) { return a.row < b.row; });
}

bool Admission::WouldFollow(const EventBatch& batch, const StreamTiming& timing,
                            const ClockReading& now, base::EpochId epoch) const {
  if (!batch.rejected.empty()) return false;
  const auto repeat = FindRepeat(batch);
  if (!repeat) return false;
  if (*repeat) return (*repeat)->accepted > 0 && (*repeat)->epoch > epoch;
  return gate_.WouldPass(batch.stream, timing, batch.rows.column(timing.event_time_field), now);
}

size_t Admission::WouldRefuse(const EventBatch& batch, const StreamTiming& timing,
                              const ClockReading& now) const {
  TimeGate tried = gate_;
  const std::vector<Verdict> verdicts = Judge(tried, batch, timing, now);
  return verdicts.size() - static_cast<size_t>(std::ranges::count(verdicts, Verdict::kAccept));
}

Admitted Admission::Admit(EventBatch& batch, const StreamTiming& timing, Place place,
                          base::EpochId durable, const ClockReading& now) {
  const bool is_replay = !batch.replay.letters.empty();
  const bool all_or_none = batch.atomicity == Atomicity::kAllOrNone;
  const bool spoilt = all_or_none && !batch.rejected.empty();
  if (!spoilt) {
    const std::optional<TimeGate> before =
        all_or_none ? std::optional<TimeGate>(gate_) : std::nullopt;
    const std::vector<Verdict> verdicts = Judge(gate_, batch, timing, now);
    if (!verdicts.empty()) {
      Refuse(batch, verdicts, timing, now);
      if (before) gate_.TakeBack(*before);  // no row of it came in
    }
  }
  if (all_or_none && !batch.rejected.empty()) batch.rows = NoRows(batch.rows);
  if (!batch.origin.empty())
    for (RejectedRow& row : batch.rejected) row.reason += " (" + batch.origin + ")";
  const size_t accepted = batch.rows.rows();
  StoredAnswer answer{place.epoch, static_cast<uint32_t>(accepted),
                      static_cast<uint32_t>(batch.rejected.size()),
                      WithoutPayloads(batch.rejected)};
  if (accepted > 0) {
    answer.first_row = place.first_row;
    answer.first_time = {batch.rows.column(timing.event_time_field).Int64s()[0]};
  }
  answers_.Put(batch.stream, batch.source, answer, durable);
  if (is_replay) batch.rejected.clear();
  return {std::move(batch.rows), std::move(batch.rejected), std::move(answer)};
}

void Admission::Restore(
    const Epoch& epoch,
    const std::function<std::optional<size_t>(base::StreamId)>& event_time_field) {
  gate_.RestoreClock(epoch.clock);
  for (const StreamRows& rows : epoch.streams) {
    const auto field = event_time_field(rows.stream);
    if (field) gate_.Restore(rows.stream, rows.rows.column(*field));
  }
  for (const SourceOutcome& outcome : epoch.outcomes)
    answers_.Put(outcome.stream, outcome.source,
                 AnswerOf(epoch, outcome, event_time_field(outcome.stream)), epoch.id);
  answers_.EndEpoch(epoch.sealed_at);
}

void Admission::RestoreGate(base::Timestamp clock, std::span<const Watermark> newest) {
  gate_.RestoreClock(clock);
  for (const Watermark& mark : newest) gate_.Restore(mark);
}

}  // namespace headrace::log

#include "log/pending_epoch.h"

#include <algorithm>

#include "log/replay_entry.h"

namespace headrace::log {
namespace {

constexpr uint64_t kBatchFrameBytes = 512;
constexpr uint64_t kColumnFrameBytes = 128;
constexpr uint64_t kRejectFrameBytes = 64;

uint64_t BytesOf(const columns::RejectedRow& row) {
  return kRejectFrameBytes + row.field.size() + row.rule.size() + row.reason.size() +
         row.payload.size();
}

uint64_t BytesOf(const columns::BatchSource& source) {
  return source.producer.size() + (source.idempotency_key ? source.idempotency_key->size() : 0);
}

uint64_t BytesOf(const columns::ColumnBatch& rows, std::span<const columns::RejectedRow> rejected) {
  uint64_t total = kBatchFrameBytes + rows.ByteSize() + rows.columns().size() * kColumnFrameBytes;
  for (const columns::RejectedRow& row : rejected) total += BytesOf(row);
  return total;
}

bool HasSource(const columns::BatchSource& source) {
  return !source.producer.empty() || source.idempotency_key.has_value();
}

}  // namespace

uint64_t BytesOf(const columns::EventBatch& batch) {
  return BytesOf(batch.rows, batch.rejected) + BytesOf(batch.source) +
         ReplayBytesMax(batch.replay.letters.size());
}

uint32_t PendingEpoch::RowsOf(base::StreamId stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? 0 : found->second.rows;
}

void PendingEpoch::Add(Admitted admitted, Submission submission) {
  has_content_ = true;
  rows_ += admitted.rows.rows();
  bytes_ += BytesOf(admitted.rows, admitted.rejected) + BytesOf(submission.batch.source);
  Stream& stream = streams_[submission.batch.stream];
  SourceOutcome outcome{
      submission.batch.stream, submission.batch.source, admitted.answer.accepted, {}};
  for (columns::RejectedRow& row : admitted.rejected) {
    outcome.rejects.push_back(static_cast<uint32_t>(stream.rejects.size()));
    stream.rejects.push_back(std::move(row));
  }
  stream.rows += static_cast<uint32_t>(admitted.rows.rows());
  if (admitted.rows.rows() > 0) stream.batches.push_back(std::move(admitted.rows));
  outcome.first_row = admitted.answer.first_row;
  if (HasSource(outcome.source)) outcomes_.push_back(std::move(outcome));
  submission.batch = {};
  batch_waiters_.push_back({std::move(submission), std::move(admitted.answer)});
}

void PendingEpoch::Add(ControlEntry entry, ControlCallback done) {
  has_content_ = true;
  bytes_ += kBatchFrameBytes + entry.name.size() + entry.payload.size();
  controls_.push_back(std::move(entry));
  if (done) control_waiters_.push_back(std::move(done));
}

void PendingEpoch::AddHeartbeat(const std::string& stream) {
  const bool has_one = std::ranges::any_of(controls_, [&](const ControlEntry& entry) {
    return entry.kind == ControlEntry::Kind::kHeartbeat && entry.name == stream;
  });
  if (!has_one) Add({ControlEntry::Kind::kHeartbeat, stream, {}}, nullptr);
}

Epoch PendingEpoch::Seal(const SealTimes& times) {
  Epoch epoch;
  epoch.id = id_;
  epoch.clock = times.clock;
  epoch.sealed_at = times.sealed_at;
  epoch.visible_through = times.visible_through;
  epoch.visible_at = times.visible_at;
  const bool previous_is_visible =
      times.visible_through.value > 0 && times.visible_through.Next() == id_;
  epoch.previous_visible = previous_is_visible ? times.visible_at : base::Timestamp::Min();
  for (auto& [id, stream] : streams_) {
    if (!stream.batches.empty())
      epoch.streams.push_back({id, columns::ColumnBatch::Concat(stream.batches)});
    if (!stream.rejects.empty()) epoch.rejects.push_back({id, std::move(stream.rejects)});
  }
  streams_.clear();
  epoch.outcomes = std::move(outcomes_);
  epoch.controls = std::move(controls_);
  return epoch;
}

}  // namespace headrace::log

#pragma once
// A gate for tests: keeps what was submitted, answers at once or when told, remembers producers as
// the log would.

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ingest/stream_gate.h"

namespace headrace::ingest::testing {

// Thread-safe. Accepts everything that passed the contract.
class FakeGate final : public StreamGate {
 public:
  enum class Answering { kAtOnce, kWhenTold };

  explicit FakeGate(std::vector<StreamHandle> streams, Answering answering = Answering::kAtOnce)
      : streams_(std::move(streams)), answering_(answering) {}

  base::Result<StreamHandle> Find(std::string_view stream) const override {
    for (const StreamHandle& handle : streams_)
      if (handle.name == stream) return handle;
    return base::Fail(base::ErrorCode::kNotFound, "no stream `" + std::string(stream) +
                                                      "`; there is: " + streams_.front().name);
  }
  std::vector<StreamHandle> Streams() const override { return streams_; }

  void Submit(columns::EventBatch batch, OutcomeCallback done) override {
    std::unique_lock lock(mutex_);
    auto outcome = Admit(std::move(batch));
    if (answering_ == Answering::kWhenTold) {
      waiting_.emplace_back(std::move(outcome), std::move(done));
      return;
    }
    lock.unlock();
    done(std::move(outcome));
  }

  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override {
    const std::lock_guard lock(mutex_);
    const auto found = last_.find(producer);
    return found == last_.end() ? 0 : found->second;
  }
  std::string LogName() const override { return "00112233445566778899aabbccddeeff"; }

  // Answers the oldest waiting batch; false when none waits.
  bool AnswerOne() {
    std::unique_lock lock(mutex_);
    if (waiting_.empty()) return false;
    auto [outcome, done] = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    done(std::move(outcome));
    return true;
  }
  // From now on every batch is refused with this error.
  void FailWith(base::Error error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  // From now on every batch gets this answer.
  void AnswerWith(IngestOutcome outcome) {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
  }
  void FailNoMore() {
    const std::lock_guard lock(mutex_);
    error_.reset();
  }

  size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  uint64_t rows() const {
    const std::lock_guard lock(mutex_);
    return rows_;
  }
  // Batches admitted first (no repeats), in order.
  std::vector<columns::EventBatch> batches() const {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  // For long runs.
  void ForgetBatches() { keep_ = false; }

 private:
  base::Result<IngestOutcome> Admit(columns::EventBatch batch) {
    if (error_) return base::Fail(*error_);
    if (outcome_) return *outcome_;
    IngestOutcome outcome{.accepted = batch.rows.rows(),
                          .refused_rows = batch.rejected.size(),
                          .refused = batch.rejected};
    const columns::BatchSource& source = batch.source;
    if (!source.producer.empty()) {
      uint64_t& last = last_[source.producer];
      if (source.sequence <= last) {
        outcome.repeat = Repeat::kRepeated;
        outcome.epoch = {source.sequence};
        return outcome;
      }
      if (source.sequence != last + 1)
        return base::Fail(base::ErrorCode::kInvalidInput, "a gap in the sequence");
      last = source.sequence;
    }
    outcome.epoch = {++epoch_};
    rows_ += batch.rows.rows();
    if (keep_) batches_.push_back(std::move(batch));
    return outcome;
  }

  const std::vector<StreamHandle> streams_;
  const Answering answering_;
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t> last_;
  std::deque<std::pair<base::Result<IngestOutcome>, OutcomeCallback>> waiting_;
  std::vector<columns::EventBatch> batches_;
  std::optional<base::Error> error_;
  std::optional<IngestOutcome> outcome_;
  uint64_t epoch_ = 0;
  uint64_t rows_ = 0;
  bool keep_ = true;
};

}  // namespace headrace::ingest::testing

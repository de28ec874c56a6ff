#include "log/answer_book.h"

#include <algorithm>

#include <fmt/core.h>

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::BatchSource;
using columns::RejectedRow;

namespace {

constexpr uint64_t kProducerBytes = 200;  // list node, map node, deque
constexpr uint64_t kKeyBytes = 160;

std::string ScopedKey(base::StreamId stream, std::string_view key) {
  return fmt::format("{}/{}", stream.value, key);
}

uint64_t BytesOf(const StoredAnswer& answer) {
  uint64_t bytes = sizeof(StoredAnswer);
  if (!answer.refused) return bytes;
  for (const RejectedRow& row : *answer.refused)
    bytes += sizeof(RejectedRow) + row.field.size() + row.rule.size() + row.reason.size();
  return bytes;
}

Result<void> CheckSource(const BatchSource& source) {
  if (source.producer.empty()) return {};
  if (source.idempotency_key)
    return Fail(ErrorCode::kInvalidInput,
                "a batch has a producer and sequence, or an idempotency key, not both");
  if (source.sequence == 0)
    return Fail(ErrorCode::kInvalidInput, "a producer's sequence numbers begin at 1");
  return {};
}

std::unexpected<base::Error> Gap(const BatchSource& source, uint64_t last) {
  return Fail(base::Error(ErrorCode::kInvalidInput,
                          fmt::format("sequence {} of producer `{}` leaves a gap: send {} first{}",
                                      source.sequence, source.producer, last + 1,
                                      last == 0 ? " (it is unknown here, or was idle for too long: "
                                                  "then begin again under a new name)"
                                                : ""))
                  .With("producer", source.producer)
                  .With("expected", std::to_string(last + 1)));
}

}  // namespace

std::shared_ptr<const std::vector<RejectedRow>> WithoutPayloads(std::span<const RejectedRow> rows) {
  if (rows.empty()) return nullptr;
  auto bare = std::make_shared<std::vector<RejectedRow>>();
  bare->reserve(rows.size());
  for (const RejectedRow& row : rows)
    bare->push_back({row.row, row.field, row.rule, row.reason, {}});
  return bare;
}

Result<std::optional<StoredAnswer>> AnswerBook::Find(base::StreamId stream,
                                                     const BatchSource& source) const {
  HR_TRY_VOID(CheckSource(source));
  if (source.idempotency_key) {
    const auto found = by_key_.find(ScopedKey(stream, *source.idempotency_key));
    if (found == by_key_.end()) return std::nullopt;
    return found->second.answer;
  }
  if (source.producer.empty()) return std::nullopt;
  const auto found = by_name_.find(source.producer);
  const uint64_t last = found == by_name_.end() ? 0 : found->second->last_sequence;
  if (source.sequence == last + 1) return std::nullopt;
  if (source.sequence > last) return Gap(source, last);
  const auto& answers = found->second->answers;
  const uint64_t back = last - source.sequence;
  if (back < answers.size()) return answers[answers.size() - 1 - back];
  return StoredAnswer{answers.front().epoch, 0, nullptr};
}

void AnswerBook::Put(base::StreamId stream, const BatchSource& source, StoredAnswer answer,
                     base::Timestamp at, base::EpochId durable) {
  if (source.idempotency_key) {
    PutKey(ScopedKey(stream, *source.idempotency_key), std::move(answer), at);
  } else if (!source.producer.empty()) {
    PutProducer(source, std::move(answer), durable);
  }
}

void AnswerBook::PutProducer(const BatchSource& source, StoredAnswer answer,
                             base::EpochId durable) {
  const auto found = by_name_.find(source.producer);
  if (found == by_name_.end()) {
    producers_.push_back({source.producer, 0, {}});
    by_name_.emplace(producers_.back().name, std::prev(producers_.end()));
    bytes_ += kProducerBytes + source.producer.size();
  } else {
    producers_.splice(producers_.end(), producers_, found->second);
  }
  Producer& producer = producers_.back();
  producer.last_sequence = source.sequence;
  bytes_ += BytesOf(answer);
  producer.answers.push_back(std::move(answer));
  // LastSequence needs the answers that are not durable yet.
  const size_t kept = std::max<size_t>(options_.outcomes_per_producer, 1);
  while (producer.answers.size() > kept && producer.answers.front().epoch <= durable) {
    bytes_ -= BytesOf(producer.answers.front());
    producer.answers.pop_front();
  }
  RetireProducers();
}

void AnswerBook::RetireProducers() {
  while (producers_.size() > options_.producers_max) {
    const Producer& oldest = producers_.front();
    for (const StoredAnswer& answer : oldest.answers) bytes_ -= BytesOf(answer);
    bytes_ -= kProducerBytes + oldest.name.size();
    by_name_.erase(oldest.name);
    producers_.pop_front();
  }
}

void AnswerBook::PutKey(std::string key, StoredAnswer answer, base::Timestamp at) {
  const uint64_t bytes = kKeyBytes + 2 * key.size() + BytesOf(answer);
  const auto [place, added] = by_key_.insert_or_assign(key, KeyedAnswer{at, std::move(answer)});
  (void)place;
  if (added) bytes_ += bytes;
  keys_in_order_.push_back({at, std::move(key)});
  RetireKeys(at);
}

void AnswerBook::RetireKeys(base::Timestamp now) {
  while (keys_in_order_.size() > options_.idempotency_keys_max ||
         (!keys_in_order_.empty() && keys_in_order_.front().at < now - options_.idempotency_keep)) {
    const auto found = by_key_.find(keys_in_order_.front().key);
    // A key that came again after its time has a younger place further behind.
    if (found != by_key_.end() && found->second.at == keys_in_order_.front().at) {
      bytes_ -= kKeyBytes + 2 * found->first.size() + BytesOf(found->second.answer);
      by_key_.erase(found);
    }
    keys_in_order_.pop_front();
  }
}

uint64_t AnswerBook::LastSequence(const std::string& producer, base::EpochId durable) const {
  const auto found = by_name_.find(producer);
  if (found == by_name_.end()) return 0;
  uint64_t last = found->second->last_sequence;
  const auto& answers = found->second->answers;
  for (auto answer = answers.rbegin(); answer != answers.rend() && answer->epoch > durable;
       ++answer)
    --last;
  return last;
}

}  // namespace headrace::log

#include "log/answer_book.h"

#include <algorithm>

#include <fmt/core.h>

#include "columns/source_producers.h"
#include "log/answer_copy.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::BatchSource;
using columns::RejectedRow;

namespace {

constexpr uint64_t kProducerBytes = 200;  // list node, map node, deque
constexpr uint64_t kKeyBytes = 160;
constexpr uint64_t kListBytes = 120;  // map node, vector

// Of a producer or a key: streams may have each of the same name.
std::string Scoped(base::StreamId stream, std::string_view name) {
  return fmt::format("{}/{}", stream.value, name);
}

// With the slash, as a producer is called whose stream is not told.
std::string_view WithoutStream(std::string_view scoped) { return scoped.substr(scoped.find('/')); }

bool IsSource(std::string_view scoped) {
  return WithoutStream(scoped).substr(1).starts_with(columns::kSourceProducers);
}

uint64_t BytesOf(std::span<const RejectedRow> refused) {
  uint64_t bytes = kListBytes;
  for (const RejectedRow& row : refused)
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

std::shared_ptr<const std::vector<RejectedRow>> WithoutPayloads(std::span<const RejectedRow> rows,
                                                                size_t rows_max) {
  if (rows.empty()) return nullptr;
  rows = rows.first(std::min(rows.size(), rows_max));
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
    const auto found = by_key_.find(Scoped(stream, *source.idempotency_key));
    if (found == by_key_.end()) return std::nullopt;
    return Told(found->second.answer);
  }
  if (source.producer.empty()) return std::nullopt;
  const Producer* const producer = Known(stream, source.producer);
  const uint64_t last = producer == nullptr ? 0 : producer->last_sequence;
  if (source.sequence == last + 1) return std::nullopt;
  if (source.sequence > last) return Gap(source, last);
  const auto& answers = producer->answers;
  const uint64_t back = last - source.sequence;
  if (back < answers.size()) return Told(answers[answers.size() - 1 - back]);
  return StoredAnswer{answers.front().epoch};
}

void AnswerBook::Put(base::StreamId stream, const BatchSource& source, StoredAnswer answer,
                     base::EpochId durable) {
  if (source.idempotency_key) {
    PutKey(Scoped(stream, *source.idempotency_key), std::move(answer));
    RetireKeys(options_.idempotency_keys_max);
  } else if (!source.producer.empty()) {
    PutProducer(Scoped(stream, source.producer), source.sequence, std::move(answer), durable);
  }
}

const AnswerBook::Producer* AnswerBook::Known(base::StreamId stream,
                                              const std::string& producer) const {
  const std::string name = Scoped(stream, producer);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) found = by_name_.find(WithoutStream(name));
  return found == by_name_.end() ? nullptr : &*found->second;
}

void AnswerBook::Adopt(const std::string& name) {
  if (by_name_.contains(name)) return;
  const auto found = by_name_.find(WithoutStream(name));
  if (found == by_name_.end()) return;
  const auto producer = found->second;
  by_name_.erase(found);
  bytes_ += name.size() - producer->name.size();
  producer->name = name;
  producer->in_copy = 0;  // not under this name
  by_name_.emplace(producer->name, producer);
}

AnswerBook::Producer& AnswerBook::Touch(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    producers_.push_back({name, 0, {}});
    by_name_.emplace(producers_.back().name, std::prev(producers_.end()));
    bytes_ += kProducerBytes + name.size();
    if (IsSource(name)) ++sources_;
  } else {
    if (copy_ != nullptr) copy_->BeforeMove(found->second);
    producers_.splice(producers_.end(), producers_, found->second);
  }
  return producers_.back();
}

AnswerBook::Kept AnswerBook::Keep(StoredAnswer answer) {
  bytes_ += sizeof(Kept);
  Kept kept{answer.epoch, answer.accepted, answer.refused_rows, answer.first_row,
            answer.first_time};
  if (!answer.refused) return kept;
  List list{std::move(answer.refused)};
  if (list.rows->size() > kRefusedRowsKept)
    list.rows = WithoutPayloads(*list.rows, kRefusedRowsKept);
  list.bytes = BytesOf(*list.rows);
  lists_bytes_ += list.bytes;
  bytes_ += list.bytes;
  kept.list = ++lists_begun_;
  lists_.emplace_hint(lists_.end(), kept.list, std::move(list));
  while (lists_bytes_ > options_.answers_refused_bytes_max) DropList(lists_.begin());
  return kept;
}

void AnswerBook::Forget(const Kept& answer) {
  bytes_ -= sizeof(Kept);
  if (const auto list = lists_.find(answer.list); list != lists_.end()) DropList(list);
}

StoredAnswer AnswerBook::Told(const Kept& answer) const {
  const auto list = lists_.find(answer.list);
  return {answer.epoch,        answer.accepted,
          answer.refused_rows, list == lists_.end() ? nullptr : list->second.rows,
          answer.first_row,    answer.first_time};
}

uint64_t AnswerBook::ListBytes(const Kept& answer) const {
  const auto list = lists_.find(answer.list);
  return list == lists_.end() ? 0 : list->second.bytes;
}

void AnswerBook::DropList(std::map<uint64_t, List>::iterator list) {
  lists_bytes_ -= list->second.bytes;
  bytes_ -= list->second.bytes;
  lists_.erase(list);
}

void AnswerBook::Append(Producer& producer, StoredAnswer answer, base::EpochId durable) {
  producer.answers.push_back(Keep(std::move(answer)));
  // LastSequence needs the answers that are not durable yet.
  const size_t kept = std::max<size_t>(options_.outcomes_per_producer, 1);
  while (producer.answers.size() > kept && producer.answers.front().epoch <= durable) {
    Forget(producer.answers.front());
    producer.answers.pop_front();
  }
}

void AnswerBook::PutProducer(const std::string& name, uint64_t sequence, StoredAnswer answer,
                             base::EpochId durable) {
  Adopt(name);
  Producer& producer = Touch(name);
  producer.last_sequence = sequence;
  Append(producer, std::move(answer), durable);
  if (copy_ != nullptr) copy_->Note(producer);
  RetireProducers(options_.producers_max);
}

void AnswerBook::DropAnswers(Producer& producer) {
  for (const Kept& answer : producer.answers) Forget(answer);
  producer.answers.clear();
}

void AnswerBook::RetireProducers(size_t kept) {
  for (auto next = producers_.begin(); producers_.size() - sources_ > kept;) {
    const auto oldest = next++;
    if (IsSource(oldest->name)) continue;
    if (copy_ != nullptr) copy_->BeforeMove(oldest);
    DropAnswers(*oldest);
    bytes_ -= kProducerBytes + oldest->name.size();
    by_name_.erase(oldest->name);
    producers_.erase(oldest);
  }
}

void AnswerBook::PutKey(std::string key, StoredAnswer answer) {
  const uint64_t number = first_key_number_ + keys_in_order_.size();
  const auto [place, added] = by_key_.try_emplace(key);
  // Only what a damaged or hostile capture holds twice comes here twice.
  if (!added) Forget(place->second.answer);
  bytes_ += added ? kKeyBytes + 2 * key.size() : 0;
  place->second = KeyedAnswer{number, Keep(std::move(answer))};
  if (copy_ != nullptr) copy_->Note(key, place->second.answer);
  keys_in_order_.push_back({base::Timestamp::Max(), std::move(key)});
  ++keys_unsealed_;
}

void AnswerBook::RetireOldestKey() {
  const auto found = by_key_.find(keys_in_order_.front().key);
  if (found != by_key_.end() && found->second.number == first_key_number_) {
    bytes_ -= kKeyBytes + 2 * found->first.size();
    Forget(found->second.answer);
    by_key_.erase(found);
  }
  keys_in_order_.pop_front();
  ++first_key_number_;
  keys_unsealed_ = std::min(keys_unsealed_, keys_in_order_.size());
}

void AnswerBook::RetireKeys(size_t kept) {
  while (keys_in_order_.size() > kept) RetireOldestKey();
}

void AnswerBook::EndEpoch(base::Timestamp sealed_at) {
  for (auto key = keys_in_order_.rbegin(); keys_unsealed_ > 0; ++key, --keys_unsealed_)
    key->at = sealed_at;
  if (copy_ != nullptr) copy_->EndEpoch(sealed_at);
  while (!keys_in_order_.empty() &&
         keys_in_order_.front().at < sealed_at - options_.idempotency_keep)
    RetireOldestKey();
}

uint64_t AnswerBook::LastSequence(base::StreamId stream, const std::string& producer,
                                  base::EpochId durable) const {
  const Producer* const known = Known(stream, producer);
  if (known == nullptr) return 0;
  uint64_t last = known->last_sequence;
  const auto& answers = known->answers;
  for (auto answer = answers.rbegin(); answer != answers.rend() && answer->epoch > durable;
       ++answer)
    --last;
  return last;
}

}  // namespace headrace::log

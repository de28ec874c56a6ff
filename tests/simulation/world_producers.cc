// World: producers, and what they are told.
#include <algorithm>

#include <fmt/format.h>

#include "simulation/world.h"

namespace headrace::simulation {

using base::ErrorCode;

namespace {

constexpr size_t kUnansweredMax = 3;  // batches that a producer with sequences has under way
constexpr size_t kAnsweredKept = 8;   // well below LogOptions::outcomes_per_producer

}  // namespace

int64_t World::NextEventTime() {
  const bool late = random_() % 10 == 0;
  if (shape_.clock == ClockKind::kWall) {  // the producers' own clocks are right
    return TrueTime() - static_cast<int64_t>(random_() % (late ? kHourUs / 2 : 1'000'000));
  }
  now_us_ += static_cast<int64_t>(random_() % 60'000'000);
  return now_us_ - (late ? static_cast<int64_t>(random_() % (kHourUs / 2)) : 0);
}

Batch World::MakeBatch(Producer& producer) {
  Batch batch;
  if (producer.source == Source::kSequence) batch.sequence = producer.next_sequence++;
  if (producer.source == Source::kKey)
    batch.key = fmt::format("{}-{}", producer.name, producer.next_sequence++);
  const uint64_t rows = 1 + random_() % 20;
  for (uint64_t i = 0; i < rows; ++i) {
    Row row{.id = next_id_++,
            .card = static_cast<int64_t>(random_() % kCards),
            .amount = static_cast<double>(random_() % 100'000) / 7,
            .paid_at_us = NextEventTime(),
            .broken = random_() % 25 == 0};
    if (row.broken) row.amount = -1;
    batch.rows.push_back(row);
  }
  record_.NoteSent(batch);
  return batch;
}

Batch* World::Find(Producer& producer, uint64_t sequence, const std::string& key) {
  for (auto* batches : {&producer.batches, &producer.answered})
    for (Batch& batch : *batches)
      if (batch.sequence == sequence && batch.key == key) return &batch;
  return nullptr;
}

void World::Submit(Producer& producer, Batch& batch) {
  if (machine_->crashed()) return;
  ++batch.under_way;
  log::AckCallback done = [this, &producer, sequence = batch.sequence,
                           key = batch.key](base::Result<log::Acknowledgement> ack) {
    OnAnswer(producer, sequence, key, std::move(ack));
  };
  machine_->Run([&] {
    if (producer.way == Producer::Way::kHttp)
      return PostBatch(*front_, batch, producer.source == Source::kSequence ? producer.name : "",
                       std::move(done));
    columns::EventBatch events = CheckedRows(*definition_, batch.rows);
    events.stream = *core_->StreamNamed(kStream);
    if (producer.source == Source::kSequence) {
      events.source.producer = producer.name;
      events.source.sequence = batch.sequence;
    }
    if (producer.source == Source::kKey) events.source.idempotency_key = batch.key;
    core_->Submit(std::move(events), std::move(done));
  });
}

// The next batch, or the oldest one that was refused or lost.
void World::Send(Producer& producer) {
  if (producer.away || machine_->crashed()) return;
  if (producer.source == Source::kNone && !producer.batches.empty()) return;
  for (Batch& batch : producer.batches)
    if (batch.under_way == 0) return Submit(producer, batch);
  if (producer.batches.size() >= kUnansweredMax) return;
  producer.batches.push_back(MakeBatch(producer));
  Submit(producer, producer.batches.back());
}

// The same batch once more: while the first is under way, or long after it was answered.
void World::SendAgain(Producer& producer) {
  if (producer.away || machine_->crashed() || producer.source == Source::kNone) return;
  auto& batches = random_() % 2 == 0 ? producer.batches : producer.answered;
  if (batches.empty()) return Send(producer);
  ++outcome_.faults["batch sent again"];
  Submit(producer, batches[random_() % batches.size()]);
}

// Two batches in the wrong order: the second is a gap, and is refused; it is sent again later.
void World::SendOutOfOrder(Producer& producer) {
  if (producer.away || machine_->crashed() || producer.source != Source::kSequence) return;
  if (!producer.batches.empty()) return Send(producer);
  ++outcome_.faults["batches reordered"];
  producer.batches.push_back(MakeBatch(producer));
  producer.batches.push_back(MakeBatch(producer));
  Submit(producer, producer.batches.back());
  Submit(producer, producer.batches.front());
}

void World::OnAnswer(Producer& producer, uint64_t sequence, const std::string& key,
                     base::Result<log::Acknowledgement> ack) {
  if (machine_->crashed()) return;  // nobody hears the dead
  const auto lost = [&] {
    if (producer.source == Source::kNone) producer.batches.clear();  // not sent again
  };
  Batch* batch = Find(producer, sequence, key);
  if (batch == nullptr) {
    // Only an old repeat's answer finds its batch gone.
    if (ack && ack->repeat != log::Acknowledgement::Repeat::kRepeated)
      Fail("an answer to no batch");
    return;
  }
  --batch->under_way;
  if (!ack) {
    const ErrorCode code = ack.error().code();
    // A gap: a batch before it was refused, lost, or is behind it.
    const bool gap = code == ErrorCode::kInvalidInput && producer.source == Source::kSequence &&
                     !producer.batches.empty() && producer.batches.front().sequence < sequence;
    const bool of_a_fault =
        (code == ErrorCode::kStorageFull || code == ErrorCode::kIoError) && MayRefuse();
    if (!gap && !of_a_fault && code != ErrorCode::kUnavailable &&
        code != ErrorCode::kResourceExhausted)
      Fail("a batch was refused: " + ack.error().ToString());
    return lost();
  }
  FailIf(record_.NoteAnswer(*batch, *ack));
  if (ack->repeat == log::Acknowledgement::Repeat::kRepeated) ++outcome_.repeated_batches;
  if (shape_.clock == ClockKind::kWall && !clock_is_off_)
    for (const columns::RejectedRow& row : ack->refused)
      if (!batch->rows[row.row].broken)
        Fail(fmt::format("a row of this minute was refused: {} {}", row.rule, row.reason));
  const auto waiting =
      std::ranges::find_if(producer.batches, [&](const Batch& each) { return &each == batch; });
  if (waiting == producer.batches.end()) return;
  if (producer.source != Source::kNone) producer.answered.push_back(std::move(*waiting));
  producer.batches.erase(waiting);
  if (producer.answered.size() > kAnsweredKept) producer.answered.pop_front();
}

}  // namespace headrace::simulation

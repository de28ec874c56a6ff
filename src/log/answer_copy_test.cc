#include "log/answer_copy.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace headrace::log {
namespace {

using columns::BatchSource;

constexpr base::StreamId kStream{1};

// One outcome of an epoch, as the log has it.
struct Outcome {
  BatchSource source;
  StoredAnswer answer;
};

struct SealedEpoch {
  base::EpochId id;
  base::Timestamp sealed_at;
  std::vector<Outcome> outcomes;
};

void Restore(AnswerBook& book, const SealedEpoch& epoch) {
  for (const Outcome& outcome : epoch.outcomes)
    book.Put(kStream, outcome.source, outcome.answer, epoch.id);
  book.EndEpoch(epoch.sealed_at);
}

// Everything that a book holds, in its order.
std::vector<uint8_t> Everything(AnswerBook& book) {
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  AnswerCopy copy(book);
  while (!copy.BaseIsWritten()) copy.WriteNext(out);
  copy.Freeze();
  while (!copy.IsWhole()) copy.WriteNext(out);
  return bytes;
}

// A book in use: some epochs are sealed and not durable, some batches are not sealed.
class Traffic {
 public:
  Traffic(uint64_t seed, const LogOptions& options) : random_(seed), book_(options) {}

  void Answer() {
    Outcome outcome;
    outcome.answer = {{epochs_.size() + 1}, static_cast<uint32_t>(random_() % 5)};
    outcome.answer.refused = Refused();
    outcome.answer.refused_rows =
        outcome.answer.refused ? static_cast<uint32_t>(outcome.answer.refused->size()) : 0;
    if (outcome.answer.accepted > 0) {
      outcome.answer.first_row = static_cast<uint32_t>(random_() % 100);
      outcome.answer.first_time.us = static_cast<int64_t>(random_());
    }
    if (random_() % 3 == 0) {
      outcome.source = {"", 0, "key-" + std::to_string(random_() % 60)};
      const auto found = book_.Find(kStream, outcome.source);
      if (*found) return;
    } else {
      // Few are busy, many come back rarely; a forgotten one begins again.
      const uint64_t name = random_() % 4 == 0 ? random_() % 40 : random_() % 6;
      outcome.source.producer = (name % 5 == 4 ? "delta/" : "producer-") + std::to_string(name);
      outcome.source.sequence =
          book_.LastSequence(kStream, outcome.source.producer, {1ULL << 40}) + 1;
    }
    book_.Put(kStream, outcome.source, outcome.answer, {durable_});
    gathering_.push_back(std::move(outcome));
  }

  void Seal() {
    wall_ = wall_ + std::chrono::minutes(static_cast<int64_t>(random_() % 30) - 4);
    book_.EndEpoch(wall_);
    epochs_.push_back({{epochs_.size() + 1}, wall_, std::move(gathering_)});
    gathering_.clear();
    durable_ = epochs_.size() - std::min<size_t>(epochs_.size(), random_() % 2);
  }

  uint64_t Random() { return random_(); }
  AnswerBook& book() { return book_; }
  const std::vector<SealedEpoch>& epochs() const { return epochs_; }

 private:
  std::shared_ptr<const std::vector<columns::RejectedRow>> Refused() {
    std::vector<columns::RejectedRow> rows;
    for (uint64_t row = random_() % 4; row > 2; --row)
      rows.push_back({static_cast<uint32_t>(row), "at", "late", "too late", "payload"});
    return WithoutPayloads(rows);
  }

  std::mt19937_64 random_;
  AnswerBook book_;
  std::vector<SealedEpoch> epochs_;
  std::vector<Outcome> gathering_;
  uint64_t durable_ = 0;
  base::Timestamp wall_ = base::Timestamp{} + std::chrono::hours(1'000);
};

LogOptions SmallOptions() {
  LogOptions options;
  options.producers_max = 12;
  options.outcomes_per_producer = 3;
  options.idempotency_keys_max = 25;
  options.idempotency_keep = std::chrono::hours(2);
  return options;
}

TEST(AnswerCopy, TakenUnderTrafficItIsTheBookAtTheEndOfAnEpoch) {
  const LogOptions options = SmallOptions();
  uint64_t copies_under_traffic = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Traffic traffic(seed, options);
    const auto act = [&] {
      for (uint64_t i = traffic.Random() % 5; i > 0; --i) traffic.Answer();
      if (traffic.Random() % 3 == 0) {
        traffic.Seal();
        return true;
      }
      return false;
    };
    for (uint64_t i = traffic.Random() % 200; i > 0; --i) act();
    while (!act()) {
    }
    AnswerCopy copy(traffic.book());
    const size_t began = traffic.epochs().size();
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    while (!copy.frozen()) {
      for (uint64_t i = traffic.Random() % 3; i > 0; --i) copy.WriteNext(out);
      if (act() && copy.BaseIsWritten()) copy.Freeze();
    }
    const size_t frozen = traffic.epochs().size();
    if (frozen > began + 1) ++copies_under_traffic;
    while (!copy.IsWhole()) {
      copy.WriteNext(out);
      act();
    }
    for (uint64_t i = traffic.Random() % 40; i > 0; --i) act();

    AnswerBook from_copy(options);
    columns::ByteReader in(bytes);
    const auto loaded = from_copy.Load(in);
    ASSERT_TRUE(loaded) << loaded.error().ToString();
    EXPECT_EQ(in.remaining(), 0U);
    AnswerBook from_epochs(options);
    for (size_t i = 0; i < traffic.epochs().size(); ++i) {
      if (i == frozen) {
        ASSERT_EQ(Everything(from_copy), Everything(from_epochs));
      }
      Restore(from_epochs, traffic.epochs()[i]);
      if (i >= frozen) Restore(from_copy, traffic.epochs()[i]);
    }
    ASSERT_EQ(Everything(from_copy), Everything(from_epochs));
    ASSERT_EQ(from_copy.byte_size(), from_epochs.byte_size());
  }
  EXPECT_GT(copies_under_traffic, 200U);
}

// What is answered while it is taken is held to the book's bounds too, and counted.
TEST(AnswerCopy, RefusedRowsThatComeMeanwhileAreBounded) {
  constexpr uint32_t kRows = 5'000;
  constexpr size_t kReasonBytes = 150;
  std::vector<columns::RejectedRow> rows;
  for (uint32_t row = 0; row < kRows; ++row)
    rows.push_back({row, "at", "late", std::string(kReasonBytes, 'x'), {}});
  for (const bool keyed : {true, false}) {
    const LogOptions options;
    AnswerBook book(options);
    AnswerCopy copy(book);
    book.Put(kStream, keyed ? BatchSource{"", 0, "key"} : BatchSource{"p", 1, {}},
             {{1}, 0, kRows, WithoutPayloads(rows)}, {9});
    EXPECT_GT(copy.note_bytes(), kRefusedRowsKept * kReasonBytes);
    book.EndEpoch({});
    copy.Freeze();
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    while (!copy.IsWhole()) copy.WriteNext(out);
    EXPECT_LT(bytes.size(), 2 * kRefusedRowsKept * kReasonBytes);
    EXPECT_EQ(copy.note_bytes(), 0U);
  }
}

// Such a producer is of the stream that it sends to next, whatever was copied of it by then.
TEST(AnswerCopy, ACaptureOfBeforeDoesNotTellTheStreamsOfProducers) {
  constexpr base::StreamId kOther{2};
  std::vector<uint8_t> before;
  columns::ByteWriter old(before);
  for (const char* name : {"p", "q"}) {
    old.U8(AnswerCopy::kProducer);
    old.Text(name);
    old.U64(7);  // last sequence
    old.U32(1);  // answers
    old.U64(3);  // epoch
    old.U32(5);  // accepted
    old.U32(0);  // first row
    old.I64(0);  // its time
    old.U32(0);  // refused
  }
  old.U8(AnswerCopy::kEnd);
  old.U64(2);
  old.U64(0);
  for (const bool written : {false, true}) {
    const LogOptions options;
    AnswerBook book(options);
    columns::ByteReader in(before);
    ASSERT_TRUE(book.Load(in, AnswerForm::kWithFirstRow));
    EXPECT_EQ((*book.Find(kStream, {"p", 7, {}}))->accepted, 5U);
    AnswerCopy copy(book);
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    while (written && !copy.BaseIsWritten()) copy.WriteNext(out);
    book.Put(kStream, {"p", 8, {}}, {{4}, 6}, {9});
    EXPECT_FALSE(*book.Find(kOther, {"p", 1, {}})) << "another stream's begins anew";
    book.EndEpoch({});
    while (!copy.BaseIsWritten()) copy.WriteNext(out);
    copy.Freeze();
    while (!copy.IsWhole()) copy.WriteNext(out);
    AnswerBook again(options);
    columns::ByteReader copied(bytes);
    ASSERT_TRUE(again.Load(copied));
    for (AnswerBook* each : {&book, &again}) {
      EXPECT_EQ((*each->Find(kStream, {"p", 8, {}}))->accepted, 6U);
      EXPECT_EQ((*each->Find(kStream, {"p", 7, {}}))->accepted, 5U);
      EXPECT_EQ(each->LastSequence(kOther, "p", {9}), 0U);
      EXPECT_EQ(each->LastSequence(kOther, "q", {9}), 7U);
    }
  }
}

TEST(AnswerCopy, DamagedBytesAreCorruptionOrAnotherBookAndNeverMore) {
  const LogOptions options = SmallOptions();
  Traffic traffic(5, options);
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 5; ++k) traffic.Answer();
    traffic.Seal();
  }
  const std::vector<uint8_t> clean = Everything(traffic.book());
  for (size_t size = 0; size < clean.size(); size += 7) {
    AnswerBook book(options);
    columns::ByteReader in({clean.data(), size});
    EXPECT_EQ(book.Load(in).error().code(), base::ErrorCode::kCorruption);
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 3'000; ++i) {
    std::vector<uint8_t> bytes = clean;
    bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1U << (random() % 8));
    AnswerBook book(options);
    columns::ByteReader in(bytes);
    (void)book.Load(in);
  }
}

}  // namespace
}  // namespace headrace::log

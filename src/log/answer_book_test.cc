#include "log/answer_book.h"

#include <gtest/gtest.h>

namespace headrace::log {
namespace {

constexpr base::StreamId kStream{1};

StoredAnswer AnswerAt(uint64_t epoch) { return {{epoch}, static_cast<uint32_t>(epoch)}; }

TEST(AnswerBook, RetiresTheProducerIdleLongest) {
  LogOptions options;
  options.producers_max = 2;
  AnswerBook book(options);
  for (const char* name : {"a", "b"}) book.Put(kStream, {name, 1, {}}, AnswerAt(1), {9});
  book.Put(kStream, {"a", 2, {}}, AnswerAt(2), {9});
  book.Put(kStream, {"c", 1, {}}, AnswerAt(3), {9});
  EXPECT_EQ(book.LastSequence(kStream, "a", {9}), 2U);
  EXPECT_EQ(book.LastSequence(kStream, "b", {9}), 0U);
  // It must not go on as if it were known: its rows could count twice.
  EXPECT_FALSE(book.Find(kStream, {"b", 2, {}}));
}

// It asks for what it has sent, however long ago that was.
TEST(AnswerBook, KeepsTheProducersOfSources) {
  LogOptions options;
  options.producers_max = 2;
  AnswerBook book(options);
  book.Put(kStream, {"delta/s/t", 1, {}}, AnswerAt(1), {9});
  for (const char* name : {"a", "b", "c"}) book.Put(kStream, {name, 1, {}}, AnswerAt(1), {9});
  EXPECT_EQ(book.LastSequence(kStream, "delta/s/t", {9}), 1U);
  EXPECT_EQ(book.LastSequence(kStream, "a", {9}), 0U);
  EXPECT_EQ(book.LastSequence(kStream, "b", {9}), 1U) << "it takes nobody's place";
  book.Put(kStream, {"delta/s/t", 2, {}}, AnswerAt(2), {9});
  EXPECT_EQ(book.LastSequence(kStream, "delta/s/t", {9}), 2U);
}

TEST(AnswerBook, AnOldRepeatIsStillARepeat) {
  LogOptions options;
  options.outcomes_per_producer = 3;
  AnswerBook book(options);
  for (uint64_t i = 1; i <= 10; ++i) book.Put(kStream, {"p", i, {}}, AnswerAt(i), {i});
  EXPECT_EQ((*book.Find(kStream, {"p", 8, {}}))->accepted, 8U);
  const auto old = book.Find(kStream, {"p", 2, {}});
  ASSERT_TRUE(old && *old);
  EXPECT_EQ((*old)->accepted, 0U);
  EXPECT_GE((*old)->epoch.value, 2U);
  EXPECT_FALSE(*book.Find(kStream, {"p", 11, {}}));
}

TEST(AnswerBook, LastSequenceCountsDurableEpochsOnly) {
  LogOptions options;
  options.outcomes_per_producer = 2;
  AnswerBook book(options);
  for (uint64_t i = 1; i <= 10; ++i) book.Put(kStream, {"p", i, {}}, AnswerAt(i), {4});
  EXPECT_EQ(book.LastSequence(kStream, "p", {4}), 4U);
  EXPECT_EQ(book.LastSequence(kStream, "p", {7}), 7U);
}

// Whoever may send to one stream only must neither see nor hinder another's.
TEST(AnswerBook, AProducerOfOneStreamIsNotAnothers) {
  constexpr base::StreamId kOther{2};
  const LogOptions options;
  AnswerBook book(options);
  book.Put(kStream, {"p", 1, {}}, AnswerAt(1), {9});
  EXPECT_FALSE(*book.Find(kOther, {"p", 1, {}}));
  EXPECT_FALSE(book.Find(kOther, {"p", 2, {}}));
  EXPECT_EQ(book.LastSequence(kOther, "p", {9}), 0U);
  book.Put(kOther, {"p", 1, {}}, AnswerAt(2), {9});
  EXPECT_EQ((*book.Find(kStream, {"p", 1, {}}))->epoch.value, 1U);
  EXPECT_EQ((*book.Find(kOther, {"p", 1, {}}))->epoch.value, 2U);
}

TEST(AnswerBook, ForgetsKeysByAgeAndCount) {
  LogOptions options;
  options.idempotency_keys_max = 3;
  AnswerBook book(options);
  const auto put = [&](const std::string& key, int64_t hours) {
    book.Put(kStream, {"", 0, key}, AnswerAt(1), {9});
    book.EndEpoch(base::Timestamp{} + std::chrono::hours(hours));
  };
  const auto knows = [&](const std::string& key) {
    return book.Find(kStream, {"", 0, key})->has_value();
  };
  put("a", 0);
  put("b", 20);
  EXPECT_TRUE(knows("a"));
  put("c", 25);
  EXPECT_FALSE(knows("a"));
  put("d", 26);
  put("e", 27);
  EXPECT_FALSE(knows("b"));
  EXPECT_TRUE(knows("c"));
  EXPECT_FALSE(book.Find({2}, {"", 0, "c"})->has_value()) << "keys belong to a stream";
}

TEST(AnswerBook, ItsSizeComesBackToNothing) {
  LogOptions options;
  options.producers_max = 1;
  options.outcomes_per_producer = 2;
  AnswerBook book(options);
  book.Put(kStream, {"a", 1, {}}, AnswerAt(1), {9});
  const uint64_t one = book.byte_size();
  for (int i = 0; i < 100; ++i)
    book.Put(kStream, {std::string(1, "bcdefg"[i % 6]), 1, {}}, AnswerAt(1), {9});
  EXPECT_EQ(book.byte_size(), one);
}

// `rows` refused rows of about 300 bytes each.
StoredAnswer RefusalOf(uint64_t epoch, uint32_t rows) {
  StoredAnswer answer{{epoch}, 0, rows};
  std::vector<columns::RejectedRow> refused;
  for (uint32_t row = 0; row < rows; ++row)
    refused.push_back({row, "at", "late", std::string(150, 'x'), {}});
  answer.refused = WithoutPayloads(refused);
  return answer;
}

TEST(AnswerBook, RemembersAsManyRefusedRowsAsAReplyLists) {
  const LogOptions options;
  AnswerBook book(options);
  book.Put(kStream, {"p", 1, {}}, RefusalOf(1, 5'000), {9});
  book.Put(kStream, {"", 0, "key"}, RefusalOf(1, 5'000), {9});
  const columns::BatchSource by_sequence{"p", 1, {}};
  const columns::BatchSource by_key{"", 0, "key"};
  for (const columns::BatchSource& source : {by_sequence, by_key}) {
    const auto again = book.Find(kStream, source);
    ASSERT_TRUE(again && *again);
    EXPECT_EQ((*again)->refused_rows, 5'000U);
    ASSERT_EQ((*again)->refused->size(), kRefusedRowsKept);
    EXPECT_EQ((*again)->refused->back().row, kRefusedRowsKept - 1);
  }
}

// A change upstream that makes every row bad must not fill the memory with what was answered.
TEST(AnswerBook, RefusedRowsAreBoundedInBytes) {
  LogOptions options;
  options.answers_refused_bytes_max = 1 << 20;
  AnswerBook book(options);
  for (uint64_t i = 1; i <= 60; ++i) {
    book.Put(kStream, {"p", i, {}}, RefusalOf(i, 1'000), {9});
    book.Put(kStream, {"", 0, "key " + std::to_string(i)}, RefusalOf(i, 1'000), {9});
  }
  EXPECT_LE(book.byte_size(), (1U << 20) + 60 * 500U);
  const auto oldest = book.Find(kStream, {"p", 1, {}});
  EXPECT_EQ((*oldest)->refused_rows, 1'000U);
  EXPECT_EQ((*oldest)->refused, nullptr);
  const auto newest = book.Find(kStream, {"p", 60, {}});
  EXPECT_EQ((*newest)->refused->size(), 1'000U);
}

TEST(AnswerBook, RefusesAmbiguousSources) {
  const LogOptions options;
  AnswerBook book(options);
  EXPECT_FALSE(book.Find(kStream, {"p", 0, {}}));
  EXPECT_FALSE(book.Find(kStream, {"p", 1, "key"}));
}

}  // namespace
}  // namespace headrace::log

#include "ingest/flight/batch_metadata.h"

#include <gtest/gtest.h>

namespace headrace::ingest {
namespace {

using base::ErrorCode;

TEST(BatchMetadata, Sequence) {
  EXPECT_EQ(ReadBatchMetadata(WriteBatchMetadata(18'446'744'073'709'551'615ULL)),
            18'446'744'073'709'551'615ULL);
  for (const char* bad : {"", "17", "{}", "{\"sequence\":0}", "{\"sequence\":-1}",
                          "{\"sequence\":1.5}", "{\"sequence\":\"1\"}", "\xff"}) {
    const auto sequence = ReadBatchMetadata(bad);
    ASSERT_FALSE(sequence.has_value()) << bad;
    EXPECT_EQ(sequence.error().code(), ErrorCode::kInvalidInput);
  }
}

TEST(BatchMetadata, Greeting) {
  const auto greeting = ReadGreeting(
      WriteGreeting({.log = "00ff", .stream = "a\"b", .last_sequence = 12, .window = 64}));
  ASSERT_TRUE(greeting.has_value());
  EXPECT_EQ(greeting->log, "00ff");
  EXPECT_EQ(greeting->stream, "a\"b");
  EXPECT_EQ(greeting->last_sequence, 12U);
  EXPECT_EQ(greeting->window, 64U);
  EXPECT_FALSE(ReadGreeting("{}").has_value());
}

TEST(BatchMetadata, AcknowledgementListsAtMostTheLimit) {
  IngestOutcome outcome{
      .epoch = {9}, .accepted = 5, .refused_rows = 3, .repeat = Repeat::kRepeated};
  for (uint32_t row = 0; row < 3; ++row)
    outcome.refused.push_back({row, "delay", "range", "is 99999", "{}"});
  const std::string json = WriteAcknowledgement(4, 17, outcome, 2);
  EXPECT_EQ(json.find("\"row\":2"), std::string::npos);
  const auto ack = ReadAcknowledgement(json);
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->batch, 4U);
  EXPECT_EQ(ack->sequence, 17U);
  EXPECT_EQ(ack->accepted, 5U);
  EXPECT_EQ(ack->refused_rows, 3U);
  EXPECT_EQ(ack->epoch, 9U);
  EXPECT_EQ(ack->repeat, Repeat::kRepeated);
  EXPECT_EQ(ack->first_refusal, "row 0, delay: is 99999");
}

TEST(BatchMetadata, RefusalIsTheErrorThatItNames) {
  const auto refused = ReadAcknowledgement(
      WriteRefusal(base::Error(ErrorCode::kStorageFull, "no \"room\"").With("free", "0")));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kStorageFull);
  EXPECT_EQ(refused.error().message(), "no \"room\" (free=0)");
}

}  // namespace
}  // namespace headrace::ingest

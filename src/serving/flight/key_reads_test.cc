#include "serving/flight/key_reads.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "serving/flight/read_request.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using columns::Type;
using testing::ServedTrips;

std::shared_ptr<arrow::RecordBatch> Origins(const std::vector<std::string>& names) {
  columns::BatchBuilder rows(std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "origin", Type::kString}}));
  for (const std::string& name : names) rows.column(0).AppendText(name);
  return *columns::ToArrow(rows.Finish());
}

// Reads on this thread: nobody waits for an epoch here, so no environment is needed.
class KeyReadsTest : public ::testing::Test {
 protected:
  base::Result<std::unique_ptr<KeyReads>> Open(const std::string& command,
                                               const arrow::Schema& schema) {
    return KeyReads::Open({.answers = trips_.service.get(),
                           .environment = environment_.get(),
                           .budget = &trips_.budget},
                          command, schema, {});
  }
  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  ServedTrips trips_;
};

std::string StatusOf(const arrow::RecordBatch& rows, const std::string& name, int64_t row) {
  const auto column = rows.GetColumnByName(name + "__status");
  const auto& statuses = static_cast<const arrow::DictionaryArray&>(*column);
  const auto& names = static_cast<const arrow::StringArray&>(*statuses.dictionary());
  return names.GetString(statuses.GetValueIndex(row));
}

TEST_F(KeyReadsTest, ABatchHasTypedColumnsAndStatusesInTheOrderOfItsKeys) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}, {10, "SFO", "ATL", 1, 40}, {20, "ORD", "SFO", 2, 20}});
  const auto keys = Origins({"SFO", "none", "ORD", "SFO"});
  auto reads =
      Open(R"({"features":["origin:trips_24h","origin:mean_delay_24h"]})", *keys->schema());
  ASSERT_TRUE(reads.has_value()) << reads.error().ToString();
  const auto reply = (*reads)->Answer(*keys, "");
  ASSERT_TRUE(reply.has_value()) << reply.error().ToString();
  const arrow::RecordBatch& rows = *reply->rows;
  ASSERT_TRUE(rows.ValidateFull().ok());
  ASSERT_TRUE(rows.schema()->Equals(*(*reads)->schema()));
  EXPECT_EQ(rows.schema()->field(1)->type()->ToString(), "int64");
  EXPECT_EQ(rows.schema()->field(2)->type()->ToString(), "double");
  EXPECT_TRUE(rows.column(0)->Equals(*keys->column(0)));
  const auto& trips = static_cast<const arrow::Int64Array&>(*rows.column(1));
  EXPECT_EQ(trips.Value(0), 1);
  EXPECT_TRUE(trips.IsNull(1));
  EXPECT_EQ(trips.Value(2), 2);
  EXPECT_EQ(trips.Value(3), 1);
  EXPECT_EQ(StatusOf(rows, "trips_24h", 0), "PRESENT");
  EXPECT_EQ(StatusOf(rows, "mean_delay_24h", 1), "NOT_FOUND");
  EXPECT_EQ(reply->metadata,
            R"({"log":"abababababababababababababababab","epoch":1,)"
            R"("as_of":"2001-01-01T00:20:00Z","lag_ms":0,"lags_ms":{"origin":0},"definition":")" +
                trips_.definition->id.ToString() + R"(","clock":"events"})");
  EXPECT_GT(trips_.budget.used_bytes(), 0U) << "a reply is charged while it is on its way";
}

TEST_F(KeyReadsTest, AnAnswerIsGivenBackWhenItIsWritten) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  const uint64_t before = trips_.budget.used_bytes();
  auto reads = Open(R"({"features":["origin:trips_24h"]})", *Origins({})->schema());
  {
    const auto reply = (*reads)->Answer(*Origins({"ORD"}), "");
  }
  EXPECT_EQ(trips_.budget.used_bytes(), before);
}

TEST_F(KeyReadsTest, OtherColumnsArePassedOverAndMissingOnesNamed) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  const auto keys = Origins({"ORD"});
  const auto wide = *keys->AddColumn(0, "more", *arrow::MakeArrayOfNull(arrow::int8(), 1));
  auto reads = Open(R"({"features":["origin:trips_24h"]})", *wide->schema());
  ASSERT_TRUE(reads.has_value()) << reads.error().ToString();
  EXPECT_TRUE((*reads)->Answer(*wide, "").has_value());
  const auto missing = Open(R"({"service":"trip"})", *keys->schema());
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), ErrorCode::kInvalidInput);
  EXPECT_NE(missing.error().message().find("`destination`"), std::string::npos);
}

TEST_F(KeyReadsTest, WhatNeedsNoKeyHasTheRowsOfTheBatch) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  auto reads = Open(R"({"features":["fixed"]})", *Origins({})->schema());
  ASSERT_TRUE(reads.has_value()) << reads.error().ToString();
  const auto reply = (*reads)->Answer(*Origins({"ORD", "ATL", "none"}), "");
  ASSERT_TRUE(reply.has_value()) << reply.error().ToString();
  ASSERT_EQ(reply->rows->num_rows(), 3);
  EXPECT_EQ(reply->rows->GetColumnByName("fixed")->length(), 3);
  EXPECT_EQ(StatusOf(*reply->rows, "fixed", 2), "PRESENT");
}

TEST_F(KeyReadsTest, ABatchMayAskForItsOwnTime) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  trips_.Apply({{5, "ORD", "ATL", 1, 10}});
  auto reads = Open(R"({"features":["origin:trips_24h"]})", *Origins({})->schema());
  const auto reply = (*reads)->Answer(*Origins({"ORD"}), R"({"as_of":"2001-01-01T00:01:00Z"})");
  ASSERT_TRUE(reply.has_value()) << reply.error().ToString();
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*reply->rows->column(1)).Value(0), 1);
  const auto wrong = (*reads)->Answer(*Origins({"ORD"}), R"({"service":"trip"})");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalidInput);
}

// The state always moves on before the answer was read.
class MovingOn final : public AnswerService {
 public:
  explicit MovingOn(AnswerService& real) : real_(real) {}
  base::Result<FeatureAnswer> Answer(const FeatureQuery&) override {
    ++answers;
    return base::Fail(ErrorCode::kUnavailable, "the state moved on");
  }
  void WhenVisible(base::EpochId, std::chrono::milliseconds, std::optional<uint64_t>,
                   Visible done) override {
    ++pauses;
    done(base::Fail(ErrorCode::kDeadlineExceeded, "no such epoch"));
  }
  void AnswerWhenVisible(FeatureQuery query, Done done) override {
    real_.AnswerWhenVisible(std::move(query), std::move(done));
  }
  base::Result<std::optional<KeyAnswers>> AnswerKeys(
      const pipeline::PipelineDefinition& definition,
      std::span<const KeyQuestion> questions) override {
    return real_.AnswerKeys(definition, questions);
  }
  void Expect(const pipeline::PipelineDefinition&, std::span<const KeyQuestion>) override {}
  base::Result<std::shared_ptr<const AnswerPlan>> PlanOf(const FeatureQuery& query) override {
    return real_.PlanOf(query);
  }
  void MarkVisible(base::EpochId) override {}
  const base::Histogram& serve_us() const override { return real_.serve_us(); }
  uint64_t revoked_pins() const override { return 0; }
  pipeline::PipelineRef definition() const override { return real_.definition(); }

  size_t answers = 0;
  size_t pauses = 0;

 private:
  AnswerService& real_;
};

TEST_F(KeyReadsTest, ASnapshotThatIsTakenAwayIsReadAgainAfterAPause) {
  trips_.Apply({{0, "ORD", "ATL", 1, 10}});
  MovingOn moving(*trips_.service);
  auto reads = KeyReads::Open(
      {.answers = &moving, .environment = environment_.get(), .budget = &trips_.budget},
      R"({"features":["origin:trips_24h"]})", *Origins({})->schema(), {});
  ASSERT_TRUE(reads.has_value());
  const auto reply = (*reads)->Answer(*Origins({"ORD"}), R"({"deadline_ms":5})");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(moving.pauses, moving.answers - 1);
  EXPECT_GE(moving.answers, 1U);
}

TEST(ReadRequest, WhatIsNoCommand) {
  for (const char* text :
       {"", "[]", "null", "{", R"({"service":""})", R"({"service":1})", R"({"features":{}})",
        R"({"features":[1]})", R"({"service":"a","features":["b"]})", R"({"service":"a","x":1})",
        R"({"service":"a","min_epoch":-1})", R"({"service":"a","deadline_ms":1.5})",
        R"({"service":"a","as_of":"noon"})", "\xff"})
    EXPECT_FALSE(ParseReadCommand(text).has_value()) << text;
  const auto query = ParseReadCommand(R"({"service":"a","min_epoch":7,"deadline_ms":20})");
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->service, "a");
  EXPECT_EQ(query->min_epoch->value, 7U);
  EXPECT_EQ(query->deadline.count(), 20);
}

TEST(ReadRequest, NobodyWaitsLongerThanTheService) {
  auto query = ParseReadCommand(R"({"service":"a","deadline_ms":86400000})");
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->deadline, AnswerLimits().wait_max);
  ASSERT_TRUE(ReadBatchRequest(R"({"deadline_ms":70000})", *query).has_value());
  EXPECT_EQ(query->deadline, AnswerLimits().wait_max);
}

}  // namespace
}  // namespace headrace::serving

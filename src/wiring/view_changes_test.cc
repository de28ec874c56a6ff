// A subscription to a view's changes whose snapshots are taken away from it.

#include "serving/flight/view_changes.h"

#include <arrow/record_batch.h>
#include <gmock/gmock.h>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;

// Those of a core, but for reads of more than `keys_max` keys: their snapshot is taken away.
class BusyAnswers final : public serving::AnswerService {
 public:
  explicit BusyAnswers(serving::AnswerService& answers) : answers_(answers) {}
  base::Result<serving::FeatureAnswer> Answer(const serving::FeatureQuery& query) override {
    asked.push_back(query.inputs.front().values.size());
    if (asked.back() > keys_max) return base::Fail(base::ErrorCode::kUnavailable, "moved on");
    return answers_.Answer(query);
  }
  void AnswerWhenVisible(serving::FeatureQuery query, Done done) override {
    answers_.AnswerWhenVisible(std::move(query), std::move(done));
  }
  base::Result<std::optional<serving::KeyAnswers>> AnswerKeys(
      const pipeline::PipelineDefinition& definition,
      std::span<const serving::KeyQuestion> questions) override {
    return answers_.AnswerKeys(definition, questions);
  }
  void Expect(const pipeline::PipelineDefinition& definition,
              std::span<const serving::KeyQuestion> questions) override {
    answers_.Expect(definition, questions);
  }
  void WhenVisible(base::EpochId epoch, std::chrono::milliseconds deadline,
                   std::optional<uint64_t> held_bytes, Visible done) override {
    answers_.WhenVisible(epoch, deadline, held_bytes, std::move(done));
  }
  base::Result<std::shared_ptr<const serving::AnswerPlan>> PlanOf(
      const serving::FeatureQuery& query) override {
    return answers_.PlanOf(query);
  }
  void MarkVisible(base::EpochId epoch) override { answers_.MarkVisible(epoch); }
  const base::Histogram& serve_us() const override { return answers_.serve_us(); }
  uint64_t revoked_pins() const override { return answers_.revoked_pins(); }
  pipeline::PipelineRef definition() const override { return answers_.definition(); }

  size_t keys_max = 1'000;
  std::vector<size_t> asked;  // keys of each read

 private:
  serving::AnswerService& answers_;
};

class ViewChangesTest : public ::testing::Test {
 protected:
  ViewChangesTest() {
    lives_.machine_->Run([&] {
      const serving::ChangeSources sources{
          .serving = {.answers = &answers_,
                      .environment = lives_.machine_.get(),
                      .budget = &budget_},
          .log = &lives_.core_->log_reader(),
          .recent = &lives_.core_->recent_epochs(),
          .visible = [this] { return lives_.core_->visible(); },
          .stream_named = [this](const auto& name) { return lives_.core_->StreamNamed(name); }};
      // Gone when it asks for ever.
      auto changes = serving::ViewChanges::Open(
          sources, R"({"changes":"card","from_epoch":0,"marker_ms":100})",
          {.who = nullptr, .gone = [this] { return answers_.asked.size() > 1'000; }});
      ASSERT_TRUE(changes) << changes.error().ToString();
      changes_ = std::move(*changes);
    });
    lives_.Send(200);  // of five cards
  }
  // Keys of the next batch, and its metadata.
  std::pair<int64_t, std::string> Next() {
    std::pair<int64_t, std::string> next{-1, ""};
    lives_.machine_->Run([&] {
      auto batch = changes_->Next();
      ASSERT_TRUE(batch && *batch) << (batch ? "the end" : batch.error().ToString());
      next = {(*batch)->rows->num_rows(), (*batch)->metadata};
    });
    return next;
  }

  Lives lives_{Text(kHour, Table::kNo)};
  base::MemoryBudget budget_{256U << 20};
  BusyAnswers answers_{lives_.core_->answers()};
  std::unique_ptr<serving::ViewChanges> changes_;
};

TEST_F(ViewChangesTest, ASnapshotThatIsTakenAwayIsReadOfFewerKeys) {
  answers_.keys_max = 1;
  int64_t keys = 0;
  while (keys < 5) {
    const int64_t got = Next().first;
    ASSERT_EQ(got, 1);
    keys += got;
  }
  EXPECT_THAT(std::vector(answers_.asked.begin(), answers_.asked.begin() + 3),
              ElementsAre(5, 2, 1));
  answers_.keys_max = 1'000;
  int64_t largest = 0;
  for (int round = 0; round < 20; ++round) {
    lives_.Send(200);
    largest = std::max(largest, Next().first);
  }
  EXPECT_THAT(largest, Gt(1)) << "it grows again";
}

TEST_F(ViewChangesTest, MarkersComeWhileNothingCanBeRead) {
  answers_.keys_max = 0;
  for (int i = 0; i < 3; ++i) {
    const auto [keys, told] = Next();
    EXPECT_EQ(keys, 0);
    EXPECT_THAT(told, HasSubstr(R"("after":0,"through":0)"));
  }
  answers_.keys_max = 1'000;
  EXPECT_THAT(Next().first, Gt(0));
}

}  // namespace
}  // namespace headrace::wiring

#include "wiring/dead_letter_replay.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

// Submits rows of one card, so many minutes behind the newest.
void SubmitLate(Lives& lives, const char* stream, int rows, int minutes, log::AckCallback done) {
  columns::BatchBuilder builder(lives.definition_->streams[0].schema());
  for (int row = 0; row < rows; ++row) {
    builder.column(0).AppendInt(1);
    builder.column(1).AppendDouble(1);
    builder.column(2).AppendInt(lives.now_ - minutes * kMinute);
  }
  auto batch = lives.definition_->streams[0].contract->Enforce(builder.Finish());
  batch.stream = *lives.core_->StreamNamed(stream);
  lives.core_->Submit(std::move(batch), std::move(done));
}
void SendLate(Lives& lives, int rows, int minutes) {
  bool told = false;
  lives.machine_->Run([&] {
    SubmitLate(lives, "payments", rows, minutes, [&](const auto& /*ack*/) { told = true; });
  });
  lives.machine_->RunUntil([&] { return told || lives.machine_->crashed(); });
}

// Nothing: the machine died before it was told.
std::optional<base::Result<ReplayReport>> Replay(Lives& lives, ReplayRequest request) {
  std::optional<base::Result<ReplayReport>> told;
  lives.machine_->Run([&] {
    lives.core_->ReplayDeadLetters(std::move(request),
                                   [&](auto report) { told = std::move(report); });
  });
  lives.machine_->RunUntil([&] { return told || lives.machine_->crashed(); });
  return told;
}
ReplayReport ReplayAll(Lives& lives) {
  const auto told = Replay(lives, {.stream = "payments", .rule = {}, .after = {}});
  if (told && *told) return **told;
  ADD_FAILURE() << (told ? told->error().ToString() : "it died");
  return {};
}

struct Letters {
  size_t all = 0;
  size_t replayed = 0;
};
Letters Look(Lives& lives, DeadLetterQuery::Which which = DeadLetterQuery::Which::kAll) {
  Letters found;
  lives.machine_->Run([&] {
    const auto page =
        lives.core_->DeadLetters({.stream = {}, .after = {}, .limit = 10'000, .which = which});
    ASSERT_TRUE(page) << page.error().ToString();
    for (const auto& letter : nlohmann::json::parse(page->json)) {
      ++found.all;
      found.replayed += letter.contains("replayed");
    }
  });
  return found;
}

uint64_t RowsIn(Lives& lives) { return lives.core_->log_status().rows_accepted; }

TEST(DeadLetterReplay, ALateRowComesInOnce) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  SendLate(lives, 3, 90);
  ASSERT_EQ(RowsIn(lives), 5U);
  const ReplayReport first = ReplayAll(lives);
  EXPECT_EQ(first.replayed, 3U);
  EXPECT_EQ(first.kept, 0U);
  EXPECT_GT(first.epoch.value, 0U);
  EXPECT_EQ(RowsIn(lives), 8U);
  EXPECT_EQ(Look(lives).replayed, 3U);
  EXPECT_EQ(Look(lives, DeadLetterQuery::Which::kOpen).all, 0U);
  for (int life = 0; life < 3; ++life) {
    const ReplayReport again = ReplayAll(lives);
    EXPECT_EQ(again.replayed, 0U);
    EXPECT_EQ(again.replayed_before, 3U);
    EXPECT_EQ(again.epoch.value, 0U);
    std::optional<base::Result<void>> snapshot;
    lives.machine_->Run([&] { lives.core_->TakeSnapshot([&](auto done) { snapshot = done; }); });
    lives.machine_->RunUntil([&] { return snapshot.has_value(); });
    ASSERT_TRUE(*snapshot);
    lives.Die();
    ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  }
  EXPECT_EQ(RowsIn(lives), 8U);
}

// Every other letter of the log came in: each is a range of its own.
TEST(DeadLetterReplay, IsRefusedWhenItWouldBeToldOfTooManyRanges) {
  Lives lives(Text(kDay, Table::kNo));
  std::vector<columns::Replay::Letter> apart;
  for (uint32_t i = 0; i < DeadLetters::kReplayedRangesMax; ++i)
    apart.push_back({{{1}, 2 * i}, 2 * i});
  log::Epoch epoch;
  epoch.id = {2};
  epoch.controls.push_back(log::EncodeReplay("payments", apart));
  DeadLetters letters;
  ASSERT_TRUE(letters.Note(epoch));
  const auto run = [&](ReplayRequest::Run how) {
    std::optional<base::Result<ReplayReport>> told;
    lives.machine_->Run([&] {
      DeadLetterReplay replay(
          {.environment = *lives.machine_,
           .budget = lives.core_->budget(),
           .letters = letters,
           .reader = lives.core_->log_reader(),
           .definition = [&] { return lives.core_->definition(); },
           .stream_id = [&](const auto& name) { return lives.core_->StreamNamed(name); },
           .submit = {}});
      replay.Begin({.stream = "payments", .rule = {}, .after = {}, .run = how},
                   [&](auto report) { told = std::move(report); });
      lives.machine_->RunUntil([&] { return told.has_value(); });
    });
    return *told;
  };
  const auto real = run(ReplayRequest::Run::kReal);
  ASSERT_FALSE(real);
  EXPECT_EQ(real.error().code(), base::ErrorCode::kResourceExhausted);
  EXPECT_TRUE(run(ReplayRequest::Run::kDry));
}

TEST(DeadLetterReplay, GoesOnWhereItsLimitEndedIt) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  SendLate(lives, 2'500, 90);
  ReplayRequest request{.stream = "payments", .rule = {}, .after = {}, .limit = 1'200};
  uint64_t replayed = 0;
  int parts = 0;
  while (true) {
    const auto told = Replay(lives, request);
    ASSERT_TRUE(told && *told);
    replayed += (*told)->replayed;
    ++parts;
    if (!(*told)->next) break;
    request.after = *(*told)->next;
  }
  EXPECT_EQ(replayed, 2'500U);
  EXPECT_EQ(parts, 3);
  EXPECT_EQ(RowsIn(lives), 2'505U);
}

TEST(DeadLetterReplay, ADryRunLetsNothingIn) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  SendLate(lives, 3, 90);
  const auto told = Replay(
      lives, {.stream = "payments", .rule = {}, .after = {}, .run = ReplayRequest::Run::kDry});
  ASSERT_TRUE(told && *told);
  EXPECT_EQ((*told)->replayed, 3U);
  EXPECT_EQ(RowsIn(lives), 5U);
  EXPECT_EQ(Look(lives).replayed, 0U);
}

TEST(DeadLetterReplay, OneAtATimeAndOnlyOfAStreamThatIsThere) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  SendLate(lives, 3, 90);
  std::vector<base::Result<ReplayReport>> told;
  lives.machine_->Run([&] {
    for (const char* stream : {"payments", "payments", "refunds"})
      lives.core_->ReplayDeadLetters({.stream = stream, .rule = {}, .after = {}},
                                     [&](auto report) { told.push_back(std::move(report)); });
  });
  lives.machine_->RunUntil([&] { return told.size() == 3; });
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].error().code(), base::ErrorCode::kConflict);
  EXPECT_EQ(told[1].error().code(), base::ErrorCode::kNotFound);
  ASSERT_TRUE(told[2]);
  EXPECT_EQ(told[2]->replayed, 3U);
}

TEST(DeadLetterReplay, LeavesTheLettersOfOtherStreams) {
  std::string text = Text(kDay, Table::kNo);
  text.insert(text.find("views:\n"),
              "  refunds: {contract: c.yaml, source: {http: push}, time: {event: paid_at, late: "
              "1h}}\n");
  Lives lives(text);
  lives.Send(5);
  lives.Send(5, "refunds");
  size_t told = 0;
  lives.machine_->Run([&] {  // one epoch
    for (const char* stream : {"refunds", "payments", "refunds"})
      SubmitLate(lives, stream, 1, 90, [&](const auto& /*ack*/) { ++told; });
  });
  lives.machine_->RunUntil([&] { return told == 3; });
  EXPECT_EQ(ReplayAll(lives).replayed, 1U);
  EXPECT_EQ(Look(lives, DeadLetterQuery::Which::kOpen).all, 2U);
  const auto others = Replay(lives, {.stream = "refunds", .rule = {}, .after = {}});
  ASSERT_TRUE(others && *others);
  EXPECT_EQ((*others)->replayed, 2U);
  EXPECT_EQ(ReplayAll(lives).replayed_before, 1U);
}

TEST(DeadLetterReplay, AStopEndsIt) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  SendLate(lives, 3, 90);
  std::optional<base::Result<ReplayReport>> told;
  lives.machine_->Run([&] {
    lives.core_->ReplayDeadLetters({.stream = "payments", .rule = {}, .after = {}},
                                   [&](auto report) { told = std::move(report); });
    lives.core_->Stop();
  });
  ASSERT_TRUE(told);
  if (!*told) {
    EXPECT_EQ(told->error().code(), base::ErrorCode::kUnavailable);
  }
  lives.Die();
  EXPECT_EQ(ReplayAll(lives).replayed + Look(lives).replayed, *told ? 3U : 6U);
  EXPECT_EQ(RowsIn(lives), 8U);
}

TEST(DeadLetterReplay, ALetterThatIsNotWhatCameStays) {
  Lives lives(Text(kDay, Table::kNo));
  lives.Send(5);
  bool told = false;
  lives.machine_->Run([&] {
    columns::EventBatch batch;
    batch.stream = *lives.core_->StreamNamed("payments");
    batch.rows = columns::BatchBuilder(lives.definition_->streams[0].schema()).Finish();
    const std::string row = R"({"card":1,"amount":1,"paid_at":"2026-01-01T00:00:00Z"})";
    batch.rejected = {{0, "", "size", "too long", row},
                      {1, "shop", "type", "not UTF-8", R"({"card":1,"shop":"\ufffd"})"}};
    lives.core_->Submit(std::move(batch), [&](const auto& /*ack*/) { told = true; });
  });
  lives.machine_->RunUntil([&] { return told; });
  const ReplayReport report = ReplayAll(lives);
  EXPECT_EQ(report.replayed, 0U);
  EXPECT_EQ(report.kept, 2U);
  ASSERT_EQ(report.listed.size(), 2U);
  for (const ReplayReport::Kept& kept : report.listed)
    EXPECT_NE(kept.reason.find("send the row again"), std::string::npos) << kept.reason;
  EXPECT_EQ(RowsIn(lives), 5U);
}

// Whatever dies, and whenever: each comes in once.
TEST(DeadLetterReplay, ACrashLosesAndDoublesNothing) {
  uint64_t died = 0;
  for (const char* point : {"log.before_seal", "log.after_seal", "log.before_write",
                            "log.after_write", "log.after_sync", "log.before_ack", "log.after_ack"})
    for (uint64_t visit = 1; visit <= 4; ++visit) {
      SCOPED_TRACE(std::string(point) + ", visit " + std::to_string(visit));
      Lives lives(Text(kDay, Table::kNo));
      lives.Send(5);
      SendLate(lives, 9'000, 90);
      ASSERT_EQ(RowsIn(lives), 5U);
      lives.Die({.crash_point = point, .crash_hit = visit});
      if (lives.machine_->crashed()) continue;  // in the start
      const auto told = Replay(lives, {.stream = "payments", .rule = {}, .after = {}});
      died += told ? 0 : 1;
      lives.Die();
      ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
      if (told && *told) {
        EXPECT_EQ(RowsIn(lives), 9'005U);
      }
      const ReplayReport rest = ReplayAll(lives);
      EXPECT_EQ(rest.replayed + rest.replayed_before, 9'000U);
      EXPECT_EQ(RowsIn(lives), 9'005U);
      EXPECT_EQ(Look(lives).replayed, 9'000U);
    }
  EXPECT_GT(died, 10U) << "no crash was met";
}

}  // namespace
}  // namespace headrace::wiring

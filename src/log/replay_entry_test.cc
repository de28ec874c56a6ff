#include "log/replay_entry.h"

#include <gtest/gtest.h>

#include "log/log_fixture.h"
#include "log/sign_of_life.h"

namespace headrace::log {
namespace {

using columns::DeadLetterId;
using columns::Replay;
using env::simulated::SimulatedEnvironment;

DeadLetterId Id(uint64_t epoch, uint32_t number) { return {{epoch}, number}; }

TEST(ReplayEntry, NeighboursAreOneRange) {
  const std::vector<Replay::Letter> letters = {{Id(5, 0), 1}, {Id(5, 1), 2},  {Id(9, 0), 3},
                                               {Id(9, 3), 6}, {Id(20, 0), 7}, {Id(21, 7), 9}};
  const ControlEntry entry = EncodeReplay("events", letters);
  EXPECT_EQ(entry.kind, ControlEntry::Kind::kReplay);
  EXPECT_EQ(entry.name, "events");
  EXPECT_LE(entry.payload.size(), 8 + ReplayBytesMax(letters.size()));
  const auto found = DecodeReplay(entry);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->letters, 6U);
  EXPECT_EQ(found->ranges,
            (std::vector<LetterRange>{
                {Id(5, 0), Id(9, 0)}, {Id(9, 3), Id(20, 0)}, {Id(21, 7), Id(21, 7)}}));
}

TEST(ReplayEntry, WhatIsBrokenIsAnError) {
  ControlEntry entry = EncodeReplay("events", std::vector<Replay::Letter>{{Id(5, 1), 1}});
  for (size_t size = 0; size < entry.payload.size(); ++size) {
    ControlEntry cut = entry;
    cut.payload.resize(size);
    EXPECT_FALSE(DecodeReplay(cut)) << size;
  }
  entry.payload[8] = 6;  // the first epoch, behind the last
  EXPECT_FALSE(DecodeReplay(entry));
}

columns::EventBatch ReplayOf(base::StreamId stream, const std::vector<TestRow>& rows) {
  columns::EventBatch batch = BatchOf(stream, rows);
  for (uint32_t i = 0; i < rows.size(); ++i) batch.replay.letters.push_back({Id(1, i), i});
  return batch;
}

TEST(ReplayEntry, IsOfTheEpochThatHasTheRows) {
  SimulatedEnvironment machine(1);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{1'000, 1}}));
  const uint64_t refused = log.sequencer->status().rows_refused;
  // Late, in time, far ahead.
  const auto answer =
      log.Submit(ReplayOf(log.stream, {{5, 2}, {1'001, 3}, {1'000'000, 4}, {6, 5}}));
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->accepted, 3U);
  ASSERT_EQ(answer->refused.size(), 1U);
  EXPECT_EQ(answer->refused[0].row, 2U);
  EXPECT_EQ(answer->refused[0].rule, "ahead_of_clock");
  const Epoch& epoch = *log.durable.back();
  EXPECT_EQ(epoch.id, answer->epoch);
  EXPECT_EQ(IdsOf(epoch), (std::vector<int64_t>{2, 3, 5}));
  EXPECT_TRUE(epoch.rejects.empty()) << "it is a dead letter already";
  EXPECT_TRUE(epoch.outcomes.empty());
  EXPECT_EQ(log.sequencer->status().rows_refused, refused);
  ASSERT_EQ(epoch.controls.size(), 1U);
  const auto replayed = DecodeReplay(epoch.controls[0]);
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed->letters, 3U);
  EXPECT_EQ(replayed->ranges,
            (std::vector<LetterRange>{{Id(1, 0), Id(1, 1)}, {Id(1, 3), Id(1, 3)}}));
}

TEST(ReplayEntry, DoesNotSayThatTheSourceIsAlive) {
  SimulatedEnvironment machine(1);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{1'000, 1}}));
  EXPECT_TRUE(IsHeardOf(*log.durable.back(), log.stream, "events"));
  ASSERT_TRUE(log.Submit(ReplayOf(log.stream, {{5, 2}, {6, 3}})));
  Epoch epoch = *log.durable.back();
  EXPECT_FALSE(IsHeardOf(epoch, log.stream, "events"));
  EXPECT_TRUE(IsHeardOf(epoch, log.stream, "others")) << "it says nothing of them";
  epoch.controls.push_back(epoch.controls.front());
  EXPECT_FALSE(IsHeardOf(epoch, log.stream, "events"));
  epoch.controls = {EncodeReplay("events", std::vector<Replay::Letter>{{Id(1, 0), 1}})};
  EXPECT_TRUE(IsHeardOf(epoch, log.stream, "events")) << "one of two is new";
}

TEST(ReplayEntry, OfNoRowThereIsNone) {
  SimulatedEnvironment machine(1);
  TestLog log(machine);
  ASSERT_TRUE(log.Open());
  ASSERT_TRUE(log.Submit({{1'000, 1}}));
  const auto answer = log.Submit(ReplayOf(log.stream, {{1'000'000, 2}}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->accepted, 0U);
  EXPECT_TRUE(log.durable.back()->controls.empty());
}

}  // namespace
}  // namespace headrace::log

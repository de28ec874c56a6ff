#include "serving/flight/view_changes.h"

#include <gtest/gtest.h>

#include "columns/batch_builder.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using base::EpochId;

log::EpochRef EpochOf(uint64_t id, std::vector<log::StreamRows> rows = {}) {
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = EpochId{id};
  epoch->streams = std::move(rows);
  return epoch;
}

TEST(RecentEpochsTest, KeepsNothingUntilSomebodyFollows) {
  RecentEpochs recent;
  recent.Note(EpochOf(1));
  {
    const RecentEpochs::Follower follower(recent);
    EXPECT_TRUE(recent.Find(EpochId{1}, EpochId{1}).empty());
    for (uint64_t id = 2; id <= 9; ++id) recent.Note(EpochOf(id));
    const auto found = recent.Find(EpochId{4}, EpochId{7});
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(found.front()->id.value, 4U);
    EXPECT_EQ(found.back()->id.value, 7U);
    EXPECT_TRUE(recent.Find(EpochId{1}, EpochId{3}).empty()) << "one of them is not here";
    EXPECT_TRUE(recent.Find(EpochId{9}, EpochId{10}).empty());
  }
  const RecentEpochs::Follower later(recent);
  EXPECT_TRUE(recent.Find(EpochId{9}, EpochId{9}).empty()) << "the last follower took them along";
}

TEST(RecentEpochsTest, AGapLeavesOutWhatWasBeforeIt) {
  RecentEpochs recent;
  const RecentEpochs::Follower follower(recent);
  recent.Note(EpochOf(1));
  recent.Note(EpochOf(3));
  EXPECT_TRUE(recent.Find(EpochId{1}, EpochId{3}).empty());
  EXPECT_EQ(recent.Find(EpochId{3}, EpochId{3}).size(), 1U);
}

TEST(RecentEpochsTest, TheOldestAreLetGoAtTheLimit) {
  RecentEpochs recent;
  const RecentEpochs::Follower follower(recent);
  const uint64_t last = RecentEpochs::kEpochsMax + 10;
  for (uint64_t id = 1; id <= last; ++id) recent.Note(EpochOf(id));
  EXPECT_TRUE(recent.Find(EpochId{10}, EpochId{last}).empty());
  EXPECT_EQ(recent.Find(EpochId{11}, EpochId{last}).size(), RecentEpochs::kEpochsMax);
}

// What was refused is of no use to followers, and may be many times as large as the rows.
TEST(RecentEpochsTest, KeepsRowsAlone) {
  RecentEpochs recent;
  const RecentEpochs::Follower follower(recent);
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = EpochId{1};
  epoch->clock = {5};
  epoch->streams.push_back({base::StreamId{3}, {}});
  epoch->rejects.push_back({base::StreamId{3}, {{.row = 0, .payload = std::string(1 << 20, 'x')}}});
  epoch->controls.push_back(
      {.kind = log::ControlEntry::Kind::kHeartbeat, .name = "s", .payload = {}});
  recent.Note(epoch);
  const auto found = recent.Find(EpochId{1}, EpochId{1});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]->clock.us, 5);
  EXPECT_EQ(found[0]->streams.size(), 1U);
  EXPECT_TRUE(found[0]->rejects.empty());
  EXPECT_TRUE(found[0]->controls.empty());
  EXPECT_EQ(epoch.use_count(), 1);
}

TEST(ChangedKeysTest, KeysOfAnEpochsRowsOnceEach) {
  const testing::ServedTrips trips;
  const size_t view = *trips.definition->ViewNamed("route");
  const auto& stream = ChangedKeys::RootOf(*trips.definition, view);
  auto changed = ChangedKeys::Make(trips.definition, view, base::StreamId{3});
  ASSERT_TRUE(changed.has_value()) << changed.error().ToString();
  columns::BatchBuilder rows(stream.schema());
  const auto origin = *stream.schema()->IndexOf("origin");
  const auto destination = *stream.schema()->IndexOf("destination");
  for (const auto& [from, to] : {std::pair("ORD", "ATL"), {"SFO", "ATL"}, {"ORD", "ATL"}})
    for (size_t i = 0; i < stream.schema()->size(); ++i) {
      if (i == origin)
        rows.column(i).AppendText(from);
      else if (i == destination)
        rows.column(i).AppendText(to);
      else
        rows.column(i).AppendNull();
    }
  KeyList keys;
  changed->Add(*EpochOf(1, {{base::StreamId{3}, rows.Finish()}}), keys);
  changed->Add(*EpochOf(2), keys);
  ASSERT_EQ(keys.keys().size(), 2U);
  const columns::Type text = columns::Type::kString;
  const auto first = columns::DecodeKey(std::vector{text, text}, *keys.keys()[0]);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ((*first)[0].as_text() + (*first)[1].as_text(), "ORDATL");
  EXPECT_GT(keys.bytes(), 0U);
  keys.Clear();
  EXPECT_TRUE(keys.keys().empty());
}

TEST(ChangesRequestTest, WhatIsNone) {
  for (const char* text :
       {"", "[]", R"({"changes":1})", R"({"changes":""})", R"({"from_epoch":1})",
        R"({"changes":"a","from_epoch":"1"})", R"({"changes":"a","features":[]})",
        R"({"changes":"a","features":[1]})", R"({"changes":"a","x":1})"})
    EXPECT_FALSE(ParseChangesRequest(text).has_value()) << text;
  const auto request = ParseChangesRequest(
      R"({"changes":"a","from_epoch":5,"until_epoch":9,"marker_ms":1,"features":["f"]})");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->from_epoch->value, 5U);
  EXPECT_EQ(request->until_epoch->value, 9U);
  EXPECT_EQ(request->marker_every, ViewChanges::kMarkerLeast);
  EXPECT_EQ(request->features, std::vector<std::string>{"f"});
}

}  // namespace
}  // namespace headrace::serving

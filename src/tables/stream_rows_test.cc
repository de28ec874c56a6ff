#include "tables/stream_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <utility>

#include "columns/batch_codec.h"
#include "log/catalogue.h"
#include "tables/publish/plan.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Result;
using testing::HasSubstr;

constexpr base::StreamId kRefunds{2};

// A log of which only the control entries are left before `first`.
class TrimmedLog final : public log::LogReader {
 public:
  TrimmedLog(EpochId first, std::map<uint64_t, log::ControlEntry> entries)
      : first_(first), entries_(std::move(entries)) {}
  base::LogId log() const override { return {}; }
  Result<EpochId> First() override { return first_; }
  Result<void> Scan(EpochId, EpochId,
                    const std::function<Result<void>(const log::EpochRef&)>&) override {
    return base::Fail(base::ErrorCode::kInternal, "nobody asks for rows");
  }
  Result<void> ScanRefused(
      EpochId, EpochId, const std::function<Result<void>(const log::EpochRef&)>& visit) override {
    for (const auto& [id, entry] : entries_) {
      log::Epoch epoch;
      epoch.id = {id};
      epoch.controls = {entry};
      HR_TRY_VOID(visit(std::make_shared<const log::Epoch>(std::move(epoch))));
    }
    return {};
  }
  Result<EpochId> Newest() override { return EpochId{200}; }
  Result<log::EpochRef> Unproven() override { return log::EpochRef(); }

 private:
  EpochId first_;
  std::map<uint64_t, log::ControlEntry> entries_;
};

PublishedStream Refunds() {
  return {.id = kRefunds,
          .name = "refunds",
          .schema = std::make_shared<const columns::Schema>(std::vector<columns::Field>{}),
          .known_at = {}};
}

log::ControlEntry Known() {
  return {.kind = log::ControlEntry::Kind::kStream,
          .name = "refunds",
          .payload = log::EncodeStreamEntry(
              {.id = kRefunds, .name = "refunds", .schema = Refunds().schema})};
}

log::ControlEntry Plan(uint64_t after, uint64_t last, base::StreamId stream = kRefunds,
                       std::optional<uint64_t> rows_after = {}) {
  return EncodePlan({{stream, {after}, {last}}, {rows_after.value_or(after)}}, "refunds");
}

// With its first hundred epochs gone.
Result<EpochId> GoesOnAfter(uint64_t marker, std::map<uint64_t, log::ControlEntry> entries,
                            LogKeeps keeps = LogKeeps::kUntilPublished) {
  TrimmedLog log({101}, std::move(entries));
  return LogGoesOnAfter(log, Refunds(), {marker}, keeps);
}

TEST(LogGoesOnAfter, AMarkerThatFitsTheNewestPlanLacksNothing) {
  EXPECT_EQ(*GoesOnAfter(150, {}), EpochId{150});
  EXPECT_EQ(*GoesOnAfter(30, {{1, Known()}, {31, Plan(0, 30)}}), EpochId{100});
  EXPECT_EQ(*GoesOnAfter(30, {{1, Known()}, {140, Plan(30, 139, kRefunds, 100)}}), EpochId{100});
  EXPECT_EQ(*GoesOnAfter(30, {{31, Plan(0, 30)}, {90, Plan(0, 80, {3})}}), EpochId{100});
  EXPECT_EQ(*GoesOnAfter(0, {{1, Known()}}), EpochId{100});  // there never was a row
}

TEST(LogGoesOnAfter, ATableThatLacksWhatWasPlannedIsAnOlderCopy) {
  for (const uint64_t marker : {0, 30}) {
    const auto after = GoesOnAfter(
        marker, {{1, Known()}, {31, Plan(0, 30)}, {61, Plan(30, 60)}, {71, Plan(60, 70)}});
    ASSERT_FALSE(after);
    EXPECT_EQ(after.error().code(), base::ErrorCode::kFailedPrecondition);
    EXPECT_THAT(after.error().message(), HasSubstr("restored from an older copy"));
  }
}

TEST(LogGoesOnAfter, AnOlderCopyIsNoMatterWhereTheLogHasAllThatItLacks) {
  EXPECT_EQ(
      *GoesOnAfter(30, {{1, Known()}, {140, Plan(30, 139, kRefunds, 100)}, {160, Plan(139, 159)}}),
      EpochId{100});
}

// It is named when it gets a table; its rows are made of another's.
TEST(LogGoesOnAfter, TheEntryOfADerivedStreamDoesNotTellWhereItsRowsBegin) {
  constexpr base::StreamId kDerived{7};
  PublishedStream derived = Refunds();
  derived.id = kDerived;
  derived.name = "dear";
  derived.root = PublishedStream::Root{.id = kRefunds, .schema = derived.schema, .derive = {}};
  log::ControlEntry named = Known();
  named.payload =
      log::EncodeStreamEntry({.id = kDerived, .name = "dear", .schema = derived.schema});
  named.name = "dear";
  for (const auto keeps : {LogKeeps::kAsLongAsItDoes, LogKeeps::kUntilPublished}) {
    TrimmedLog log({101}, {{1, Known()}, {150, named}, {160, Plan(0, 159, kDerived)}});
    const auto after = LogGoesOnAfter(log, derived, {0}, keeps);
    EXPECT_FALSE(after);
  }
}

TEST(LogGoesOnAfter, OneThatLacksThePlanWhoseFirstRowsWereLetGoIsAnOlderCopy) {
  const auto after = GoesOnAfter(30, {{1, Known()}, {140, Plan(30, 139, kRefunds, 99)}});
  ASSERT_FALSE(after);
  EXPECT_THAT(after.error().message(), HasSubstr("restored from an older copy"));
}

TEST(LogGoesOnAfter, WithoutATableOnlyTheRowsOfANewStreamAreAllThere) {
  EXPECT_EQ(*GoesOnAfter(0, {{101, Known()}}, LogKeeps::kAsLongAsItDoes), EpochId{100});
  const auto after = GoesOnAfter(0, {{100, Known()}}, LogKeeps::kAsLongAsItDoes);
  ASSERT_FALSE(after);
  EXPECT_THAT(after.error().message(), HasSubstr("stream refunds has no table with those before"));
}

}  // namespace
}  // namespace headrace::tables

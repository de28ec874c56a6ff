#include "wiring/dead_letters.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "columns/batch_codec.h"
#include "log/snapshot_file.h"
#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

// The only one that there is.
nlohmann::json Letter(Lives& lives, Payloads payloads = Payloads::kMasked) {
  nlohmann::json letters;
  const DeadLetterQuery query{.stream = {}, .after = {}, .payloads = payloads};
  lives.machine_->Run(
      [&] { letters = nlohmann::json::parse(lives.core_->DeadLetters(query)->json); });
  EXPECT_EQ(letters.size(), 1U) << letters;
  return letters.at(0);
}

constexpr const char* kRefunds =
    "  refunds: {contract: c.yaml, source: {http: push}, time: {event: paid_at}}\n";

// So many, of one epoch.
void RefuseRefundsWithoutCard(Lives& lives, double amount, int rows = 1) {
  const size_t refunds = *lives.definition_->StreamNamed("refunds");
  columns::BatchBuilder builder(lives.definition_->streams[refunds].schema());
  for (int row = 0; row < rows; ++row) {
    builder.column(0).AppendNull();
    builder.column(1).AppendDouble(amount);
    builder.column(2).AppendInt(lives.now_);
  }
  bool told = false;
  lives.machine_->Run([&] {
    auto batch = lives.definition_->streams[refunds].contract->Enforce(builder.Finish());
    batch.stream = *lives.core_->StreamNamed("refunds");
    lives.core_->Submit(std::move(batch), [&](const auto& /*ack*/) { told = true; });
  });
  lives.machine_->RunUntil([&] { return told; });
}

// Nothing says any more which of its fields are restricted.
TEST(DeadLetters, NoPayloadOfAStreamThatIsNotInTheFile) {
  const std::string without = Text(kHour, Table::kNo);
  std::string with = without;
  with.insert(with.find("views:\n"), kRefunds);
  Lives lives(with);
  RefuseRefundsWithoutCard(lives, 7.25);
  EXPECT_EQ(Letter(lives)["stream"], "refunds");
  EXPECT_FALSE(Letter(lives).contains("masked"));
  EXPECT_NE(Letter(lives)["payload"].get<std::string>().find("7.25"), std::string::npos);
  lives.definition_ = Define(without);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(Letter(lives)["payload"], "***");
  EXPECT_EQ(Letter(lives)["masked"], true);
  const auto whole = Letter(lives, Payloads::kAsTheyCame);
  EXPECT_NE(whole["payload"].get<std::string>().find("7.25"), std::string::npos);
  EXPECT_FALSE(whole.contains("masked"));
}

// Where a page ends is within an epoch, and stays there when more comes in and over a restart.
TEST(DeadLetters, PagesGoThroughAnEpoch) {
  std::string text = Text(kHour, Table::kNo);
  text.insert(text.find("views:\n"), kRefunds);
  Lives lives(text);
  RefuseRefundsWithoutCard(lives, 1, 5);
  std::vector<std::pair<uint64_t, uint64_t>> found;
  DeadLetterQuery query{.stream = {}, .after = {}, .limit = 2};
  std::vector<size_t> sizes;
  for (bool more = true; more;) {
    DeadLetterPage page;
    lives.machine_->Run([&] { page = *lives.core_->DeadLetters(query); });
    const auto letters = nlohmann::json::parse(page.json);
    sizes.push_back(letters.size());
    for (const auto& letter : letters) found.emplace_back(letter["epoch"], letter["row"]);
    more = page.next.has_value();
    if (more) query.after = *LetterPosition::Parse(page.next->ToString());
    if (sizes.size() == 1) RefuseRefundsWithoutCard(lives, 2);
    if (sizes.size() == 2) lives.Die();
    ASSERT_LT(sizes.size(), 9U);
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{2, 2, 2}));
  ASSERT_EQ(found.size(), 6U);
  for (uint64_t row = 0; row < 5; ++row)
    EXPECT_EQ(found[row], (std::pair{found[0].first, row})) << row;
  EXPECT_GT(found[5].first, found[0].first);
}

// A start reads them as it reads rows.
TEST(DeadLetters, RefusedRowsAloneMakeASnapshotDue) {
  std::string text = Text(kHour, Table::kNo, "recovery: 50ms\n");
  text.insert(text.find("views:\n"), kRefunds);
  Lives lives(text);
  for (int batch = 0; batch < 4; ++batch) RefuseRefundsWithoutCard(lives, batch, 10'000);
  lives.machine_->RunFor(std::chrono::seconds(5));
  const auto snapshots = log::ListSnapshots(lives.machine_->files(), "data/snapshots");
  ASSERT_TRUE(snapshots);
  ASSERT_FALSE(snapshots->empty());
  // A version that knows no ranges passes their section over, and then the snapshot for its
  // version.
  auto reader = log::SnapshotReader::Open(lives.machine_->files(), snapshots->front().path,
                                          lives.core_->log_status().log);
  ASSERT_TRUE(reader);
  std::set<uint32_t> sections;
  for (auto block = *reader->Next(); block; block = *reader->Next())
    sections.insert(static_cast<uint32_t>(block->section));
  EXPECT_FALSE(sections.contains(7));
  EXPECT_TRUE(sections.contains(12));
}

log::Epoch Refusing(uint64_t id) {
  log::Epoch epoch;
  epoch.id = {id};
  epoch.rejects.push_back({base::StreamId{1}, {{0, "amount", "range", "too much", "{}"}}});
  return epoch;
}

// What is remembered does not grow with the epochs, nor with what is forgotten.
TEST(DeadLetters, TakesBoundedMemoryForEver) {
  DeadLetters letters;
  for (uint64_t id = 1; id <= 100'000; ++id) ASSERT_TRUE(letters.Note(Refusing(id)));
  EXPECT_EQ(letters.ranges(), 1U);
  constexpr uint64_t kSparse = 1'000;
  for (uint64_t i = 1; i <= 200'000; ++i)
    ASSERT_TRUE(letters.Note(Refusing(100'000 + kSparse * i)));
  EXPECT_LE(letters.ranges(), DeadLetters::kRangesMax);
  std::vector<uint8_t> bytes;
  letters.Encode(bytes);
  EXPECT_LE(bytes.size(), 16 * DeadLetters::kRangesMax + 100);
  DeadLetters again;
  ASSERT_TRUE(again.Decode(bytes));
  EXPECT_EQ(again.ranges(), letters.ranges());
  EXPECT_EQ(again.counts(), letters.counts());
  again.ForgetBefore({100'000 + kSparse * 200'000});
  EXPECT_EQ(again.ranges(), 1U);
  again.ForgetBefore({100'001 + kSparse * 200'000});
  EXPECT_EQ(again.ranges(), 0U);
}

TEST(DeadLetters, ASnapshotOfAnOlderVersionNamesEachEpoch) {
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  out.U64(1'000);
  out.U32(3);
  for (const uint64_t epoch : {5, 6, 900}) out.U64(epoch);
  out.U32(0);
  DeadLetters letters;
  ASSERT_TRUE(letters.Decode(bytes));
  EXPECT_EQ(letters.ranges(), 2U);
  ASSERT_TRUE(letters.Note(Refusing(1'000)));
  EXPECT_EQ(letters.ranges(), 2U) << "it is noted";
  ASSERT_TRUE(letters.Note(Refusing(1'001)));
  EXPECT_EQ(letters.ranges(), 3U);
}

TEST(DeadLetters, BehindTheLastPossibleEpochThereIsNone) {
  std::string text = Text(kHour, Table::kNo);
  text.insert(text.find("views:\n"), kRefunds);
  Lives lives(text);
  RefuseRefundsWithoutCard(lives, 1);
  const DeadLetterQuery query{.stream = {},
                              .after = *LetterPosition::Parse("18446744073709551615")};
  lives.machine_->Run([&] {
    const auto page = lives.core_->DeadLetters(query);
    EXPECT_EQ(page->json, "[]");
    EXPECT_FALSE(page->next);
  });
}

TEST(DeadLetters, APositionIsReadAsItIsWritten) {
  for (const std::string text : {"0", "7", "7.0", "7.250"})
    EXPECT_EQ(LetterPosition::Parse(text)->ToString(), text);
  EXPECT_EQ(LetterPosition::Parse("7")->letters, LetterPosition::kWhole);
  for (const char* text :
       {"", ".", "7.", ".7", "-1", "7.-1", "7.1.1", "x", "7 ", "18446744073709551616"})
    EXPECT_FALSE(LetterPosition::Parse(text).has_value()) << text;
}

}  // namespace
}  // namespace headrace::wiring

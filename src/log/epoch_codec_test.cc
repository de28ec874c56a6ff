#include "log/epoch_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "columns/random_batch.h"

namespace headrace::log {
namespace {

std::string RandomText(std::mt19937_64& random) {
  std::string text;
  for (uint64_t i = random() % 20; i > 0; --i) text += static_cast<char>(random());
  return text;
}

Epoch RandomEpoch(std::mt19937_64& random, Catalogue& catalogue) {
  Epoch epoch;
  epoch.id = {random() % 1000 + 1};
  epoch.clock = {static_cast<int64_t>(random())};
  epoch.sealed_at = {static_cast<int64_t>(random())};
  epoch.previous_visible = {static_cast<int64_t>(random())};
  epoch.visible_through = {random() % 1000};
  epoch.visible_at = {static_cast<int64_t>(random())};
  const auto schema = columns::SchemaOfAllTypes();
  for (uint32_t id = 1; id <= 3; ++id) {
    const StreamEntry entry{{id}, "stream" + std::to_string(id), schema, 9};
    if (random() % 2 == 0) {
      catalogue.Put(entry);
    } else {
      epoch.controls.push_back({ControlEntry::Kind::kStream, entry.name, EncodeStreamEntry(entry)});
    }
    if (random() % 2 == 0)
      epoch.streams.push_back({{id}, columns::RandomBatch(schema, random() % 50, 0.2, random)});
    if (random() % 2 == 0) continue;
    epoch.rejects.push_back({{id}, {}});
    for (uint64_t i = random() % 4; i > 0; --i)
      epoch.rejects.back().rows.push_back({static_cast<uint32_t>(random()), RandomText(random),
                                           RandomText(random), RandomText(random),
                                           RandomText(random)});
    SourceOutcome outcome{
        {id}, {RandomText(random), random(), {}}, static_cast<uint32_t>(random()), {}};
    if (random() % 2 == 0) outcome.source.idempotency_key = RandomText(random);
    const columns::ColumnBatch* rows = epoch.RowsOf({id});
    if (rows != nullptr && rows->rows() > 0 && random() % 2 == 0) {
      outcome.first_row = static_cast<uint32_t>(random() % rows->rows());
      outcome.accepted = 1 + static_cast<uint32_t>(random() % (rows->rows() - outcome.first_row));
    }
    for (uint32_t i = 0; i < epoch.rejects.back().rows.size(); ++i) outcome.rejects.push_back(i);
    epoch.outcomes.push_back(std::move(outcome));
  }
  epoch.controls.push_back({ControlEntry::Kind::kDefinition, RandomText(random), {1, 2, 3}});
  epoch.controls.push_back({ControlEntry::Kind::kReplay, RandomText(random), {4, 5}});
  return epoch;
}

void ExpectSame(const Epoch& a, const Epoch& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.clock, b.clock);
  EXPECT_EQ(a.sealed_at, b.sealed_at);
  EXPECT_EQ(a.previous_visible, b.previous_visible);
  EXPECT_EQ(a.visible_through, b.visible_through);
  EXPECT_EQ(a.visible_at, b.visible_at);
  ASSERT_EQ(a.streams.size(), b.streams.size());
  for (size_t i = 0; i < a.streams.size(); ++i) {
    EXPECT_EQ(a.streams[i].stream, b.streams[i].stream);
    EXPECT_TRUE(columns::SameRows(a.streams[i].rows, b.streams[i].rows));
  }
  ASSERT_EQ(a.rejects.size(), b.rejects.size());
  for (size_t i = 0; i < a.rejects.size(); ++i) EXPECT_EQ(a.rejects[i].rows, b.rejects[i].rows);
  ASSERT_EQ(a.outcomes.size(), b.outcomes.size());
  for (size_t i = 0; i < a.outcomes.size(); ++i) {
    EXPECT_EQ(a.outcomes[i].source.producer, b.outcomes[i].source.producer);
    EXPECT_EQ(a.outcomes[i].source.sequence, b.outcomes[i].source.sequence);
    EXPECT_EQ(a.outcomes[i].source.idempotency_key, b.outcomes[i].source.idempotency_key);
    EXPECT_EQ(a.outcomes[i].accepted, b.outcomes[i].accepted);
    EXPECT_EQ(a.outcomes[i].first_row, b.outcomes[i].first_row);
    EXPECT_EQ(a.outcomes[i].rejects, b.outcomes[i].rejects);
  }
  ASSERT_EQ(a.controls.size(), b.controls.size());
  for (size_t i = 0; i < a.controls.size(); ++i)
    EXPECT_EQ(a.controls[i].payload, b.controls[i].payload);
}

TEST(EpochCodec, RoundTripsAnyEpochWithinItsBound) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Catalogue before;
    const Epoch epoch = RandomEpoch(random, before);
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    EncodeEpoch(epoch, before.entries(), out);
    EXPECT_LE(bytes.size(), EncodedBytesMax(epoch, before.entries()));
    const auto owner = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
    Catalogue learned;
    const auto decoded = DecodeEpoch(*owner, learned, owner);
    ASSERT_TRUE(decoded) << decoded.error().ToString();
    ExpectSame(epoch, *decoded);
    EXPECT_EQ(learned.entries().size(), 3U);
    Catalogue skimmed;
    ASSERT_TRUE(LearnStreams(*owner, skimmed));
    EXPECT_EQ(skimmed.entries().size(), 3U);
  }
}

TEST(EpochCodec, AnOutcomeOfRowsThatAreNotThereIsDamage) {
  Catalogue before;
  before.Put({{1}, "stream1", columns::SchemaOfAllTypes(), 9});
  std::mt19937_64 random(1);
  Epoch epoch;
  epoch.id = {7};
  epoch.streams.push_back({{1}, columns::RandomBatch(columns::SchemaOfAllTypes(), 5, 0, random)});
  const auto decodes = [&](base::StreamId stream, uint32_t first_row, uint32_t accepted) {
    epoch.outcomes = {{stream, {"p", 1, {}}, accepted, {}, first_row}};
    auto bytes = std::make_shared<std::vector<uint8_t>>();
    columns::ByteWriter out(*bytes);
    EncodeEpoch(epoch, before.entries(), out);
    Catalogue learned;
    return DecodeEpoch(*bytes, learned, bytes).has_value();
  };
  EXPECT_TRUE(decodes({1}, 0, 5));
  EXPECT_TRUE(decodes({1}, 4, 1));
  EXPECT_TRUE(decodes({1}, kRowUnknown, 9)) << "of an older log";
  EXPECT_FALSE(decodes({1}, 4, 2));
  EXPECT_FALSE(decodes({1}, 5, 0));
  EXPECT_FALSE(decodes({1}, 1, kRowUnknown)) << "no overflow";
  EXPECT_FALSE(decodes({2}, 0, 1)) << "a stream without rows";
}

TEST(EpochCodec, DamagedBytesAreAnErrorOrAnotherEpochAndNeverMore) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Catalogue before;
    const Epoch epoch = RandomEpoch(random, before);
    std::vector<uint8_t> bytes;
    columns::ByteWriter out(bytes);
    EncodeEpoch(epoch, before.entries(), out);
    for (int damage = 0; damage < 20; ++damage) {
      auto damaged = std::make_shared<std::vector<uint8_t>>(bytes);
      if (random() % 4 == 0) damaged->resize(random() % (bytes.size() + 1));
      for (uint64_t i = random() % 4; i > 0 && !damaged->empty(); --i)
        (*damaged)[random() % damaged->size()] =
            random() % 3 == 0 ? 0xff : static_cast<uint8_t>(random());
      Catalogue learned;
      const auto decoded = DecodeEpoch(*damaged, learned, damaged);
      if (!decoded) {
        EXPECT_EQ(decoded.error().code(), base::ErrorCode::kCorruption);
        continue;
      }
      // Whatever was read must be readable: every value is touched.
      for (const StreamRows& rows : decoded->streams)
        EXPECT_TRUE(columns::SameRows(rows.rows, rows.rows));
    }
  }
}

TEST(EpochCodec, ClaimsOfManyRowsWithoutBytesAreRefused) {
  Catalogue catalogue;
  catalogue.Put({{1}, "s", columns::SchemaOfAllTypes(), 9});
  Epoch epoch;
  epoch.streams.push_back(
      {{1}, columns::ColumnBatch(columns::SchemaOfAllTypes(), 0, [] {
         std::mt19937_64 random(1);
         return columns::RandomBatch(columns::SchemaOfAllTypes(), 0, 0, random).columns();
       }())});
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  EncodeEpoch(epoch, {}, out);
  // The batch begins 8-aligned behind 48 bytes of times, four counts and the streams' count and id.
  const size_t rows_at = (48 + 6 * 4 + 7) / 8 * 8;
  bytes.at(rows_at + 2) = 0x7f;  // 8 million rows
  bytes.at(rows_at + 4) = 0;     // in no column
  bytes.resize(rows_at + 8);
  const auto decoded = DecodeEpoch(bytes, catalogue, nullptr);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message().find("claims"), std::string::npos);
}

}  // namespace
}  // namespace headrace::log

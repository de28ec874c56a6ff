#include "columns/batch.h"

#include <gtest/gtest.h>

#include "columns/batch_codec.h"
#include "columns/random_batch.h"

namespace headrace::columns {
namespace {

constexpr uint64_t kSeed = 42;

std::vector<uint8_t> Encoded(const ColumnBatch& batch) {
  std::vector<uint8_t> bytes;
  ByteWriter writer(bytes);
  EncodeBatch(batch, writer);
  return bytes;
}

TEST(BatchCodec, RandomBatchesReadBack) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  for (int i = 0; i < 200; ++i) {
    const ColumnBatch batch = RandomBatch(schema, random() % 70, i % 3 == 0 ? 0.0 : 0.3, random);
    const auto bytes = std::make_shared<std::vector<uint8_t>>(Encoded(batch));
    ByteReader reader(*bytes);
    const auto back = DecodeBatch(reader, schema, bytes);
    ASSERT_TRUE(back.has_value()) << back.error().ToString() << " seed " << kSeed << " round " << i;
    ASSERT_TRUE(SameRows(batch, *back)) << "seed " << kSeed << " round " << i;
    EXPECT_EQ(reader.remaining(), 0U);
  }
}

TEST(BatchCodec, CutBytesAreCorruptionAndFlippedOnesNeverCrash) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  const std::vector<uint8_t> bytes = Encoded(RandomBatch(schema, 20, 0.2, random));
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(std::span<const uint8_t>(bytes).first(size));
    const auto cut = DecodeBatch(reader, schema, nullptr);
    ASSERT_FALSE(cut.has_value()) << size;
    ASSERT_EQ(cut.error().code(), base::ErrorCode::kCorruption);
  }
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint8_t> flipped = bytes;
    flipped[random() % flipped.size()] ^= static_cast<uint8_t>(1U << (random() % 8));
    ByteReader reader(flipped);
    if (const auto batch = DecodeBatch(reader, schema, nullptr)) {
      for (const Column& column : batch->columns())
        for (size_t row = 0; row < column.length(); ++row) (void)column.At(row);
    }
  }
}

TEST(BatchCodec, AFieldAddedLaterReadsAsNull) {
  std::mt19937_64 random(kSeed);
  const auto narrow =
      std::make_shared<const Schema>(std::vector<Field>{{1, "a", Type::kInt64, Nullable::kNo}});
  const auto wide = std::make_shared<const Schema>(std::vector<Field>{
      {1, "a", Type::kInt64, Nullable::kNo}, {2, "b", Type::kString, Nullable::kYes}});
  const std::vector<uint8_t> bytes = Encoded(RandomBatch(narrow, 5, 0, random));
  ByteReader reader(bytes);
  const auto batch = DecodeBatch(reader, wide, nullptr);
  ASSERT_TRUE(batch.has_value());
  EXPECT_TRUE(batch->column(1).IsNull(4));
}

TEST(SchemaCodec, ReadsBack) {
  std::vector<uint8_t> bytes;
  ByteWriter writer(bytes);
  EncodeSchema(*SchemaOfAllTypes(), writer);
  ByteReader reader(bytes);
  EXPECT_EQ(**DecodeSchema(reader), *SchemaOfAllTypes());
}

TEST(Batch, TakeSliceAndConcatAgreeWithRowByRow) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  for (int i = 0; i < 50; ++i) {
    const ColumnBatch a = RandomBatch(schema, 1 + random() % 40, 0.2, random);
    const ColumnBatch b = RandomBatch(schema, random() % 40, i % 2 == 0 ? 0.0 : 0.5, random);
    const std::vector<ColumnBatch> parts = {a, b};
    const ColumnBatch both = ColumnBatch::Concat(parts);
    ASSERT_TRUE(SameRows(both.Slice(0, a.rows()), a)) << "seed " << kSeed << " round " << i;
    ASSERT_TRUE(SameRows(both.Slice(a.rows(), both.rows()), b))
        << "seed " << kSeed << " round " << i;
    std::vector<uint32_t> reversed;
    for (size_t row = both.rows(); row-- > 0;) reversed.push_back(static_cast<uint32_t>(row));
    ASSERT_TRUE(SameRows(both.Take(reversed).Take(reversed), both))
        << "seed " << kSeed << " round " << i;
  }
}

}  // namespace
}  // namespace headrace::columns

#include "tables/delta/deletion_vector.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "columns/batch_codec.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using Bytes = std::vector<uint8_t>;

void U16(columns::ByteWriter& out, uint32_t value) {
  out.U8(static_cast<uint8_t>(value));
  out.U8(static_cast<uint8_t>(value >> 8));
}

void Head(columns::ByteWriter& out) {
  out.U32(1681511377);
  out.U64(1);
  out.U32(0);
}

base::Result<std::vector<uint64_t>> Decode(const Bytes& bytes, uint64_t cardinality) {
  HR_TRY(DeletedRows deleted, DeletedRows::Decode(bytes, cardinality));
  std::vector<uint64_t> rows;
  while (const auto range = deleted.Next())
    for (uint64_t row = range->first; row <= range->last; ++row) rows.push_back(row);
  EXPECT_EQ(rows.size(), deleted.count());
  EXPECT_TRUE(rows.empty() || rows.back() + 1 == deleted.end());
  return rows;
}

// One container of runs, below the number from which offsets are stored.
TEST(DeletionVector, ReadsRuns) {
  Bytes bytes;
  columns::ByteWriter out(bytes);
  Head(out);
  out.U32(12347);  // one container
  out.U8(1);       // it has runs
  U16(out, 2);     // of rows from 131,072 on
  U16(out, 12);    // 13 values
  U16(out, 2);     // in two runs
  U16(out, 10);
  U16(out, 9);
  U16(out, 65533);
  U16(out, 2);
  const auto rows = Decode(bytes, 13);
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(rows->front(), 131'082U);
  EXPECT_EQ(rows->back(), 196'607U);
  EXPECT_FALSE(Decode(bytes, 12));
  bytes[bytes.size() - 2] = 3;  // beyond the container
  EXPECT_EQ(Decode(bytes, 14).error().code(), ErrorCode::kCorruption);
}

TEST(DeletionVector, ReadsBitsets) {
  std::mt19937_64 random(7);
  std::set<uint64_t> wanted;
  while (wanted.size() < 5000) wanted.insert(random() % 65536);
  Bytes bytes;
  columns::ByteWriter out(bytes);
  Head(out);
  out.U32(12346);
  out.U32(1);
  U16(out, 0);
  U16(out, 4999);
  out.U32(16);
  Bytes bits(8192);
  for (const uint64_t row : wanted) bits[row / 8] |= static_cast<uint8_t>(1U << (row % 8));
  out.Bytes(bits);
  const auto rows = Decode(bytes, 5000);
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(*rows, std::vector<uint64_t>(wanted.begin(), wanted.end()));
}

TEST(DeletionVector, ReadsValues) {
  Bytes bytes;
  columns::ByteWriter out(bytes);
  Head(out);
  out.U32(12346);
  out.U32(1);
  U16(out, 1);
  U16(out, 3);
  out.U32(16);
  for (const uint32_t value : {3, 4, 9, 65535}) U16(out, value);
  EXPECT_EQ(*Decode(bytes, 4), (std::vector<uint64_t>{65539, 65540, 65545, 131071}));
  bytes[bytes.size() - 4] = 4;  // twice
  EXPECT_EQ(Decode(bytes, 4).error().code(), ErrorCode::kCorruption);
}

// Four thousand million rows in 650 KiB: they are never all in memory.
TEST(DeletionVector, ManyRowsInFewBytes) {
  constexpr uint32_t kContainers = 1 << 16;
  Bytes bytes;
  columns::ByteWriter out(bytes);
  Head(out);
  out.U32(12347 | (kContainers - 1) << 16);
  for (uint32_t i = 0; i < kContainers / 8; ++i) out.U8(0xFF);
  for (uint32_t i = 0; i < kContainers; ++i) {
    U16(out, i);
    U16(out, 65535);
  }
  for (uint32_t i = 0; i < kContainers; ++i) out.U32(0);  // offsets, which nobody needs
  for (uint32_t i = 0; i < kContainers; ++i) {
    U16(out, 1);
    U16(out, 0);
    U16(out, 65535);
  }
  const uint64_t rows = uint64_t{kContainers} << 16;
  auto deleted = DeletedRows::Decode(bytes, rows);
  ASSERT_TRUE(deleted) << deleted.error().ToString();
  EXPECT_EQ(deleted->count(), rows);
  uint64_t ranges = 0;
  while (deleted->Next()) ++ranges;
  EXPECT_EQ(ranges, kContainers);
  EXPECT_FALSE(DeletedRows::Decode(bytes, rows - 1));
  EXPECT_FALSE(DeletedRows::Decode(bytes, rows + 1));
}

// Any bytes: an answer or an error, in memory that the cardinality bounds.
TEST(DeletionVector, SurvivesAnyBytes) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes;
    columns::ByteWriter out(bytes);
    Head(out);
    out.U32(random() % 2 == 0 ? 12346 : 12347);
    while (bytes.size() < 20 + random() % 60) out.U8(static_cast<uint8_t>(random() % 4));
    const auto rows = Decode(bytes, 100);
    if (rows) EXPECT_EQ(rows->size(), 100U);
  }
}

TEST(DeletionVector, Z85) {
  EXPECT_EQ(*DecodeZ85("HelloWorld"), (Bytes{0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B}));
  EXPECT_FALSE(DecodeZ85("Hell"));
  EXPECT_FALSE(DecodeZ85("Hell\""));
  EXPECT_FALSE(DecodeZ85("#####"));
}

}  // namespace
}  // namespace headrace::tables::delta

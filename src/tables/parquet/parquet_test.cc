#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <cmath>
#include <random>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "env/environment.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"

namespace headrace::tables {
namespace {

using columns::BatchBuilder;
using columns::ColumnBatch;
using columns::ColumnBuilder;
using columns::Field;
using columns::Nullable;
using columns::Schema;
using columns::SchemaRef;
using columns::Type;

SchemaRef AllTypes() {
  std::vector<Field> fields;
  for (const columns::TypeRow& row : columns::TypeTable()) {
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = std::string(row.name),
                      .type = row.type});
  }
  fields.push_back({.id = 99, .name = "required", .type = Type::kInt64, .nullable = Nullable::kNo});
  return std::make_shared<const Schema>(std::move(fields));
}

void AppendRandom(std::mt19937_64& random, ColumnBuilder& column) {
  switch (column.type()) {
    case Type::kBool: column.AppendBool(random() % 2 == 0); break;
    case Type::kInt32:
    case Type::kDate: column.AppendInt(static_cast<int32_t>(random())); break;
    case Type::kFloat32:
    case Type::kFloat64: column.AppendDouble(static_cast<double>(random() % 1000) / 7 - 50); break;
    case Type::kString:
    case Type::kBytes:
      column.AppendText(std::string(random() % 9, static_cast<char>('a' + random() % 26)));
      break;
    default: column.AppendInt(static_cast<int64_t>(random())); break;
  }
}

ColumnBatch RandomRows(std::mt19937_64& random, const SchemaRef& schema, size_t rows) {
  BatchBuilder builder(schema);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < schema->size(); ++i) {
      if (schema->field(i).nullable == Nullable::kYes && random() % 5 == 0) {
        builder.column(i).AppendNull();
      } else {
        AppendRandom(random, builder.column(i));
      }
    }
  }
  return builder.Finish();
}

EncodedFile Encode(const SchemaRef& schema, const std::vector<ColumnBatch>& parts) {
  auto writer = ParquetWriter::Make(schema);
  for (const ColumnBatch& part : parts) EXPECT_TRUE(writer->Write(part));
  auto file = writer->Finish();
  EXPECT_TRUE(file) << file.error().ToString();
  return std::move(*file);
}

class ParquetTest : public testing::Test {
 protected:
  void SetUp() override {
    seed_ = std::random_device{}();
    random_.seed(seed_);
    path_ = testing::TempDir() + "headrace-parquet-" + std::to_string(seed_) + ".parquet";
  }
  void TearDown() override { (void)environment_->files().Remove(path_); }

  std::unique_ptr<ParquetReader> Store(const EncodedFile& file) {
    EXPECT_TRUE(env::PutAtomically(environment_->files(), path_, file.bytes.bytes()));
    auto reader = ParquetReader::Open(environment_->files(), path_);
    EXPECT_TRUE(reader) << reader.error().ToString();
    return std::move(*reader);
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  std::string path_;
  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
};

void ExpectSame(const ColumnBatch& a, const ColumnBatch& b) {
  ASSERT_EQ(a.rows(), b.rows());
  for (size_t c = 0; c < a.columns().size(); ++c)
    for (size_t row = 0; row < a.rows(); ++row)
      ASSERT_TRUE(a.column(c).At(row).SameBits(b.column(c).At(row)))
          << a.schema()->field(c).name << " row " << row;
}

TEST_F(ParquetTest, GivesBackEveryTypeInAnyParts) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const SchemaRef schema = AllTypes();
  for (const size_t rows : {size_t{1}, size_t{100}, size_t{40'000}}) {
    const ColumnBatch all = RandomRows(random_, schema, rows);
    std::vector<ColumnBatch> parts;
    for (size_t begin = 0; begin < rows;) {
      const size_t end = std::min(rows, begin + 1 + random_() % 9000);
      parts.push_back(all.Slice(begin, end));
      begin = end;
    }
    const auto reader = Store(Encode(schema, parts));
    EXPECT_EQ(reader->rows(), rows);
    const auto found = reader->schema();
    ASSERT_TRUE(found);
    for (size_t i = 0; i < schema->size(); ++i) {
      EXPECT_EQ((*found)->field(i).name, schema->field(i).name);
      EXPECT_EQ((*found)->field(i).type, schema->field(i).type);
      EXPECT_EQ((*found)->field(i).nullable, schema->field(i).nullable);
    }
    const auto back = reader->ReadAll(schema);
    ASSERT_TRUE(back) << back.error().ToString();
    ExpectSame(*back, all);
  }
}

TEST_F(ParquetTest, SameRowsGiveTheSameBytes) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const SchemaRef schema = AllTypes();
  const ColumnBatch rows = RandomRows(random_, schema, 20'000);
  const std::vector<ColumnBatch> parts = {rows.Slice(0, 7000), rows.Slice(7000, 20'000)};
  const EncodedFile a = Encode(schema, parts);
  const EncodedFile b = Encode(schema, parts);
  EXPECT_TRUE(std::ranges::equal(a.bytes.bytes(), b.bytes.bytes()));
}

// Keys and texts of 200 KB that no codec makes smaller, some of them the same.
ColumnBatch WideRows(std::mt19937_64& random, size_t rows) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "row", .type = Type::kInt64, .nullable = Nullable::kNo},
                         {.id = 2, .name = "text", .type = Type::kString}});
  columns::BatchBuilder builder(schema);
  std::string text;
  for (size_t row = 0; row < rows; ++row) {
    builder.column(0).AppendInt(static_cast<int64_t>(row));
    if (row % 7 == 3) {
      builder.column(1).AppendNull();
      continue;
    }
    if (row % 5 != 1) {
      text.resize(random() % 400'000);
      for (char& c : text) c = static_cast<char>(random() & 0x7f);
    }
    builder.column(1).AppendText(text);
  }
  return builder.Finish();
}

TEST_F(ParquetTest, WideRowsPassThroughInBoundedMemory) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  constexpr size_t kBatches = 40, kRows = 20;  // some 90 MB, whatever the seed
  std::vector<uint8_t> bytes;
  size_t pieces = 0;
  auto append = [&](std::span<const uint8_t> piece) -> base::Result<void> {
    EXPECT_TRUE(bytes.size() % ParquetWriter::kPieceBytes == 0) << "a short piece inside";
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    ++pieces;
    return {};
  };
  std::vector<ColumnBatch> parts;
  for (size_t i = 0; i < kBatches; ++i) parts.push_back(WideRows(random_, kRows));
  const auto writer = ParquetWriter::Make(parts[0].schema(), append);
  uint64_t held_max = 0;
  for (const ColumnBatch& part : parts) {
    ASSERT_TRUE(writer->Write(part));
    held_max = std::max(held_max, writer->held_bytes());
  }
  const auto file = writer->Finish();
  ASSERT_TRUE(file);
  EXPECT_GT(bytes.size(), 2 * ParquetWriter::kRowGroupBytes) << "several row groups";
  EXPECT_LT(held_max, 2 * ParquetWriter::kRowGroupBytes);
  EXPECT_EQ(pieces, bytes.size() / ParquetWriter::kPieceBytes + 1);
  EXPECT_TRUE(file->bytes.empty());
  const EncodedFile kept = Encode(parts[0].schema(), parts);
  EXPECT_TRUE(std::ranges::equal(bytes, kept.bytes.bytes()));
  const auto back = Store(kept)->ReadAll(parts[0].schema());
  ASSERT_TRUE(back) << back.error().ToString();
  ExpectSame(*back, ColumnBatch::Concat(parts));
}

TEST_F(ParquetTest, OneBatchOfAnySizeIsEncodedInPieces) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const ColumnBatch rows = WideRows(random_, 500);
  ASSERT_GT(rows.ByteSize(), 2 * ParquetWriter::kRowGroupBytes);
  const auto reader = Store(Encode(rows.schema(), {rows}));
  const auto back = reader->ReadAll(rows.schema());
  ASSERT_TRUE(back) << back.error().ToString();
  ExpectSame(*back, rows);
}

enum class Timestamps : uint8_t { kMicroseconds, kInt96 };

// A file as Spark writes one.
EncodedFile WithFooterPair(const ColumnBatch& rows, const char* key, const char* value,
                           Timestamps timestamps) {
  parquet::ArrowWriterProperties::Builder properties;
  properties.store_schema();
  if (timestamps == Timestamps::kInt96) properties.enable_deprecated_int96_timestamps();
  const auto batch =
      (*columns::ToArrow(rows))->ReplaceSchemaMetadata(arrow::key_value_metadata({key}, {value}));
  const auto sink = *arrow::io::BufferOutputStream::Create();
  const auto table = *arrow::Table::FromRecordBatches({batch});
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 1024,
                                         parquet::default_writer_properties(), properties.build())
                  .ok());
  const auto bytes = *sink->Finish();
  return {.bytes = columns::Buffer::Own({bytes->data(), bytes->data() + bytes->size()})};
}

TEST_F(ParquetTest, TimesOfTheJulianCalendarAreRefused) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "d", .type = Type::kDate},
                         {.id = 2, .name = "t", .type = Type::kTimestamp},
                         {.id = 3, .name = "s", .type = Type::kString},
                         {.id = 4, .name = "n", .type = Type::kTimestampNtz}});
  constexpr int32_t kGregorian = -141'427;  // 1582-10-15
  constexpr int64_t k1900 = -2'208'988'800'000'000;
  const auto rows = [&](int32_t date, int64_t time) {
    BatchBuilder builder(schema);
    for (size_t i = 0; i < schema->size(); ++i) builder.column(i).AppendNull();
    builder.column(0).AppendInt(date);
    builder.column(1).AppendInt(time);
    builder.column(2).AppendText("a");
    builder.column(3).AppendInt(std::numeric_limits<int32_t>::min() * int64_t{1'000'000'000});
    return builder.Finish();
  };
  const auto error = [&](const ColumnBatch& batch, const SchemaRef& wanted, const char* key,
                         const char* value = "",
                         Timestamps timestamps = Timestamps::kMicroseconds) {
    const auto back = Store(WithFooterPair(batch, key, value, timestamps))->ReadAll(wanted);
    return back ? std::optional<base::ErrorCode>() : back.error().code();
  };
  constexpr auto kUnsupported = base::ErrorCode::kUnsupported;
  const auto early_date = rows(kGregorian - 1, k1900);
  const auto early_time = rows(kGregorian, k1900 - 1);
  constexpr const char* kDateTime = "org.apache.spark.legacyDateTime";
  EXPECT_EQ(error(early_date, schema, kDateTime), kUnsupported);
  EXPECT_EQ(error(early_time, schema, kDateTime), kUnsupported);
  EXPECT_EQ(error(rows(kGregorian, k1900), schema, kDateTime), std::nullopt);
  const auto text = std::make_shared<const Schema>(std::vector<Field>{{3, "s", Type::kString}});
  EXPECT_EQ(error(rows(kGregorian - 1, k1900 - 1), text, kDateTime), std::nullopt);
  constexpr const char* kVersion = "org.apache.spark.version";
  EXPECT_EQ(error(early_date, schema, kVersion, "2.4.8"), kUnsupported);
  EXPECT_EQ(error(early_date, schema, kVersion, "3.5.0"), std::nullopt);
  const auto dates = std::make_shared<const Schema>(
      std::vector<Field>{{1, "d", Type::kDate}, {2, "t", Type::kTimestamp}});
  constexpr const char* kLegacyInt96 = "org.apache.spark.legacyINT96";
  EXPECT_EQ(error(early_time, dates, kLegacyInt96), std::nullopt);
  EXPECT_EQ(error(early_time, dates, kLegacyInt96, "", Timestamps::kInt96), kUnsupported);
  EXPECT_EQ(error(early_date, dates, kLegacyInt96, "", Timestamps::kInt96), std::nullopt);
  EXPECT_EQ(error(early_time, dates, kVersion, "3.0.2", Timestamps::kInt96), kUnsupported);
  EXPECT_EQ(error(early_time, dates, kVersion, "3.1.0", Timestamps::kInt96), std::nullopt);
}

// Few bytes in the file, and more than one piece may have when they are decoded.
TEST_F(ParquetTest, LongTextsThatRepeatAreReadInSmallerParts) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{1, "n", Type::kInt64}, {2, "s", Type::kString}});
  constexpr int64_t kShort = 70'000, kRows = kShort + 40'000, kBatchRows = 1000;
  const std::string text(16 << 10, 'x');
  auto writer = ParquetWriter::Make(schema);
  for (int64_t begin = 0; begin < kRows; begin += kBatchRows) {
    BatchBuilder builder(schema);
    for (int64_t n = begin; n < begin + kBatchRows; ++n) {
      builder.column(0).AppendInt(n);
      builder.column(1).AppendText(n < kShort ? "short" : text);
    }
    ASSERT_TRUE(writer->Write(builder.Finish()));
  }
  const auto file = writer->Finish();
  ASSERT_TRUE(file);
  ASSERT_LT(file->bytes.size(), 32U << 20);
  int64_t next = 0;
  const auto read = Store(*file)->Scan(schema, [&](const ColumnBatch& part) -> base::Result<void> {
    for (size_t row = 0; row < part.rows(); ++row) {
      EXPECT_EQ(part.column(1).Text(row), next < kShort ? "short" : text);
      EXPECT_EQ(part.column(0).Int64s()[row], next++);
    }
    return {};
  });
  EXPECT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(next, kRows);
}

// By column: whether a file of these rows has it compressed.
std::vector<bool> Compressed(const ColumnBatch& rows) {
  const EncodedFile file = Encode(rows.schema(), {rows});
  const auto reader = parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(file.bytes.data(), static_cast<int64_t>(file.bytes.size()))));
  const auto group = reader->metadata()->RowGroup(0);
  std::vector<bool> compressed;
  for (int i = 0; i < group->num_columns(); ++i) {
    const auto codec = group->ColumnChunk(i)->compression();
    EXPECT_TRUE(codec == arrow::Compression::ZSTD || codec == arrow::Compression::UNCOMPRESSED);
    compressed.push_back(codec == arrow::Compression::ZSTD);
  }
  return compressed;
}

// By what they hold where they are not null, whatever lies under a null.
TEST_F(ParquetTest, SmallColumnsAreNotCompressed) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "n", .type = Type::kInt64},
                         {.id = 2, .name = "flag", .type = Type::kBool},
                         {.id = 3, .name = "note", .type = Type::kString},
                         {.id = 4, .name = "seldom", .type = Type::kString}});
  const auto rows = [&](int64_t count) {
    BatchBuilder builder(schema);
    for (int64_t n = 0; n < count; ++n) {
      builder.column(0).AppendInt(n);
      builder.column(1).AppendBool(n % 2 == 0);
      builder.column(2).AppendText("0123456789");
      n == 0 ? builder.column(3).AppendText("once") : builder.column(3).AppendNull();
    }
    return builder.Finish();
  };
  EXPECT_EQ(Compressed(rows(50)), std::vector({false, false, false, false}));
  EXPECT_EQ(Compressed(rows(110)), std::vector({false, false, true, false}));
  EXPECT_EQ(Compressed(rows(200)), std::vector({true, false, true, false}));
  EXPECT_EQ(Compressed(rows(10'000)), std::vector({true, true, true, false}));
  EXPECT_EQ(Compressed(rows(20'000)), std::vector({true, true, true, true}))
      << "more than is gathered: a column may begin with nulls";
}

TEST_F(ParquetTest, WhatTheDiskSaysComesThrough) {
  const ColumnBatch rows = WideRows(random_, 100);
  auto writer = ParquetWriter::Make(rows.schema(), [](std::span<const uint8_t>) {
    return base::Result<void>(base::Fail(base::ErrorCode::kStorageFull, "no room"));
  });
  base::Result<void> written;
  for (int i = 0; i < 10 && written; ++i) written = writer->Write(rows);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), base::ErrorCode::kStorageFull) << written.error().ToString();
}

TEST_F(ParquetTest, ReadsAnySubsetAndFillsWhatTheFileLacks) {
  const SchemaRef schema = AllTypes();
  const ColumnBatch rows = RandomRows(random_, schema, 50);
  const auto reader = Store(Encode(schema, {rows}));
  const auto wanted = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "later", .type = Type::kString},
                         {.id = 2, .name = "required", .type = Type::kInt64}});
  const auto back = reader->ReadAll(wanted);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_TRUE(back->column(0).IsNull(49));
  const size_t required = *schema->IndexOf("required");
  EXPECT_EQ(back->column(1).Int64s()[49], rows.column(required).Int64s()[49]);

  const auto absent = std::make_shared<const Schema>(std::vector<Field>{
      {.id = 1, .name = "later", .type = Type::kString, .nullable = Nullable::kNo}});
  const auto refused = reader->ReadAll(absent);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("later"), std::string::npos);
}

TEST_F(ParquetTest, TellsBoundsAndNullsButNoBoundsOfNan) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "i", .type = Type::kInt64},
                         {.id = 2, .name = "t", .type = Type::kString},
                         {.id = 3, .name = "f", .type = Type::kFloat64}});
  BatchBuilder builder(schema);
  for (const int64_t v : {3, -5, 9}) {
    builder.column(0).AppendInt(v);
    builder.column(1).AppendText("x" + std::to_string(v));
    builder.column(2).AppendDouble(v == 9 ? std::nan("") : 1.0);
  }
  builder.column(0).AppendNull();
  builder.column(1).AppendNull();
  builder.column(2).AppendDouble(2.0);
  const EncodedFile file = Encode(schema, {builder.Finish()});
  EXPECT_EQ(file.rows, 4U);
  ASSERT_TRUE(file.stats[0].bounded);
  EXPECT_EQ(file.stats[0].min.as_int(), -5);
  EXPECT_EQ(file.stats[0].max.as_int(), 9);
  EXPECT_EQ(file.stats[0].nulls, 1U);
  EXPECT_EQ(file.stats[1].min.as_text(), "x-5");
  EXPECT_EQ(file.stats[1].max.as_text(), "x9");
  EXPECT_FALSE(file.stats[2].bounded);
}

TEST_F(ParquetTest, SaysThatAFileIsNone) {
  const std::vector<uint8_t> text = {'n', 'o', 't', ' ', 'p', 'a', 'r', 'q', 'u', 'e', 't'};
  ASSERT_TRUE(env::PutAtomically(environment_->files(), path_, text));
  const auto reader = ParquetReader::Open(environment_->files(), path_);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), base::ErrorCode::kCorruption);
}

}  // namespace
}  // namespace headrace::tables

#include "tables/parquet/decimal_text.h"

#include <arrow/array/array_decimal.h>
#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_decimal.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>

#include <random>

namespace headrace::tables {
namespace {

TEST(DecimalText, SetsThePoint) {
  EXPECT_EQ(SetPoint("150", 2), "1.50");
  EXPECT_EQ(SetPoint("-5", 2), "-0.05");
  EXPECT_EQ(SetPoint("7", 0), "7");
  EXPECT_EQ(SetPoint("0", 3), "0.000");
  EXPECT_EQ(SetPoint("-0", 1), "0.0");
  EXPECT_EQ(SetPoint("007", 0), "7");
}

// Whatever way a number is written, its digits are the same.
TEST(DecimalText, ReadsEveryWayToWriteANumber) {
  const uint64_t seed = 20261126;
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    const auto unscaled = static_cast<int64_t>(random()) >> (random() % 60);
    const int scale = static_cast<int>(random() % 12);
    const std::string wanted = SetPoint(std::to_string(unscaled), scale);
    const auto plain = DecimalOf(wanted, scale);
    ASSERT_TRUE(plain) << wanted << ", seed " << seed;
    EXPECT_EQ(*plain, wanted);
    const auto shifted = DecimalOf(
        std::to_string(unscaled) + (random() % 2 ? "e-" : "E-") + std::to_string(scale), scale);
    ASSERT_TRUE(shifted) << wanted << ", seed " << seed;
    EXPECT_EQ(*shifted, wanted);
    EXPECT_EQ(*DecimalOf(wanted + (scale > 0 ? "000" : ".000"), scale), wanted);
  }
}

TEST(DecimalText, RefusesWhatIsNone) {
  for (const char* text :
       {"", "-", ".", "x", "1e", "1e+", "1.2.3", "--1", "1e999", "0.123", ".005", "5e-3", " 1"})
    EXPECT_FALSE(DecimalOf(text, 2)) << text;
}

TEST(DecimalText, OfArrays) {
  arrow::Decimal128Builder builder(arrow::decimal128(10, 2));
  ASSERT_TRUE(builder.Append(arrow::Decimal128(-5)).ok());
  ASSERT_TRUE(builder.AppendNull().ok());
  ASSERT_TRUE(builder.Append(arrow::Decimal128(12345)).ok());
  const std::shared_ptr<arrow::Array> decimals = *builder.Finish();
  const auto texts = DecimalTexts(*decimals->Slice(1), 4);
  ASSERT_TRUE(texts) << texts.error().ToString();
  EXPECT_TRUE(texts->IsNull(0));
  EXPECT_EQ(texts->Text(1), "123.4500");
  EXPECT_FALSE(DecimalTexts(*decimals, 1)) << "a digit would be lost";

  arrow::Int32Builder integers;
  ASSERT_TRUE(integers.Append(-7).ok());
  EXPECT_EQ(DecimalTexts(**integers.Finish(), 2)->Text(0), "-7.00");
  arrow::DoubleBuilder doubles;
  ASSERT_TRUE(doubles.Append(1).ok());
  EXPECT_FALSE(DecimalTexts(**doubles.Finish(), 2));
}

}  // namespace
}  // namespace headrace::tables

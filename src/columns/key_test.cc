#include "columns/key.h"

#include <compare>

#include <gtest/gtest.h>

#include "columns/random_batch.h"

namespace headrace::columns {
namespace {

constexpr uint64_t kSeed = 11;

// How two values of one type order, null first.
std::strong_ordering Order(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return !a.is_null() <=> !b.is_null();
  if (a.type() == Type::kBool) return a.as_bool() <=> b.as_bool();
  if (IsVariable(a.type())) return a.as_text().compare(b.as_text()) <=> 0;
  if (IsFloating(a.type())) return std::strong_order(a.as_double(), b.as_double());
  return a.as_int() <=> b.as_int();
}

TEST(Key, BytesOrderAsTuplesAndReadBack) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  const ColumnBatch rows = RandomBatch(schema, 300, 0.1, random);
  for (size_t i = 0; i < schema->size(); ++i) {
    const std::vector<size_t> columns = {i, (i + 1) % schema->size()};
    const std::vector<Type> types = {schema->field(columns[0]).type,
                                     schema->field(columns[1]).type};
    KeyBytes a;
    KeyBytes b;
    for (size_t row = 1; row < rows.rows(); ++row) {
      KeyOfRow(rows, columns, row - 1, a);
      KeyOfRow(rows, columns, row, b);
      auto expected = Order(rows.column(columns[0]).At(row - 1), rows.column(columns[0]).At(row));
      if (expected == 0)
        expected = Order(rows.column(columns[1]).At(row - 1), rows.column(columns[1]).At(row));
      ASSERT_EQ(a.compare(b) <=> 0, expected)
          << "seed " << kSeed << " type " << NameOf(types[0]) << " row " << row;
      const auto back = DecodeKey(types, b);
      ASSERT_TRUE(back.has_value());
      ASSERT_TRUE((*back)[0].SameBits(rows.column(columns[0]).At(row)));
      ASSERT_TRUE((*back)[1].SameBits(rows.column(columns[1]).At(row)));
    }
  }
}

TEST(Key, ValuesAndColumnsGiveTheSameBytes) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  const ColumnBatch rows = RandomBatch(schema, 50, 0.1, random);
  for (size_t row = 0; row < rows.rows(); ++row) {
    KeyBytes by_value;
    KeyBytes by_column;
    for (size_t i = 0; i < schema->size(); ++i) {
      AppendKeyValue(by_value, rows.column(i).At(row));
      AppendKeyColumn(by_column, rows.column(i), row);
    }
    ASSERT_EQ(by_value, by_column);
  }
}

TEST(Key, ZerosAreOneKeyAndSoAreNans) {
  KeyBytes plus;
  KeyBytes minus;
  AppendKeyValue(plus, Value::Float64(0.0));
  AppendKeyValue(minus, Value::Float64(-0.0));
  EXPECT_EQ(plus, minus);
}

TEST(Key, RandomBytesNeverCrashTheDecoder) {
  std::mt19937_64 random(kSeed);
  const std::vector<Type> types = {Type::kString, Type::kInt64};
  for (int i = 0; i < 50'000; ++i) {
    KeyBytes key;
    for (uint64_t n = random() % 24; n > 0; --n) key += static_cast<char>(random() % 3);
    (void)DecodeKey(types, key);
  }
}

}  // namespace
}  // namespace headrace::columns

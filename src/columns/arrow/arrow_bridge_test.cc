#include "columns/arrow/arrow_bridge.h"

#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <random>

#include "columns/batch_builder.h"

namespace headrace::columns {
namespace {

SchemaRef AllTypes() {
  std::vector<Field> fields;
  for (const Type type :
       {Type::kBool, Type::kInt32, Type::kInt64, Type::kFloat32, Type::kFloat64, Type::kString,
        Type::kBytes, Type::kDate, Type::kTimestamp, Type::kTimestampNtz})
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = std::string(NameOf(type)),
                      .type = type});
  const std::vector<Field> scalars = fields;
  for (const Field& field : scalars)
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = std::string(NameOf(ListOf(field.type))),
                      .type = ListOf(field.type)});
  return std::make_shared<const Schema>(std::move(fields));
}

SchemaRef One(std::string name, Type type) {
  return std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = std::move(name), .type = type}});
}

Value RandomValue(std::mt19937_64& random, Type type) {
  if (IsList(type)) {
    Value::Elements elements;
    for (uint64_t n = random() % 4; n > 0; --n)
      elements.push_back(RandomValue(random, ElementOf(type)));
    return Value::List(ElementOf(type), std::move(elements));
  }
  switch (type) {
    case Type::kBool: return Value::Bool(random() % 2 == 0);
    case Type::kFloat32: return Value(type, double{static_cast<float>(random() % 1000) / 7});
    case Type::kFloat64: return Value::Float64(static_cast<double>(random() % 1000) / 7);
    case Type::kString:
    case Type::kBytes:
      return Value(type, std::string(random() % 9, 'a' + static_cast<char>(random() % 26)));
    default: return Value(type, int64_t{static_cast<int32_t>(random())});
  }
}

ColumnBatch RandomBatch(std::mt19937_64& random, size_t rows) {
  BatchBuilder builder(AllTypes());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < builder.schema()->size(); ++i) {
      ColumnBuilder& column = builder.column(i);
      column.AppendValue(random() % 5 == 0 ? Value::Null(column.type())
                                           : RandomValue(random, column.type()));
    }
  }
  return builder.Finish();
}

void ExpectSame(const ColumnBatch& a, const ColumnBatch& b) {
  ASSERT_EQ(a.rows(), b.rows());
  for (size_t c = 0; c < a.columns().size(); ++c)
    for (size_t row = 0; row < a.rows(); ++row)
      ASSERT_TRUE(a.column(c).At(row).SameBits(b.column(c).At(row)))
          << a.schema()->field(c).name << " row " << row << ": " << a.column(c).At(row).ToJson()
          << " " << b.column(c).At(row).ToJson();
}

TEST(ArrowBridge, GivesBackEveryTypeAndEverySlice) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    const ColumnBatch batch = RandomBatch(random, random() % 60);
    const auto arrow = ToArrow(batch);
    ASSERT_TRUE(arrow);
    ASSERT_TRUE((*arrow)->ValidateFull().ok()) << (*arrow)->ValidateFull().ToString();
    const size_t begin = random() % (batch.rows() + 1);
    const size_t end = begin + random() % (batch.rows() - begin + 1);
    const auto slice =
        (*arrow)->Slice(static_cast<int64_t>(begin), static_cast<int64_t>(end - begin));
    const auto back = FromArrow(*slice, batch.schema());
    ASSERT_TRUE(back) << back.error().ToString();
    ExpectSame(*back, batch.Slice(begin, end));
  }
}

TEST(ArrowBridge, SharesNumbersAndText) {
  std::mt19937_64 random(1);
  const ColumnBatch batch = RandomBatch(random, 100);
  const auto arrow = ToArrow(batch);
  const auto back = FromArrow(**arrow, batch.schema());
  ASSERT_TRUE(back);
  for (size_t c = 0; c < batch.columns().size(); ++c)
    EXPECT_EQ(back->column(c).values().data(), batch.column(c).values().data()) << c;
}

std::shared_ptr<arrow::RecordBatch> Batch(
    const std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  const int64_t rows = arrays.empty() ? 0 : arrays[0]->length();
  return arrow::RecordBatch::Make(arrow::schema(fields), rows, arrays);
}

template <typename Builder, typename T>
std::shared_ptr<arrow::Array> Array(const std::vector<T>& values,
                                    const std::shared_ptr<arrow::DataType>& type) {
  Builder builder(type, arrow::default_memory_pool());
  for (const T& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

// Of a sender that knows the schema before it was added.
TEST(ArrowBridge, AColumnThatMayBeNullMayBeMissing) {
  const auto a = Array<arrow::Int64Builder, int64_t>({1, 2}, arrow::int64());
  const auto schema = std::make_shared<const Schema>(std::vector<Field>{
      {1, "b", Type::kString, Nullable::kYes}, {2, "a", Type::kInt64, Nullable::kNo}});
  const auto rows = FromArrow(*Batch({{"a", a}}), schema);
  ASSERT_TRUE(rows) << rows.error().ToString();
  ASSERT_EQ(rows->rows(), 2U);
  EXPECT_TRUE(rows->column(0).IsNull(0) && rows->column(0).IsNull(1));
  EXPECT_EQ(rows->column(1).Int64s()[1], 2);
}

// Of a sender that knows the column by its narrower type.
TEST(ArrowBridge, IntegersThatADoubleHasMayStandForDoubles) {
  const auto small = Array<arrow::Int32Builder, int32_t>({1, -2'147'483'648}, arrow::int32());
  const auto rows = FromArrow(*Batch({{"a", small}}), One("a", Type::kFloat64));
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(rows->column(0).Float64s()[1], -2'147'483'648.0);
  const auto large = Array<arrow::Int64Builder, int64_t>({1, 2}, arrow::int64());
  EXPECT_FALSE(FromArrow(*Batch({{"a", large}}), One("a", Type::kFloat64)));
}

TEST(ArrowBridge, NamesTheColumnThatIsMissingExtraOrTwice) {
  const auto a = Array<arrow::Int64Builder, int64_t>({1, 2}, arrow::int64());
  const auto required =
      std::make_shared<const Schema>(std::vector<Field>{{1, "a", Type::kInt64, Nullable::kNo}});
  const auto missing = FromArrow(*Batch({}), required);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(), "column `a` (int64) is missing");
  EXPECT_EQ(missing.error().code(), base::ErrorCode::kInvalidInput);
  const auto extra = FromArrow(*Batch({{"a", a}, {"b", a}}), One("a", Type::kInt64));
  ASSERT_FALSE(extra);
  EXPECT_EQ(extra.error().message(), "unexpected column `b`: leave it out");
  const auto twice = FromArrow(*Batch({{"a", a}, {"a", a}}), One("a", Type::kInt64));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message(), "column `a` appears twice");
}

TEST(ArrowBridge, WidensButNeverLoses) {
  const auto narrow = Array<arrow::Int32Builder, int32_t>({-7, 7}, arrow::int32());
  const auto widened = FromArrow(*Batch({{"a", narrow}}), One("a", Type::kInt64));
  ASSERT_TRUE(widened);
  EXPECT_EQ(widened->column(0).Int64s()[0], -7);
  const auto wide = Array<arrow::Int64Builder, int64_t>({1}, arrow::int64());
  EXPECT_FALSE(FromArrow(*Batch({{"a", wide}}), One("a", Type::kInt32)));
  EXPECT_FALSE(FromArrow(*Batch({{"a", wide}}), One("a", Type::kString)));

  const auto millis =
      Array<arrow::TimestampBuilder, int64_t>({5}, arrow::timestamp(arrow::TimeUnit::MILLI));
  const auto time = FromArrow(*Batch({{"a", millis}}), One("a", Type::kTimestamp));
  ASSERT_TRUE(time);
  EXPECT_EQ(time->column(0).Int64s()[0], 5000);
  const auto nanos = Array<arrow::TimestampBuilder, int64_t>(
      {5000, 5001}, arrow::timestamp(arrow::TimeUnit::NANO));
  const auto lossy = FromArrow(*Batch({{"a", nanos}}), One("a", Type::kTimestamp));
  ASSERT_FALSE(lossy);
  EXPECT_NE(lossy.error().ToString().find("row=1"), std::string::npos) << lossy.error().ToString();
  EXPECT_EQ(lossy.error().ToString().find("5001"), std::string::npos)
      << "the value may be restricted";
}

TEST(ArrowBridge, TakesLargeAndDictionaryText) {
  const auto large =
      Array<arrow::LargeStringBuilder, std::string>({"x", "yy"}, arrow::large_utf8());
  const auto words = Array<arrow::StringBuilder, std::string>({"ORD", "DFW"}, arrow::utf8());
  const auto indexes = Array<arrow::Int8Builder, int8_t>({1, 0}, arrow::int8());
  const auto dictionary = arrow::DictionaryArray::FromArrays(
                              arrow::dictionary(arrow::int8(), arrow::utf8()), indexes, words)
                              .ValueOrDie();
  const auto a = FromArrow(*Batch({{"a", large}}), One("a", Type::kString));
  const auto b = FromArrow(*Batch({{"a", dictionary}}), One("a", Type::kString));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->column(0).Text(1), "yy");
  EXPECT_EQ(b->column(0).Text(0), "DFW");
}

TEST(ArrowBridge, TakesViewsOfText) {
  arrow::StringViewBuilder texts;
  ASSERT_TRUE(texts.Append("short").ok());
  ASSERT_TRUE(texts.AppendNull().ok());
  ASSERT_TRUE(texts.Append("longer than what a view itself holds").ok());
  const auto views = texts.Finish().ValueOrDie();
  const auto bytes =
      Array<arrow::BinaryViewBuilder, std::string>({"\xff", ""}, arrow::binary_view());
  const auto a = FromArrow(*Batch({{"a", views->Slice(1)}}), One("a", Type::kString));
  const auto b = FromArrow(*Batch({{"a", bytes}}), One("a", Type::kBytes));
  ASSERT_TRUE(a && b) << (a ? b : a).error().ToString();
  EXPECT_TRUE(a->column(0).IsNull(0));
  EXPECT_EQ(a->column(0).Text(1), "longer than what a view itself holds");
  EXPECT_EQ(b->column(0).Text(0), "\xff");
  EXPECT_EQ(b->column(0).Text(1), "");
  const auto schema = FromArrowSchema(*arrow::schema({arrow::field("t", arrow::utf8_view())}));
  ASSERT_TRUE(schema);
  EXPECT_EQ((*schema)->field(0).type, Type::kString);
}

TEST(ArrowBridge, RefusesBrokenText) {
  const auto latin1 = Array<arrow::BinaryBuilder, std::string>({"\xff"}, arrow::binary());
  const auto text = std::make_shared<arrow::StringArray>(1, latin1->data()->buffers[1],
                                                         latin1->data()->buffers[2]);
  EXPECT_FALSE(FromArrow(*Batch({{"a", text}}), One("a", Type::kString)));
  const auto lying = arrow::Buffer::FromVector(std::vector<int32_t>{0, 1000});
  const auto beyond = std::make_shared<arrow::StringArray>(1, lying, latin1->data()->buffers[2]);
  EXPECT_FALSE(FromArrow(*Batch({{"a", beyond}}), One("a", Type::kString)));
}

TEST(ArrowBridge, SchemasTravelBothWays) {
  const SchemaRef schema = AllTypes();
  const auto back = FromArrowSchema(*ToArrowSchema(*schema));
  ASSERT_TRUE(back);
  EXPECT_EQ(**back, *schema);
  for (const auto& type : {arrow::list(arrow::list(arrow::int8())),
                           arrow::struct_({arrow::field("b", arrow::int8())})}) {
    const auto unknown = FromArrowSchema(*arrow::schema({arrow::field("a", type)}));
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code(), base::ErrorCode::kUnsupported);
  }
}

TEST(ArrowBridge, ListsAreTakenSlicedAndJoinedRowByRow) {
  const uint64_t seed = 41;
  std::mt19937_64 random(seed);
  const ColumnBatch a = RandomBatch(random, 37);
  const ColumnBatch b = RandomBatch(random, 11);
  const ColumnBatch both = ColumnBatch::Concat(std::vector{a, b});
  ExpectSame(both.Slice(0, 37), a);
  ExpectSame(both.Slice(37, 48), b);
  const auto back = FromArrow(**ToArrow(both.Slice(5, 40)), both.schema());
  ASSERT_TRUE(back) << back.error().ToString();
  ExpectSame(*back, both.Slice(5, 40));
}

}  // namespace
}  // namespace headrace::columns

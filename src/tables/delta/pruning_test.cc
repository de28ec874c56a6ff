#include "tables/delta/pruning.h"

#include <gtest/gtest.h>

#include <limits>

namespace headrace::tables::delta {
namespace {

using columns::Type;
using columns::Value;
using Is = Condition::Is;

TableColumns Columns() {
  TableColumns table;
  const auto add = [&](const char* name, const char* type, Type held, bool partition = false) {
    table.columns.push_back({.name = name,
                             .physical_name = std::string("p-") + name,
                             .field_id = {},
                             .type = type,
                             .held = held,
                             .partition = partition});
  };
  add("n", "long", Type::kInt64);
  add("x", "double", Type::kFloat64);
  add("s", "string", Type::kString);
  add("t", "timestamp", Type::kTimestamp);
  add("d", "date", Type::kDate);
  add("day", "date", Type::kDate, true);
  add("y", "double", Type::kFloat64, true);
  return table;
}

AddFile WithStats(const std::string& stats) {
  return {.path = "f", .stats = stats, .partition_values = {{"p-day", "2026-01-02"}}};
}

bool Fits(const AddFile& file, const char* column, Is is, Value value) {
  const std::vector<Condition> conditions = {{column, is, std::move(value)}};
  EXPECT_TRUE(CheckConditions(Columns(), conditions));
  return MayFit(Columns(), conditions, file);
}

const AddFile kFile = WithStats(
    R"({"numRecords":9,"minValues":{"p-n":10,"p-x":-1.5,"p-s":"b","p-t":"2026-01-01T00:00:00.000Z","p-d":"2026-01-01"},"maxValues":{"p-n":20,"p-x":2.5,"p-s":"c","p-t":"2026-01-02T00:00:00.000Z","p-d":"2026-01-03"},"nullCount":{"p-n":0,"p-x":0,"p-s":3,"p-t":0,"p-d":0}})");

TEST(Pruning, ComparesWithTheBounds) {
  EXPECT_FALSE(Fits(kFile, "n", Is::kEqual, Value::Int64(9)));
  EXPECT_TRUE(Fits(kFile, "n", Is::kEqual, Value::Int64(10)));
  EXPECT_TRUE(Fits(kFile, "n", Is::kEqual, Value::Int64(20)));
  EXPECT_FALSE(Fits(kFile, "n", Is::kEqual, Value::Int64(21)));
  EXPECT_FALSE(Fits(kFile, "n", Is::kLess, Value::Int64(10)));
  EXPECT_TRUE(Fits(kFile, "n", Is::kAtMost, Value::Int64(10)));
  EXPECT_FALSE(Fits(kFile, "n", Is::kGreater, Value::Int64(20)));
  EXPECT_TRUE(Fits(kFile, "n", Is::kAtLeast, Value::Int64(20)));
  EXPECT_FALSE(Fits(kFile, "s", Is::kGreater, Value::String("d")));
  EXPECT_FALSE(Fits(kFile, "d", Is::kAtLeast, *Value::FromText(Type::kDate, "2026-01-04")));
}

// As expressions order them: NaN equals NaN, and is above every number.
TEST(Pruning, APartitionOfNaNFitsWhatItsRowsFit) {
  AddFile file = WithStats("");
  file.partition_values = {{"p-y", "NaN"}};
  EXPECT_TRUE(Fits(file, "y", Is::kGreater, Value::Float64(5)));
  EXPECT_TRUE(Fits(file, "y", Is::kAtLeast, Value::Float64(5)));
  EXPECT_FALSE(Fits(file, "y", Is::kLess, Value::Float64(5)));
  EXPECT_FALSE(Fits(file, "y", Is::kAtMost, Value::Float64(5)));
  EXPECT_FALSE(Fits(file, "y", Is::kEqual, Value::Float64(5)));
  const Value nan = Value::Float64(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(Fits(file, "y", Is::kEqual, nan));
  EXPECT_TRUE(Fits(file, "y", Is::kAtMost, nan));
  EXPECT_FALSE(Fits(file, "y", Is::kGreater, nan));
  file.partition_values = {{"p-y", "7"}};
  EXPECT_TRUE(Fits(file, "y", Is::kLess, nan));
  EXPECT_FALSE(Fits(file, "y", Is::kAtLeast, nan));
}

// The bounds of floats are told with the digits that tell floats, also of a column that has become
// double since.
TEST(Pruning, LeavesAFloatsDigitsToDoubles) {
  const auto as_double = [](float value) { return Value::Float64(static_cast<double>(value)); };
  ASSERT_GT(as_double(0.1F).as_double(), 0.1);
  ASSERT_LT(as_double(0.7F).as_double(), 0.7);
  const AddFile least = WithStats(R"({"numRecords":2,"minValues":{"p-x":0.7}})");
  EXPECT_TRUE(Fits(least, "x", Is::kEqual, as_double(0.7F)));
  EXPECT_FALSE(Fits(least, "x", Is::kEqual, Value::Float64(0.6999)));
  const AddFile greatest = WithStats(R"({"numRecords":2,"maxValues":{"p-x":0.1}})");
  EXPECT_TRUE(Fits(greatest, "x", Is::kEqual, as_double(0.1F)));
  EXPECT_FALSE(Fits(greatest, "x", Is::kEqual, Value::Float64(0.1001)));
}

// Others cut a time's maximum to the millisecond below it.
TEST(Pruning, LeavesAMillisecondToTimes) {
  constexpr int64_t kMax = 1'767'312'000'000'000;
  EXPECT_TRUE(Fits(kFile, "t", Is::kEqual, Value::Timestamp(kMax + 999)));
  EXPECT_FALSE(Fits(kFile, "t", Is::kEqual, Value::Timestamp(kMax + 1001)));
}

// The zone's offset may have had seconds, as local mean times have; they are not printed.
TEST(Pruning, LeavesAMinuteToTimesWithAnOffset) {
  const AddFile file = WithStats(
      R"({"minValues":{"p-t":"1890-01-01T00:53:28.000+00:53"},"maxValues":{"p-t":"1890-01-02T00:53:28.000+00:53"}})");
  constexpr int64_t kMin = -2'524'521'572'000'000;  // 1890-01-01T00:00:28Z
  constexpr int64_t kDay = 86'400'000'000;
  constexpr int64_t kSecond = 1'000'000;
  EXPECT_TRUE(Fits(file, "t", Is::kEqual, Value::Timestamp(kMin - 28 * kSecond)));
  EXPECT_TRUE(Fits(file, "t", Is::kEqual, Value::Timestamp(kMin + kDay + 28 * kSecond)));
  EXPECT_FALSE(Fits(file, "t", Is::kEqual, Value::Timestamp(kMin - 62 * kSecond)));
  EXPECT_FALSE(Fits(file, "t", Is::kEqual, Value::Timestamp(kMin + kDay + 62 * kSecond)));
}

// Some writers cut a maximum and put U+FFFD behind it, which in bytes is below a character outside
// the BMP.
TEST(Pruning, AMaximumThatEndsInAReplacementIsNone) {
  const AddFile file = WithStats(R"({"minValues":{"p-s":"a"},"maxValues":{"p-s":"b\ufffd"}})");
  EXPECT_TRUE(Fits(file, "s", Is::kEqual, Value::String("b\U0001F600")));
  EXPECT_FALSE(Fits(file, "s", Is::kEqual, Value::String("A")));
}

TEST(Pruning, NeverLeavesOutNaN) {
  EXPECT_TRUE(Fits(kFile, "x", Is::kGreater, Value::Float64(99)));
  EXPECT_TRUE(
      Fits(kFile, "x", Is::kLess, Value::Float64(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_FALSE(Fits(kFile, "x", Is::kLess, Value::Float64(-2)));
}

TEST(Pruning, ReadsFilesInDoubt) {
  for (const char* stats : {"", "{}", "[]", "no json", R"({"numRecords":9,"minValues":{}})",
                            R"({"minValues":{"p-n":"ten"},"maxValues":{"p-n":null}})",
                            R"({"minValues":{"p-n":1.5},"maxValues":7,"nullCount":3})"})
    EXPECT_TRUE(Fits(WithStats(stats), "n", Is::kEqual, Value::Int64(1))) << stats;
}

TEST(Pruning, NothingButNullsFitsNothing) {
  const AddFile nulls = WithStats(R"({"numRecords":9,"nullCount":{"p-n":9}})");
  EXPECT_FALSE(Fits(nulls, "n", Is::kLess, Value::Int64(5)));
  EXPECT_TRUE(Fits(nulls, "s", Is::kLess, Value::String("x")));
}

TEST(Pruning, KnowsPartitionsExactly) {
  const auto day = [](const char* text) { return *Value::FromText(Type::kDate, text); };
  EXPECT_TRUE(Fits(kFile, "day", Is::kEqual, day("2026-01-02")));
  EXPECT_FALSE(Fits(kFile, "day", Is::kEqual, day("2026-01-03")));
  AddFile none = kFile;
  none.partition_values = {{"p-day", ""}};
  EXPECT_FALSE(Fits(none, "day", Is::kEqual, day("2026-01-02")));
}

TEST(Pruning, RefusesWhatIsNotCompared) {
  const std::vector<Condition> none = {{"nix", Is::kEqual, Value::Int64(1)}};
  EXPECT_FALSE(CheckConditions(Columns(), none));
  const std::vector<Condition> other = {{"n", Is::kEqual, Value::String("1")}};
  EXPECT_FALSE(CheckConditions(Columns(), other));
}

}  // namespace
}  // namespace headrace::tables::delta

#include "columns/schema_evolution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "columns/batch_builder.h"
#include "columns/conform.h"
#include "columns/random_batch.h"

namespace headrace::columns {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Field Of(std::string name, Type type = Type::kInt64, Nullable nullable = Nullable::kYes) {
  return {.id = 0, .name = std::move(name), .type = type, .nullable = nullable};
}

TEST(SchemaEvolution, TellsWhatIsAddedRelaxedAndMoved) {
  const Schema before({Of("a"), Of("b", Type::kString, Nullable::kNo), Of("c")});
  const Schema after({Of("new"), Of("b", Type::kString), Of("a"), Of("c"), Of("last")});
  const SchemaEvolution evolution = EvolutionOf(before, after);
  EXPECT_TRUE(evolution.possible());
  EXPECT_TRUE(evolution.changes());
  EXPECT_THAT(evolution.added, ElementsAre("new", "last"));
  EXPECT_THAT(evolution.relaxed, ElementsAre("b"));
  EXPECT_TRUE(evolution.reordered);
  EXPECT_FALSE(
      EvolutionOf(before, Schema({Of("new"), Of("a"), before.field(1), Of("c")})).reordered);
  EXPECT_FALSE(EvolutionOf(before, before).changes());
}

TEST(SchemaEvolution, RefusesWhatARowOfBeforeWouldNotFit) {
  const Schema before({Of("a", Type::kInt32), Of("b")});
  const auto refused = [&](std::vector<Field> after) {
    const SchemaEvolution evolution = EvolutionOf(before, Schema(std::move(after)));
    EXPECT_EQ(evolution.refused.size(), 1U);
    return evolution.refused.empty() ? "" : evolution.refused.front();
  };
  EXPECT_THAT(refused({before.field(0)}), HasSubstr("field `b` is gone"));
  EXPECT_THAT(refused({before.field(0), before.field(1), Of("c", Type::kBool, Nullable::kNo)}),
              HasSubstr("`c` is new and required"));
  EXPECT_THAT(refused({before.field(0), Of("b", Type::kInt64, Nullable::kNo)}),
              HasSubstr("leave it optional"));
  EXPECT_THAT(refused({Of("a", Type::kString), before.field(1)}),
              HasSubstr("was int32 and is string"));
  EXPECT_EQ(EvolutionOf(before, Schema({Of("z")})).refused.size(), 2U) << "each field is named";
}

TEST(SchemaEvolution, TellsWhatGetsAWiderType) {
  const Schema before({Of("a", Type::kInt32), Of("b", Type::kFloat32, Nullable::kNo)});
  const SchemaEvolution evolution = EvolutionOf(before, Schema({Of("a"), Of("b", Type::kFloat64)}));
  EXPECT_TRUE(evolution.possible());
  EXPECT_TRUE(evolution.changes());
  EXPECT_THAT(evolution.widened, ElementsAre(WidenedField{"a", Type::kInt32, Type::kInt64},
                                             WidenedField{"b", Type::kFloat32, Type::kFloat64}));
  EXPECT_THAT(evolution.relaxed, ElementsAre("b")) << "beside it";
  const Schema after({Of("a", Type::kFloat64), Of("b", Type::kFloat32, Nullable::kNo)});
  EXPECT_TRUE(EvolutionOf(before, after).possible());
  EXPECT_FALSE(EvolutionOf(after, before).possible()) << "there is no way back";
  EXPECT_FALSE(EvolutionOf(before, Schema({Of("a", Type::kInt64, Nullable::kNo), before.field(1)}))
                   .possible());
  for (const Type to : {Type::kFloat32, Type::kString, Type::kTimestamp})
    EXPECT_FALSE(EvolutionOf(before, Schema({Of("a", to), before.field(1)})).possible());
  EXPECT_FALSE(EvolutionOf(Schema({Of("d", Type::kDate)}), Schema({Of("d", Type::kTimestampNtz)}))
                   .possible());
}

ColumnBatch OneColumn(Type type, const std::vector<Value>& values) {
  BatchBuilder builder(std::make_shared<const Schema>(std::vector<Field>{Of("a", type)}));
  for (const Value& value : values) builder.column(0).AppendValue(value);
  return builder.Finish();
}

std::vector<std::string> As(Type type, const ColumnBatch& batch) {
  const ColumnBatch rows =
      ConformTo(std::make_shared<const Schema>(std::vector<Field>{Of("a", type)}), batch);
  std::vector<std::string> texts;
  for (size_t row = 0; row < rows.rows(); ++row) texts.push_back(rows.column(0).At(row).ToJson());
  return texts;
}

TEST(SchemaEvolution, RowsAreReadAsTheWiderType) {
  constexpr int64_t kMin = std::numeric_limits<int32_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  const auto int32 =
      OneColumn(Type::kInt32, {Value(Type::kInt32, kMin), Value(Type::kInt32, kMax), Value()});
  EXPECT_THAT(As(Type::kInt64, int32), ElementsAre("-2147483648", "2147483647", "null"));
  EXPECT_THAT(As(Type::kFloat64, int32), ElementsAre("-2147483648.0", "2147483647.0", "null"));
  const auto float32 = OneColumn(Type::kFloat32, {Value(Type::kFloat32, double{0.1F}), Value()});
  EXPECT_THAT(As(Type::kFloat64, float32), ElementsAre("0.10000000149011612", "null"));
  EXPECT_THAT(As(Type::kString, int32), ElementsAre("null", "null", "null"));
}

// A reader of before is given what it could have been given before, and nothing in the place of
// everything else.
TEST(SchemaEvolution, RowsAreReadAsTheNarrowerTypeWhereTheyFitIt) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  EXPECT_THAT(As(Type::kInt32, OneColumn(Type::kInt64, {Value::Int64(kMax), Value::Int64(kMax + 1),
                                                        Value::Int64(-kMax - 1),
                                                        Value::Int64(-kMax - 2), Value()})),
              ElementsAre("2147483647", "null", "-2147483648", "null", "null"));
  const auto float64 = [](double value) { return Value(Type::kFloat64, value); };
  EXPECT_THAT(As(Type::kInt32, OneColumn(Type::kFloat64, {float64(-7), float64(0.5), float64(3e9),
                                                          float64(std::nan(""))})),
              ElementsAre("-7", "null", "null", "null"));
  EXPECT_THAT(
      As(Type::kFloat32, OneColumn(Type::kFloat64, {float64(0.5), float64(0.1), float64(1e300)})),
      ElementsAre("0.5", "null", "null"));
}

// Of every type: what is there is as it was, what is not is null.
TEST(SchemaEvolution, RowsConformToALaterSchema) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const ColumnBatch batch = RandomBatch(SchemaOfAllTypes(), 20, 0.3, random);
    std::vector<Field> fields(batch.schema()->fields().rbegin(), batch.schema()->fields().rend());
    fields.insert(fields.begin() + static_cast<ptrdiff_t>(seed % (fields.size() + 1)),
                  {.id = 1000, .name = "added", .type = Type::kString});
    const auto later = std::make_shared<const Schema>(fields);
    const ColumnBatch rows = ConformTo(later, batch);
    ASSERT_EQ(rows.rows(), batch.rows());
    for (size_t i = 0; i < fields.size(); ++i) {
      const auto was = batch.schema()->IndexOf(fields[i].name);
      for (size_t row = 0; row < batch.rows(); ++row)
        if (was) {
          EXPECT_TRUE(rows.column(i).At(row).SameBits(batch.column(*was).At(row)));
        } else {
          EXPECT_TRUE(rows.column(i).IsNull(row));
        }
    }
  }
}

}  // namespace
}  // namespace headrace::columns

#include "columns/schema_evolution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_THAT(refused({Of("a", Type::kInt64), before.field(1)}), HasSubstr("typeWidening"));
  EXPECT_THAT(refused({Of("a", Type::kString), before.field(1)}),
              HasSubstr("was int32 and is string"));
  EXPECT_EQ(EvolutionOf(before, Schema({Of("z")})).refused.size(), 2U) << "each field is named";
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

#include "columns/numbered_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "columns/random_batch.h"

namespace headrace::columns {
namespace {

constexpr uint64_t kSeed = 42;

TEST(NumberedBatches, GiveRowsAsOneBatchDoes) {
  std::mt19937_64 random(kSeed);
  const SchemaRef schema = SchemaOfAllTypes();
  for (int round = 0; round < 100; ++round) {
    std::vector<ColumnBatch> batches;
    for (uint64_t i = 0; i <= random() % 4; ++i)
      batches.push_back(RandomBatch(schema, random() % 40, round % 3 == 0 ? 0.0 : 0.3, random));
    const ColumnBatch all = ColumnBatch::Concat(batches);
    std::vector<uint32_t> rows(all.rows());
    std::iota(rows.begin(), rows.end(), 0U);
    std::shuffle(rows.begin(), rows.end(), random);
    rows.resize(rows.empty() ? 0 : random() % rows.size());
    EXPECT_TRUE(SameRows(NumberedBatches(batches).Take(rows), all.Take(rows))) << "round " << round;
  }
}

}  // namespace
}  // namespace headrace::columns

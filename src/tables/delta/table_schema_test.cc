#include "tables/delta/table_schema.h"

#include <gtest/gtest.h>

namespace headrace::tables::delta {
namespace {

// A column `n`, whose type is `depth` arrays in each other.
Metadata Nested(size_t depth) {
  std::string type;
  for (size_t i = 0; i < depth; ++i) type += R"({"type":"array","elementType":)";
  type += R"("long")" + std::string(depth, '}');
  return {.schema_string = R"({"type":"struct","fields":[{"name":"n","type":)" + type + "}]}"};
}

TEST(TableSchema, ANestedTypeIsNotHeldHoweverDeep) {
  for (const size_t depth : {1, 10, 200'000}) {
    const auto table = ReadTableColumns(Nested(depth));
    ASSERT_TRUE(table) << table.error().ToString();
    ASSERT_NE(table->Named("n"), nullptr);
    EXPECT_FALSE(table->Named("n")->held) << depth;
  }
}

}  // namespace
}  // namespace headrace::tables::delta

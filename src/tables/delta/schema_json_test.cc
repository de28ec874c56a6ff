#include "tables/delta/schema_json.h"

#include <gtest/gtest.h>

#include <string>

namespace headrace::tables::delta {
namespace {

// What another writer may commit to a table of ours.
TEST(SchemaJson, TooDeepATypeIsRefused) {
  constexpr size_t kDepth = 200'000;
  std::string type;
  for (size_t i = 0; i < kDepth; ++i) type += R"({"type":"array","elementType":)";
  type += R"("long")" + std::string(kDepth, '}');
  const std::string text = R"({"type":"struct","fields":[{"name":"n","type":)" + type +
                           R"(,"metadata":{"x":)" + type + "}}]}";
  const auto schema = ParseSchema(text, ColumnTypes::kNow);
  ASSERT_FALSE(schema);
  EXPECT_EQ(schema.error().code(), base::ErrorCode::kUnsupported);
  const columns::Schema wanted({{.id = 1, .name = "n", .type = columns::Type::kInt64}});
  EXPECT_TRUE(RenderEvolved(text, wanted));
}

}  // namespace
}  // namespace headrace::tables::delta

#include "tables/delta/layout.h"

#include <gtest/gtest.h>

#include <random>

#include <fmt/format.h>

namespace headrace::tables::delta {
namespace {

TableColumns Columns() {
  TableColumns table;
  for (const char* name : {"n", "s"})
    table.columns.push_back(
        {.name = name,
         .physical_name = name,
         .field_id = {},
         .type = name[0] == 'n' ? "long" : "string",
         .held = name[0] == 'n' ? columns::Type::kInt64 : columns::Type::kString});
  return table;
}

AddFile File(int64_t least, int64_t greatest, const std::string& more = "") {
  AddFile file;
  file.path = "f";
  file.stats = fmt::format(R"({{"numRecords":9,"minValues":{{"n":{}}},"maxValues":{{"n":{}}}{}}})",
                           least, greatest, more);
  return file;
}

TEST(Layout, FilesThatKeepValuesApartAreOpenedOneAtATime) {
  const std::vector<AddFile> files = {File(0, 9), File(10, 19), File(20, 29), File(30, 39)};
  const Layout layout = LayoutOf(Columns(), files);
  ASSERT_EQ(layout.columns.size(), 1U);  // nothing is known of the other
  EXPECT_EQ(layout.columns[0].column, "n");
  EXPECT_EQ(layout.columns[0].files_opened, 1);
}

TEST(Layout, FilesThatSayNothingAreAlwaysOpenedAndThoseOfNullsNever) {
  std::vector<AddFile> files = {File(0, 9), File(10, 19), AddFile()};
  EXPECT_EQ(LayoutOf(Columns(), files).columns[0].files_opened, 2);
  files[2].stats = R"({"numRecords":9,"nullCount":{"n":9,"s":0}})";
  EXPECT_EQ(LayoutOf(Columns(), files).columns[0].files_opened, 1);
}

TEST(Layout, IsWhatCountingEveryPairGives) {
  for (const uint32_t seed : {1U, 2U, 3U, 4U}) {
    std::mt19937 random(seed);
    std::vector<AddFile> files;
    std::vector<std::pair<int64_t, int64_t>> bounds;
    for (int i = 0; i < 50; ++i) {
      const int64_t least = random() % 100;
      bounds.emplace_back(least, least + random() % 40);
      files.push_back(File(bounds.back().first, bounds.back().second));
    }
    uint64_t opened = 0;
    for (const auto& [value, unused] : bounds)
      for (const auto& [least, greatest] : bounds) opened += least <= value && value <= greatest;
    EXPECT_NEAR(LayoutOf(Columns(), files).columns[0].files_opened,
                static_cast<double>(opened) / 50, 1e-9)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace headrace::tables::delta

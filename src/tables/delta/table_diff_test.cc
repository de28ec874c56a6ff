#include "tables/delta/table_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "tables/delta/log_listing.h"
#include "tables/parquet/parquet_writer.h"

namespace headrace::tables::delta {
namespace {

constexpr const char* kTable = "t";

// A table of mapped columns with one file of three rows: `n`, and `x`, which is p-x there.
class TableDiffTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(machine_.files().CreateFolders(std::string(kTable) + "/_delta_log"));
    const auto schema = std::make_shared<const columns::Schema>(
        std::vector<columns::Field>{{.id = 1, .name = "p-n", .type = columns::Type::kInt64},
                                    {.id = 2, .name = "p-x", .type = columns::Type::kInt64}});
    columns::BatchBuilder rows(schema);
    for (int64_t n = 0; n < 3; ++n) {
      rows.column(0).AppendInt(n);
      rows.column(1).AppendInt(n * 10);
    }
    const auto writer = ParquetWriter::Make(schema);
    ASSERT_TRUE(writer->Write(rows.Finish()));
    const auto file = writer->Finish();
    ASSERT_TRUE(env::PutIfAbsent(machine_.files(), std::string(kTable) + "/f.parquet",
                                 {file->bytes.data(), file->bytes.size()}));
    Commit(0, R"({"protocol":{"minReaderVersion":2,"minWriterVersion":5}})"
              "\n" +
                  Metadata({Column("n", "p-n"), Column("x", "p-x")}) +
                  fmt::format(R"({{"add":{{"path":"f.parquet","partitionValues":{{}},"size":{},)"
                              R"("modificationTime":0,"dataChange":true}}}})"
                              "\n",
                              file->bytes.size()));
  }
  static nlohmann::json Column(const char* name, const char* physical,
                               const nlohmann::json& type = "long") {
    return {{"name", name},
            {"type", type},
            {"nullable", true},
            {"metadata",
             {{"delta.columnMapping.id", 1}, {"delta.columnMapping.physicalName", physical}}}};
  }
  static std::string Metadata(const std::vector<nlohmann::json>& columns) {
    const nlohmann::json schema = {{"type", "struct"}, {"fields", columns}};
    const nlohmann::json action = {
        {"metaData",
         {{"id", "x"},
          {"format", {{"provider", "parquet"}, {"options", nlohmann::json::object()}}},
          {"schemaString", schema.dump()},
          {"partitionColumns", nlohmann::json::array()},
          {"configuration", {{"delta.columnMapping.mode", "name"}}}}}};
    return action.dump() + "\n";
  }
  void Commit(int64_t version, const std::string& text) {
    ASSERT_TRUE(env::PutIfAbsent(
        machine_.files(), std::string(kTable) + "/_delta_log/" + VersionedName(version, ".json"),
        {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  TableDiff Diff() {
    const auto before = DeltaReader::Open(machine_, kTable, {.version = 0});
    const auto after = DeltaReader::Open(machine_, kTable, {.version = 1});
    EXPECT_TRUE(before && after);
    const auto diff = DiffTables(**before, **after, Tables::kOne, Compare::kRows);
    EXPECT_TRUE(diff) << diff.error().ToString();
    return diff.value_or(TableDiff{});
  }

  env::simulated::SimulatedEnvironment machine_{1};
};

TEST_F(TableDiffTest, AColumnThatWasMadeAnewHasOtherValues) {
  Commit(1, Metadata({Column("n", "p-n"), Column("x", "p-x2")}));
  const TableDiff diff = Diff();
  EXPECT_EQ(diff.both.files, 1U);
  ASSERT_TRUE(diff.rows);
  EXPECT_EQ(diff.rows->only_before, 3U);
  EXPECT_EQ(diff.rows->only_after, 3U);
}

TEST_F(TableDiffTest, ColumnsInAnotherOrderAreTheSame) {
  Commit(1, Metadata({Column("x", "p-x"), Column("n", "p-n")}));
  const TableDiff diff = Diff();
  ASSERT_TRUE(diff.rows);
  EXPECT_EQ(diff.rows->only_before, 0U);
  EXPECT_TRUE(diff.rows->not_compared.empty());
}

TEST_F(TableDiffTest, NamesWhatItDoesNotCompare) {
  const nlohmann::json list = {{"type", "array"}, {"elementType", "long"}, {"containsNull", true}};
  const nlohmann::json nested = {{"type", "struct"}, {"fields", {Column("l", "p-s-l", list)}}};
  Commit(1, Metadata({Column("n", "p-n"), Column("x", "p-x"), Column("list", "p-l", list),
                      Column("s", "p-s", nested)}));
  const TableDiff diff = Diff();
  ASSERT_TRUE(diff.rows);
  EXPECT_EQ(diff.rows->only_before, 0U);
  EXPECT_THAT(diff.rows->not_compared, testing::ElementsAre("list", "s_l"));
}

}  // namespace
}  // namespace headrace::tables::delta

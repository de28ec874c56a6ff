#include "tables/delta/table_survey.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace headrace::tables::delta {
namespace {

class TableSurveyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(table_ + "/_delta_log");
    Write(table_ + "/_delta_log/00000000000000000000.json",
          R"({"protocol":{"minReaderVersion":1,"minWriterVersion":2}})"
          "\n"
          R"({"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":)"
          R"("{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":)"
          R"({"delta.deletedFileRetentionDuration":"interval 0 seconds"}}})"
          "\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 30));
  }
  uint64_t Unreferenced() {
    const auto survey = SurveyTable(*environment_, table_);
    EXPECT_TRUE(survey) << survey.error().ToString();
    return survey ? survey->files.unreferenced : 0;
  }

  const std::string root_ =
      std::filesystem::temp_directory_path() / ("survey." + std::to_string(::getpid()));
  const std::string table_ = root_ + "/table";
  const std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
};

TEST_F(TableSurveyTest, CountsFilesInFolders) {
  std::filesystem::create_directories(table_ + "/day=1/hour=2");
  Write(table_ + "/a.parquet", "a");
  Write(table_ + "/day=1/hour=2/b.parquet", "b");
  EXPECT_EQ(Unreferenced(), 2U);
}

TEST_F(TableSurveyTest, FollowsNoLink) {
  std::filesystem::create_directories(root_ + "/elsewhere");
  Write(root_ + "/elsewhere/c.parquet", "c");
  Write(table_ + "/a.parquet", "a");
  std::filesystem::create_directory_symlink(root_ + "/elsewhere", table_ + "/day=1");
  std::filesystem::create_directory_symlink(".", table_ + "/day=2");
  std::filesystem::create_symlink("a.parquet", table_ + "/b.parquet");
  EXPECT_EQ(Unreferenced(), 1U);
}

}  // namespace
}  // namespace headrace::tables::delta

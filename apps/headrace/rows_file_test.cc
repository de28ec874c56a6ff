#include "rows_file.h"

#include <arrow/record_batch.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"

namespace headrace::app {
namespace {

using columns::Type;

// A row of each kind that CSV has to think about.
std::shared_ptr<arrow::RecordBatch> Rows() {
  columns::BatchBuilder builder(std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{.id = 1, .name = "id", .type = Type::kInt64},
                                  {.id = 2, .name = "note, or text", .type = Type::kString},
                                  {.id = 3, .name = "at", .type = Type::kTimestamp},
                                  {.id = 4, .name = "share", .type = Type::kFloat64}}));
  const auto add = [&](int64_t id, const std::optional<std::string>& note, double share) {
    builder.column(0).AppendInt(id);
    if (note) {
      builder.column(1).AppendText(*note);
    } else {
      builder.column(1).AppendNull();
    }
    builder.column(2).AppendInt(0);
    builder.column(3).AppendDouble(share);
  };
  add(1, "plain", 0.5);
  add(2, std::nullopt, 2);
  add(3, "", 2);
  add(4, "a,b", 2);
  add(5, "said \"no\"\nand left", 2);
  auto rows = columns::ToArrow(builder.Finish());
  EXPECT_TRUE(rows);
  return *rows;
}

constexpr const char* kCsv =
    "id,\"note, or text\",at,share\n"
    "1,plain,1970-01-01T00:00:00Z,0.5\n"
    "2,,1970-01-01T00:00:00Z,2.0\n"
    "3,\"\",1970-01-01T00:00:00Z,2.0\n"
    "4,\"a,b\",1970-01-01T00:00:00Z,2.0\n"
    "5,\"said \"\"no\"\"\nand left\",1970-01-01T00:00:00Z,2.0\n";

std::string Written(const std::string& path) {
  const auto rows = Rows();
  std::FILE* const out = std::tmpfile();
  const auto file = RowsFile::Open(path, out, RowsFile::Lines::kCsv, rows->schema());
  EXPECT_TRUE(file);
  EXPECT_TRUE((*file)->Write(rows));
  EXPECT_TRUE((*file)->Finish());
  EXPECT_EQ(std::fseek(out, 0, SEEK_SET), 0);
  std::string text;
  for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out)) text += static_cast<char>(c);
  std::fclose(out);
  return text;
}

TEST(RowsFile, WritesCsvThatReadsBack) { EXPECT_EQ(Written(""), kCsv); }

TEST(RowsFile, SaysThatWhatItPrintedWasNotWritten) {
  const auto rows = Rows();
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  const auto file = RowsFile::Open("", full, RowsFile::Lines::kCsv, rows->schema());
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->Write(rows));  // into stdio's buffer
  const auto finished = (*file)->Finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().ToString(), "IoError: can't write the rows: No space left on device");
  std::fclose(full);
}

TEST(RowsFile, IsCsvByItsName) {
  const auto path = std::filesystem::temp_directory_path() / "headrace_rows_file_test.csv";
  EXPECT_EQ(Written(path.string()), "");
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), kCsv);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace headrace::app

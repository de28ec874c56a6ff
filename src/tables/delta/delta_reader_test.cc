// Tables as others write them, read on the simulated machine. What real writers make of them:
// tests/interop.

#include "tables/delta/delta_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "columns/batch_codec.h"
#include "env/simulated/environment.h"
#include "tables/delta/foreign_table.h"

namespace headrace::tables::delta {
namespace {

using env::simulated::SimulatedEnvironment;
using foreign_table::ForeignTable;
using foreign_table::Rows;

columns::SchemaRef ShopsSchema() {
  const auto parsed =
      contract::Contract::Parse("c.yaml", std::string(foreign_table::kContract), "");
  HR_CHECK(parsed.contract != nullptr, "the test's contract is broken");
  return parsed.contract->schema();
}

// One version with one file; `more` is added to the action of the file.
void WriteTable(SimulatedEnvironment& machine, const std::string& folder, int64_t rows,
                const std::vector<std::string>& partition_columns, const std::string& more) {
  const columns::SchemaRef schema = ShopsSchema();
  ForeignTable table(folder, schema);
  HR_CHECK(machine.files().CreateFolders(table.log()), "no folder");
  const AddFile file = table.Write(machine, Rows(0, rows));
  Commit head{.protocol = Protocol{.reader_version = 3,
                                   .writer_version = 7,
                                   .reader_features = {"deletionVectors"},
                                   .writer_features = {"deletionVectors"}},
              .metadata = Metadata{}};
  head.metadata->schema_string = RenderSchema(*schema);
  head.metadata->partition_columns = partition_columns;
  std::string text = RenderCommit(head);
  const std::string ours = "headraceXxh3";
  text.replace(text.find(ours), ours.size(), "theirs");
  text += fmt::format(
      R"({{"add":{{"path":"{}","size":{},"modificationTime":1,"dataChange":true,{}}}}})", file.path,
      file.size, more);
  text += '\n';
  HR_CHECK(env::PutIfAbsent(machine.files(), table.CommitPath(0),
                            {reinterpret_cast<const uint8_t*>(text.data()), text.size()}),
           "the test puts no commit");
}

TEST(DeltaReader, LongPartitionValuesComeInShortParts) {
  SimulatedEnvironment machine(1);
  constexpr size_t kBytes = 40'000;  // of 65,536 rows more than a column of text holds
  constexpr int64_t kRows = 70'000;
  WriteTable(machine, "t", kRows, {"note"},
             fmt::format(R"("partitionValues":{{"note":"{}"}})", std::string(kBytes, 'x')));
  const auto reader = DeltaReader::Open(machine, "t");
  ASSERT_TRUE(reader) << reader.error().ToString();
  int64_t next = 0;
  const auto scanned =
      (*reader)->Scan(std::array<std::string, 2>{"id", "note"}, {},
                      [&](const columns::ColumnBatch& part) -> base::Result<void> {
                        EXPECT_LE(part.column(1).values().size(), FileRows::kConstantBytesMax);
                        for (size_t row = 0; row < part.rows(); ++row) {
                          EXPECT_EQ(part.column(0).Int64s()[row], next++);
                          EXPECT_EQ(part.column(1).Text(row).size(), kBytes);
                        }
                        return {};
                      });
  ASSERT_TRUE(scanned) << scanned.error().ToString();
  EXPECT_EQ(next, kRows);
}

std::string EncodeZ85(std::vector<uint8_t> bytes) {
  constexpr std::string_view kAlphabet =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  bytes.resize((bytes.size() + 3) / 4 * 4);
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
    std::string five(5, ' ');
    for (size_t i = 5; i-- > 0; value /= 85) five[i] = kAlphabet[value % 85];
    text += five;
  }
  return text;
}

// Over the end of a part, and to the end of the file.
TEST(DeltaReader, LeavesOutDeletedRows) {
  constexpr int64_t kRows = 70'000;
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  const auto u16 = [&out](uint32_t value) {
    out.U8(static_cast<uint8_t>(value));
    out.U8(static_cast<uint8_t>(value >> 8));
  };
  out.U32(1681511377);
  out.U64(1);
  out.U32(0);
  out.U32(12347 | 1 << 16);  // two containers
  out.U8(3);                 // of runs
  for (const uint32_t value : {0, 6, 1, 14}) u16(value);
  for (const uint32_t value : {2, 5, 0, 65530, 5}) u16(value);
  for (const uint32_t value : {2, 0, 4, 69'990 - 65'536, 9}) u16(value);
  const auto deleted = [](int64_t row) {
    return row == 5 || (row >= 65'530 && row <= 65'540) || row >= 69'990;
  };
  SimulatedEnvironment machine(1);
  WriteTable(machine, "t", kRows, {},
             fmt::format(R"("partitionValues":{{}},"deletionVector":{{"storageType":"i",)"
                         R"("pathOrInlineDv":"{}","sizeInBytes":{},"cardinality":22}})",
                         EncodeZ85(bytes), bytes.size()));
  const auto reader = DeltaReader::Open(machine, "t");
  ASSERT_TRUE(reader) << reader.error().ToString();
  std::vector<int64_t> wanted;
  for (int64_t row = 0; row < kRows; ++row)
    if (!deleted(row)) wanted.push_back(row);
  std::vector<int64_t> read;
  const auto scanned = (*reader)->Scan(std::array<std::string, 1>{"id"}, {},
                                       [&](const columns::ColumnBatch& part) -> base::Result<void> {
                                         for (size_t row = 0; row < part.rows(); ++row)
                                           read.push_back(part.column(0).Int64s()[row]);
                                         return {};
                                       });
  ASSERT_TRUE(scanned) << scanned.error().ToString();
  EXPECT_EQ(scanned->deleted, 22U);
  EXPECT_EQ(read, wanted);
}

}  // namespace
}  // namespace headrace::tables::delta

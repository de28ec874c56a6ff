// Tables as others write them, read on the simulated machine. What real writers make of them:
// tests/interop.

#include "tables/delta/delta_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "tables/source/foreign_table.h"

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

}  // namespace
}  // namespace headrace::tables::delta

#pragma once
// For tests: a Delta table as somebody else writes it, and the rows that it was given.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "columns/batch_builder.h"
#include "contract/contract.h"
#include "env/environment.h"
#include "tables/delta/actions.h"
#include "tables/delta/log_listing.h"
#include "tables/delta/schema_json.h"
#include "tables/parquet/parquet_writer.h"

namespace headrace::tables::foreign_table {

inline constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: shops
version: 1.0.0
status: active
schema:
  - name: shops
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: at, logicalType: timestamp, required: true}
      - {name: note, logicalType: string}
)";

struct Row {
  int64_t id;
  int64_t at;  // event time, in microseconds
  std::string note;
  auto operator<=>(const Row&) const = default;
};

inline constexpr int64_t kSecond = 1'000'000;
inline constexpr int64_t kBegin = 60'000'000 * kSecond;

// A hundred a second.
inline std::vector<Row> Rows(int64_t first, int64_t count) {
  std::vector<Row> rows;
  for (int64_t id = first; id < first + count; ++id)
    rows.push_back({id, kBegin + id * kSecond / 100, "n" + std::to_string(id % 3)});
  return rows;
}

inline std::vector<Row> RowsOf(const columns::ColumnBatch& batch) {
  std::vector<Row> rows;
  const auto note = batch.schema()->IndexOf("note");
  for (size_t i = 0; i < batch.rows(); ++i)
    rows.push_back({batch.column(0).Int64s()[i], batch.column(1).Int64s()[i],
                    note ? std::string(batch.column(*note).Text(i)) : std::string()});
  return rows;
}

// Its files are on the machine that it is given, which may change.
class ForeignTable {
 public:
  ForeignTable(std::string folder, columns::SchemaRef schema)
      : folder_(std::move(folder)), schema_(std::move(schema)) {}

  std::string log() const { return folder_ + "/_delta_log"; }
  std::string CommitPath(int64_t version) const {
    return log() + "/" + delta::VersionedName(version, ".json");
  }
  int64_t newest() const { return version_ - 1; }
  // What was appended.
  const std::vector<Row>& written() const { return written_; }

  void Create(env::Environment& machine, const std::string& id) {
    version_ = 0;
    delta::Commit first{.protocol = delta::Protocol{}, .metadata = delta::Metadata{}};
    first.metadata->id = id;
    first.metadata->schema_string = delta::RenderSchema(*schema_);
    first.operation = "CREATE TABLE";
    Put(machine, first);
  }
  delta::AddFile Write(env::Environment& machine, const std::vector<Row>& rows) {
    columns::BatchBuilder builder(schema_);
    for (const Row& row : rows) {
      builder.column(0).AppendInt(row.id);
      builder.column(1).AppendInt(row.at);
      builder.column(2).AppendText(row.note);
    }
    auto writer = ParquetWriter::Make(schema_);
    HR_CHECK(writer->Write(builder.Finish()), "the test writes no file");
    const auto file = writer->Finish();
    const std::string name = fmt::format("part-{}.parquet", files_++);
    HR_CHECK(env::PutIfAbsent(machine.files(), folder_ + "/" + name, file->bytes.bytes()),
             "the test writes no file");
    return {.path = name,
            .size = file->bytes.bytes().size(),
            .modified_ms = static_cast<int64_t>(files_),
            .stats = delta::RenderStats(*schema_, file->rows, file->stats),
            .rows = file->rows};
  }
  void Put(env::Environment& machine, const delta::Commit& commit) {
    HR_CHECK(machine.files().CreateFolders(log()), "no folder");
    const std::string text = delta::RenderCommit(commit);
    HR_CHECK(env::PutIfAbsent(machine.files(), CommitPath(version_++),
                              {reinterpret_cast<const uint8_t*>(text.data()), text.size()}),
             "the test puts no commit");
  }
  delta::AddFile Append(env::Environment& machine, const std::vector<Row>& rows) {
    delta::AddFile file = Write(machine, rows);
    Put(machine, {.adds = {file}, .operation = "WRITE"});
    written_.insert(written_.end(), rows.begin(), rows.end());
    return file;
  }
  enum class Change : uint8_t { kRows, kFilesOnly };
  // Another file in the place of one.
  void Replace(env::Environment& machine, const delta::AddFile& file, const std::vector<Row>& rows,
               Change change, const std::string& operation) {
    delta::AddFile added = Write(machine, rows);
    added.data_change = change == Change::kRows;
    Put(machine,
        {.adds = {added},
         .removes = {delta::RemoveFile{.path = file.path, .data_change = added.data_change}},
         .operation = operation});
  }

 private:
  const std::string folder_;
  const columns::SchemaRef schema_;
  int64_t version_ = 0;  // of the next commit
  uint64_t files_ = 0;
  std::vector<Row> written_;
};

}  // namespace headrace::tables::foreign_table

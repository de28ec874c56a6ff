#include "simulation/foreign_writer.h"

#include <fmt/format.h>

#include "columns/batch_builder.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/log_listing.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/table_rows.h"

namespace headrace::simulation {
namespace {

using base::Result;

Result<columns::ColumnBatch> OneRow(const columns::SchemaRef& stream, int64_t id) {
  columns::BatchBuilder builder(stream);
  builder.column(0).AppendInt(id);
  builder.column(1).AppendInt(0);
  builder.column(2).AppendDouble(1);
  builder.column(3).AppendInt(0);
  HR_TRY(columns::SchemaRef schema, tables::TableSchema(*stream));
  return tables::ToTableRows(schema, {1}, builder.Finish(), {0});
}

Result<int64_t> NextVersion(env::Files& files, const std::string& log) {
  HR_TRY(const tables::delta::LogListing listing, tables::delta::ListLog(files, log));
  return listing.newest().value_or(-1) + 1;
}

Result<void> PutVersion(env::Files& files, const std::string& log, int64_t version,
                        const std::string& commit) {
  return env::PutIfAbsent(files, fmt::format("{}/{:020}.json", log, version),
                          {reinterpret_cast<const uint8_t*>(commit.data()), commit.size()});
}

std::string AddOf(const std::string& name, const tables::EncodedFile& file, bool data_change) {
  return fmt::format(R"({{"add":{{"path":"{}","partitionValues":{{}},"size":{},)"
                     R"("modificationTime":0,"dataChange":{},"stats":"{{\"numRecords\":{}}}"}}}})"
                     "\n",
                     name, file.bytes.bytes().size(), data_change, file.rows);
}

}  // namespace

Result<bool> AppendForeignRow(env::Environment& environment, const std::string& table,
                              const columns::SchemaRef& stream, int64_t id) {
  env::Files& files = environment.files();
  const std::string log = table + "/_delta_log";
  HR_TRY(const bool exists, files.Exists(log));
  if (!exists) return false;
  HR_TRY(const int64_t version, NextVersion(files, log));
  if (version == 0) return false;
  HR_TRY(const columns::ColumnBatch rows, OneRow(stream, id));
  const auto writer = tables::ParquetWriter::Make(rows.schema());
  HR_TRY_VOID(writer->Write(rows));
  HR_TRY(const tables::EncodedFile file, writer->Finish());
  const std::string name = fmt::format("somebody-{}.parquet", -id);
  HR_TRY_VOID(env::PutIfAbsent(files, table + "/" + name, file.bytes.bytes()));
  const std::string commit =
      R"({"commitInfo":{"timestamp":0,"operation":"WRITE","isBlindAppend":true}})"
      "\n" +
      AddOf(name, file, /*data_change=*/true);
  HR_TRY_VOID(PutVersion(files, log, version, commit));
  return true;
}

Result<bool> CompactForeign(env::Environment& environment, const std::string& table,
                            const columns::SchemaRef& stream, uint64_t number) {
  env::Files& files = environment.files();
  const std::string log = table + "/_delta_log";
  const auto reader = tables::delta::DeltaReader::Open(environment, table);
  if (!reader && reader.error().code() == base::ErrorCode::kNotFound) return false;
  if (!reader) return base::Fail(reader.error());
  HR_TRY(const columns::SchemaRef schema, tables::TableSchema(*stream));
  const auto writer = tables::ParquetWriter::Make(schema);
  std::string commit = R"({"commitInfo":{"timestamp":0,"operation":"OPTIMIZE"}})"
                       "\n";
  for (const tables::delta::AddFile& file : (*reader)->files()) {
    HR_TRY(const auto data, tables::ParquetReader::Open(files, table + "/" + file.path));
    HR_TRY(const columns::ColumnBatch rows, data->ReadAll(schema));
    HR_TRY_VOID(writer->Write(rows));
    commit +=
        fmt::format(R"({{"remove":{{"path":"{}","dataChange":false,"deletionTimestamp":{}}}}})"
                    "\n",
                    file.path, environment.clock().Wall().us / 1000);
  }
  if (writer->rows() == 0) return false;
  HR_TRY(const tables::EncodedFile file, writer->Finish());
  const std::string name = fmt::format("somebody-all-{}.parquet", number);
  HR_TRY_VOID(env::PutIfAbsent(files, table + "/" + name, file.bytes.bytes()));
  commit += AddOf(name, file, /*data_change=*/false);
  HR_TRY_VOID(PutVersion(files, log, (*reader)->state().version + 1, commit));
  return true;
}

}  // namespace headrace::simulation

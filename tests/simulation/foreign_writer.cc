#include "simulation/foreign_writer.h"

#include <fmt/format.h>

#include "columns/batch_builder.h"
#include "tables/delta/log_listing.h"
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
  HR_TRY(auto writer, tables::ParquetWriter::Make(rows.schema()));
  HR_TRY_VOID(writer->Write(rows));
  HR_TRY(const tables::EncodedFile file, writer->Finish());
  const std::string name = fmt::format("somebody-{}.parquet", -id);
  HR_TRY_VOID(env::PutIfAbsent(files, table + "/" + name, file.bytes.bytes()));
  const std::string commit =
      fmt::format(R"({{"commitInfo":{{"timestamp":0,"operation":"WRITE","isBlindAppend":true}}}})"
                  "\n"
                  R"({{"add":{{"path":"{}","partitionValues":{{}},"size":{},"modificationTime":0,)"
                  R"("dataChange":true,"stats":"{{\"numRecords\":1}}"}}}})"
                  "\n",
                  name, file.bytes.bytes().size());
  HR_TRY_VOID(env::PutIfAbsent(files, fmt::format("{}/{:020}.json", log, version),
                               {reinterpret_cast<const uint8_t*>(commit.data()), commit.size()}));
  return true;
}

}  // namespace headrace::simulation

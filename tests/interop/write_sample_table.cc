// Writes a Delta table with every type, nulls, extreme values and several versions, for other
// engines to read:
//
//   headrace_write_sample_table FOLDER [VERSIONS [CHECKPOINT_EVERY]]
//
// A table that is there already gets more versions. With CHECKPOINT_EVERY its log is tended after
// each of them: checkpoints, checksum files, removal of old commits.
//
// The rows follow from their number alone (test_delta_readers.py computes them again), so nothing
// of ours is in the expectation.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "env/environment.h"
#include "tables/delta/delta_table.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/table_rows.h"

namespace {

using headrace::base::Result;
using namespace headrace;  // NOLINT: a program of one file
using columns::Type;

constexpr int kVersions = 3;
constexpr const char* kMarker = "headrace/sample/s";
constexpr int64_t kRowsPerVersion = 1000;
constexpr int64_t kNullEvery = 7;

columns::SchemaRef StreamSchema() {
  std::vector<columns::Field> fields;
  for (const columns::TypeRow& row : columns::TypeTable()) {
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = "c_" + std::string(row.name),
                      .type = row.type});
  }
  fields.push_back(
      {.id = 90, .name = "id", .type = Type::kInt64, .nullable = columns::Nullable::kNo});
  return std::make_shared<const columns::Schema>(std::move(fields));
}

void AppendValue(columns::ColumnBuilder& column, int64_t i) {
  switch (column.type()) {
    case Type::kBool: return column.AppendBool(i % 2 == 0);
    case Type::kInt32:
      return column.AppendInt(i == 3 ? std::numeric_limits<int32_t>::min() : i - 500);
    case Type::kInt64:
      return column.AppendInt(i == 3 ? std::numeric_limits<int64_t>::max() : i * i);
    case Type::kFloat32: return column.AppendDouble(static_cast<double>(i) / 4);
    case Type::kFloat64: return column.AppendDouble(static_cast<double>(i) / 3);
    case Type::kString: return column.AppendText("t\xC3\xA4xt " + std::to_string(i % 50));
    case Type::kBytes: return column.AppendText(std::string(1, static_cast<char>(i % 256)));
    case Type::kDate: return column.AppendInt(i - 400);
    case Type::kTimestamp:
    case Type::kTimestampNtz: return column.AppendInt(978'307'200'000'000 + i * 61'000'001);
  }
}

columns::ColumnBatch RowsFrom(const columns::SchemaRef& schema, int64_t first) {
  columns::BatchBuilder builder(schema);
  for (int64_t i = first; i < first + kRowsPerVersion; ++i) {
    for (size_t c = 0; c + 1 < schema->size(); ++c) {
      if ((i + static_cast<int64_t>(c)) % kNullEvery == 0) {
        builder.column(c).AppendNull();
      } else {
        AppendValue(builder.column(c), i);
      }
    }
    builder.column(schema->size() - 1).AppendInt(i);
  }
  return builder.Finish();
}

struct Wanted {
  std::string folder;
  int versions = kVersions;
  int64_t checkpoint_every = 0;  // none
};

Result<void> WriteTable(const Wanted& wanted) {
  const std::string& folder = wanted.folder;
  const auto environment = env::MakeRealEnvironment();
  const auto stream = StreamSchema();
  HR_TRY(const auto schema, tables::TableSchema(*stream));
  tables::delta::UpkeepOptions upkeep;
  if (wanted.checkpoint_every > 0) upkeep.checkpoint_every = wanted.checkpoint_every;
  HR_TRY(const auto table,
         tables::delta::DeltaTable::OpenForAppend(*environment, folder, "sample", schema, upkeep));
  int first = 0;
  for (const tables::Marker& marker : table->markers())
    if (marker.application == kMarker) first = static_cast<int>(marker.version);
  for (int version = first; version < first + wanted.versions; ++version) {
    const base::EpochId epoch{static_cast<uint64_t>(version) + 1};
    const auto rows = RowsFrom(stream, version * kRowsPerVersion);
    std::vector<int64_t> known_at(rows.rows(), 5 + version);
    const auto writer = tables::ParquetWriter::Make(schema);
    HR_TRY_VOID(writer->Write(tables::ToTableRows(schema, epoch, rows, std::move(known_at))));
    HR_TRY(tables::EncodedFile file, writer->Finish());
    const std::string name = "part " + std::to_string(version) + "%.parquet";  // must be escaped
    HR_TRY_VOID(env::PutIfAbsent(environment->files(), folder + "/" + name, file.bytes.bytes()));
    const tables::DataFile data{name, file.bytes.size(), file.rows, std::move(file.stats),
                                base::Hash64(file.bytes.bytes())};
    HR_TRY_VOID(table->Append(std::span(&data, 1), {kMarker, epoch.value}));
    if (wanted.checkpoint_every == 0) continue;
    if (auto task = table->TakeUpkeep()) HR_TRY_VOID(task());
  }
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || count > 4) {
    std::fprintf(stderr,
                 "usage: headrace_write_sample_table FOLDER [VERSIONS [CHECKPOINT_EVERY]]\n");
    return 2;
  }
  Wanted wanted{.folder = arguments[1]};
  if (count > 2) wanted.versions = std::atoi(arguments[2]);
  if (count > 3) wanted.checkpoint_every = std::atoi(arguments[3]);
  const auto written = WriteTable(wanted);
  if (written) return 0;
  std::fprintf(stderr, "%s\n", written.error().ToString().c_str());
  return 1;
}

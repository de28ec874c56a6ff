// The Delta writer's own commits and openings, for delta_bench.py:
//
//   headrace_delta_commits commits FOLDER COMMITS ROWS   appends; milliseconds of each, one a line;
//                          (alone FOLDER COMMITS ROWS    the same without the log's upkeep)
//   headrace_delta_commits make FOLDER FILES             a table that names so many files (which
//                                                        are not there), with a checkpoint
//   headrace_delta_commits open FOLDER                   reads its state: milliseconds, files, and
//                                                        the most memory the process had
//
// A commit is all that the publisher does for one: rows encoded, the data file put with its syncs,
// the version put with its syncs. The upkeep of the log runs beside it on a thread of its own, as
// the publisher's does.

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "env/environment.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/delta_table.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/table_rows.h"

namespace {

using headrace::base::Result;
using namespace headrace;  // NOLINT: a program of one file
using columns::Type;
using Clock = std::chrono::steady_clock;
using tables::delta::DeltaTable;

constexpr const char* kMarker = "headrace/bench/events";
constexpr int64_t kFilesPerCommit = 1000;

double MsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Ten columns, three of them those that every table of ours has.
columns::SchemaRef StreamSchema() {
  std::vector<columns::Field> fields;
  const auto add = [&](const char* name, Type type) {
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1), .name = name, .type = type});
  };
  add("id", Type::kInt64);
  add("user", Type::kInt64);
  add("at", Type::kTimestamp);
  add("amount", Type::kFloat64);
  add("score", Type::kFloat64);
  add("kind", Type::kString);
  add("country", Type::kString);
  return std::make_shared<const columns::Schema>(std::move(fields));
}

columns::ColumnBatch Rows(const columns::SchemaRef& schema, int64_t first, int64_t rows) {
  columns::BatchBuilder builder(schema);
  for (int64_t i = first; i < first + rows; ++i) {
    const auto mixed = static_cast<int64_t>(base::Mix64(static_cast<uint64_t>(i)) >> 16);
    builder.column(0).AppendInt(i);
    builder.column(1).AppendInt(mixed % 100'000);
    builder.column(2).AppendInt(1'750'000'000'000'000 + i * 1000);
    builder.column(3).AppendDouble(static_cast<double>(mixed % 1'000'000) / 100);
    builder.column(4).AppendDouble(static_cast<double>(mixed % 977) / 977);
    builder.column(5).AppendText("kind " + std::to_string(mixed % 20));
    builder.column(6).AppendText("c" + std::to_string(mixed % 60));
  }
  return builder.Finish();
}

Result<tables::DataFile> PutRows(env::Files& files, const std::string& folder, uint64_t epoch,
                                 const columns::SchemaRef& schema,
                                 const columns::ColumnBatch& rows) {
  HR_TRY(const auto writer, tables::ParquetWriter::Make(schema));
  std::vector<int64_t> known_at(rows.rows(), 1'750'000'000'000'000);
  HR_TRY_VOID(writer->Write(tables::ToTableRows(schema, {epoch}, rows, std::move(known_at))));
  HR_TRY(tables::EncodedFile file, writer->Finish());
  std::string name = "e" + std::to_string(epoch) + ".parquet";
  HR_TRY_VOID(env::PutIfAbsent(files, folder + "/" + name, file.bytes.bytes()));
  return tables::DataFile{std::move(name), file.bytes.size(), file.rows, std::move(file.stats),
                          base::Hash64(file.bytes.bytes())};
}

enum class Upkeep : uint8_t { kNone, kBeside };

Result<void> Commits(const std::string& folder, int commits, int64_t rows, Upkeep tended) {
  const auto environment = env::MakeRealEnvironment();
  const auto stream = StreamSchema();
  HR_TRY(const auto schema, tables::TableSchema(*stream));
  HR_TRY(const auto table, DeltaTable::OpenForAppend(*environment, folder, "events", schema));
  std::future<Result<void>> upkeep;
  for (int i = 1; i <= commits; ++i) {
    const auto batch = Rows(stream, i * rows, rows);
    const auto begin = Clock::now();
    const auto epoch = static_cast<uint64_t>(i);
    HR_TRY(const auto file, PutRows(environment->files(), folder, epoch, schema, batch));
    HR_TRY_VOID(table->Append(std::span(&file, 1), {kMarker, epoch}));
    std::printf("%.3f\n", MsSince(begin));
    if (tended == Upkeep::kNone) continue;
    if (upkeep.valid()) {
      if (upkeep.wait_for(std::chrono::seconds(0)) != std::future_status::ready) continue;
      HR_TRY_VOID(upkeep.get());
    }
    if (auto task = table->TakeUpkeep()) upkeep = std::async(std::launch::async, std::move(task));
  }
  return upkeep.valid() ? upkeep.get() : Result<void>();
}

Result<void> Make(const std::string& folder, int64_t files) {
  const auto environment = env::MakeRealEnvironment();
  const auto stream = StreamSchema();
  HR_TRY(const auto schema, tables::TableSchema(*stream));
  HR_TRY(const auto table, DeltaTable::OpenForAppend(*environment, folder, "events", schema));
  HR_TRY(const auto one, PutRows(environment->files(), folder, 1, schema, Rows(stream, 0, 1000)));
  uint64_t epoch = 0;
  for (int64_t made = 0; made < files;) {
    std::vector<tables::DataFile> added;
    for (; made < files && static_cast<int64_t>(added.size()) < kFilesPerCommit; ++made) {
      added.push_back(one);
      added.back().name =
          "e" + std::to_string(base::Mix64(static_cast<uint64_t>(made))) + ".parquet";
    }
    HR_TRY_VOID(table->Append(added, {kMarker, ++epoch}));
  }
  HR_TRY_VOID(tables::delta::WriteCheckpoint(*environment, folder, table->snapshot().version, {})
                      .has_value()
                  ? Result<void>()
                  : base::Fail(base::ErrorCode::kInternal, "no checkpoint"));
  return {};
}

Result<void> Open(const std::string& folder) {
  const auto environment = env::MakeRealEnvironment();
  const auto begin = Clock::now();
  HR_TRY(const auto reader, tables::delta::DeltaReader::Open(*environment, folder));
  const double ms = MsSince(begin);
  const auto again = Clock::now();
  HR_TRY(const auto table, DeltaTable::Open(*environment, folder, tables::delta::Keep::kNoFiles));
  const double append_ms = MsSince(again);
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  std::printf(R"({"open_ms":%.2f,"open_for_append_ms":%.2f,"files":%zu,"peak_mib":%.1f})"
              "\n",
              ms, append_ms, reader->files().size(), static_cast<double>(used.ru_maxrss) / 1024);
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count > 2 ? arguments[1] : "";
  Result<void> done = base::Fail(base::ErrorCode::kInvalidInput,
                                 "usage: headrace_delta_commits commits FOLDER COMMITS ROWS | make "
                                 "FOLDER FILES | open FOLDER");
  if ((what == "commits" || what == "alone") && count == 5)
    done = Commits(arguments[2], std::atoi(arguments[3]), std::atoll(arguments[4]),
                   what == "alone" ? Upkeep::kNone : Upkeep::kBeside);
  if (what == "make" && count == 4) done = Make(arguments[2], std::atoll(arguments[3]));
  if (what == "open" && count == 3) done = Open(arguments[2]);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().ToString().c_str());
  return 1;
}

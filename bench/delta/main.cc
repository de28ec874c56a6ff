// The Delta writer's own commits and openings, for delta_bench.py:
//
//   headrace_delta_commits commits FOLDER COMMITS ROWS   appends; milliseconds of each, one a line;
//                          (alone FOLDER COMMITS ROWS    the same without the log's upkeep)
//   headrace_delta_commits make FOLDER FILES             a table that names so many files (which
//                                                        are not there), with a checkpoint
//   headrace_delta_commits bulk FOLDER COMMITS ROWS      the same as `commits`, of 8 batches in
//   turn:
//                                                        seconds and seconds of CPU
//   headrace_delta_commits amplification FOLDER ROWS_PER_SECOND
//                                                        what is written and asked of the disk at
//                                                        each commit interval, one a line
//   headrace_delta_commits open FOLDER                   reads its state: milliseconds, files, and
//                                                        the most memory the process had
//
// A commit is all that the publisher does for one: rows encoded, the data file put with its syncs,
// the version put with its syncs. The upkeep of the log runs beside it on a thread of its own, as
// the publisher's does.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "counting_files.h"
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

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
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

// 40 bits, as the peers' side of the bench mixes them.
int64_t Mixed(uint64_t i) {
  uint64_t x = i * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
  return static_cast<int64_t>((x ^ (x >> 32)) >> 24);
}

columns::ColumnBatch Rows(const columns::SchemaRef& schema, int64_t first, int64_t rows) {
  columns::BatchBuilder builder(schema);
  for (int64_t i = first; i < first + rows; ++i) {
    const auto mixed = Mixed(static_cast<uint64_t>(i));
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
  const auto writer = tables::ParquetWriter::Make(schema);
  std::vector<int64_t> known_at(rows.rows(), 1'750'000'000'000'000);
  HR_TRY_VOID(writer->Write(tables::ToTableRows(schema, {epoch}, rows, std::move(known_at))));
  HR_TRY(tables::EncodedFile file, writer->Finish());
  std::string name = "e" + std::to_string(epoch) + ".parquet";
  HR_TRY_VOID(env::PutIfAbsent(files, folder + "/" + name, file.bytes.bytes()));
  return tables::DataFile{std::move(name), file.bytes.size(), file.rows, std::move(file.stats),
                          base::Hash64(file.bytes.bytes())};
}

// The upkeep of the log on a thread of its own, a piece at a time.
class UpkeepBeside {
 public:
  Result<void> After(DeltaTable& table) {
    if (work_.valid()) {
      if (work_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return {};
      HR_TRY_VOID(work_.get());
    }
    if (auto task = table.TakeUpkeep()) work_ = std::async(std::launch::async, std::move(task));
    return {};
  }
  Result<void> End() { return work_.valid() ? work_.get() : Result<void>(); }

 private:
  std::future<Result<void>> work_;
};

enum class Upkeep : uint8_t { kNone, kBeside };

Result<void> Commits(const std::string& folder, int commits, int64_t rows, Upkeep tended) {
  const auto environment = env::MakeRealEnvironment();
  const auto stream = StreamSchema();
  HR_TRY(const auto schema, tables::TableSchema(*stream));
  HR_TRY(const auto table, DeltaTable::OpenForAppend(*environment, folder, "events", schema));
  UpkeepBeside upkeep;
  for (int i = 1; i <= commits; ++i) {
    const auto batch = Rows(stream, i * rows, rows);
    const auto begin = Clock::now();
    const auto epoch = static_cast<uint64_t>(i);
    HR_TRY(const auto file, PutRows(environment->files(), folder, epoch, schema, batch));
    HR_TRY_VOID(table->Append(std::span(&file, 1), {kMarker, epoch}));
    std::printf("%.3f\n", MsSince(begin));
    if (tended == Upkeep::kBeside) HR_TRY_VOID(upkeep.After(*table));
  }
  return upkeep.End();
}

constexpr int kBulkBatches = 8;

Result<void> Bulk(const std::string& folder, int commits, int64_t rows) {
  const auto environment = env::MakeRealEnvironment();
  const auto stream = StreamSchema();
  HR_TRY(const auto schema, tables::TableSchema(*stream));
  HR_TRY(const auto table, DeltaTable::OpenForAppend(*environment, folder, "events", schema));
  std::vector<columns::ColumnBatch> batches;
  for (int i = 0; i < kBulkBatches; ++i) batches.push_back(Rows(stream, i * rows, rows));
  const double cpu = CpuSeconds();
  const auto begin = Clock::now();
  UpkeepBeside upkeep;
  for (int i = 0; i < commits; ++i) {
    const auto epoch = static_cast<uint64_t>(i + 1);
    HR_TRY(const auto file, PutRows(environment->files(), folder, epoch, schema,
                                    batches[static_cast<size_t>(i % kBulkBatches)]));
    HR_TRY_VOID(table->Append(std::span(&file, 1), {kMarker, epoch}));
    HR_TRY_VOID(upkeep.After(*table));
  }
  HR_TRY_VOID(upkeep.End());
  std::printf("%.4f %.4f\n", MsSince(begin) / 1000, CpuSeconds() - cpu);
  return {};
}

constexpr int kIntervalsMs[] = {100, 250, 500, 1000, 2500, 5000, 10'000, 30'000, 60'000, 300'000};
constexpr int kSpanMs = 120'000;  // of the stream, at least, for each interval

// Commits of a stream of so many rows a second, one after the other.
Result<void> Amplification(const std::string& folder, int64_t rows_per_second) {
  for (const int interval_ms : kIntervalsMs) {
    bench::FileCalls calls;
    const auto environment = bench::MakeCountingEnvironment(calls);
    const auto stream = StreamSchema();
    const std::string path = folder + "/every" + std::to_string(interval_ms);
    HR_TRY(const auto schema, tables::TableSchema(*stream));
    HR_TRY(const auto table, DeltaTable::OpenForAppend(*environment, path, "events", schema));
    const int64_t rows = rows_per_second * interval_ms / 1000;
    const int64_t commits = std::max(1, kSpanMs / interval_ms);
    uint64_t data_bytes = 0;
    const uint64_t calls_before = calls.all();
    const uint64_t bytes_before = calls.written_bytes;
    const uint64_t syncs_before = calls.synced;
    const uint64_t puts_before = calls.linked;
    for (int64_t i = 0; i < commits; ++i) {
      const auto epoch = static_cast<uint64_t>(i + 1);
      HR_TRY(const auto file,
             PutRows(environment->files(), path, epoch, schema, Rows(stream, i * rows, rows)));
      HR_TRY_VOID(table->Append(std::span(&file, 1), {kMarker, epoch}));
      data_bytes += file.bytes;
      if (auto task = table->TakeUpkeep()) HR_TRY_VOID(task());
    }
    std::printf(
        R"({"interval_ms":%d,"rows":%lld,"commits":%lld,"data_bytes":%llu,"log_bytes":%llu,)"
        R"("calls":%llu,"syncs":%llu,"puts":%llu})"
        "\n",
        interval_ms, static_cast<long long>(commits * rows), static_cast<long long>(commits),
        static_cast<unsigned long long>(data_bytes),
        static_cast<unsigned long long>(calls.written_bytes - bytes_before - data_bytes),
        static_cast<unsigned long long>(calls.all() - calls_before),
        static_cast<unsigned long long>(calls.synced - syncs_before),
        static_cast<unsigned long long>(calls.linked - puts_before));
  }
  return {};
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
                                 "FOLDER FILES | bulk FOLDER COMMITS ROWS | "
                                 "amplification FOLDER ROWS_PER_SECOND | open FOLDER");
  if ((what == "commits" || what == "alone") && count == 5)
    done = Commits(arguments[2], std::atoi(arguments[3]), std::atoll(arguments[4]),
                   what == "alone" ? Upkeep::kNone : Upkeep::kBeside);
  if (what == "bulk" && count == 5)
    done = Bulk(arguments[2], std::atoi(arguments[3]), std::atoll(arguments[4]));
  if (what == "amplification" && count == 4)
    done = Amplification(arguments[2], std::atoll(arguments[3]));
  if (what == "make" && count == 4) done = Make(arguments[2], std::atoll(arguments[3]));
  if (what == "open" && count == 3) done = Open(arguments[2]);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().ToString().c_str());
  return 1;
}

// headrace ingest: a file into a stream, Parquet over Arrow Flight, NDJSON over HTTP.

#include <fmt/core.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/counts.h"
#include "base/hash.h"
#include "commands.h"
#include "flight_ingest.h"
#include "http_ingest.h"
#include "json_lines.h"
#include "pace.h"
#include "parquet_batches.h"
#include "progress.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;

struct Outcome {
  base::Result<void> ended;
  IngestTotals totals;
};

// A hash of the file's bytes.
base::Result<uint64_t> DigestOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> piece(1U << 20);
  uint64_t digest = 0;
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0)
    digest = base::Hash64(std::string_view(piece.data(), static_cast<size_t>(in.gcount())), digest);
  if (in.bad() || !in.eof())
    return Fail(Error(ErrorCode::kNotFound, "can't read the file").With("file", path));
  return digest;
}

// What makes (producer, sequence) name the same rows again: the file's name and bytes, and how it
// is cut.
base::Result<std::string> ProducerOf(const IngestOptions& options, uint64_t batch_rows) {
  if (!options.producer.empty()) return options.producer;
  HR_TRY(const uint64_t digest, DigestOf(options.file));
  std::string producer = fmt::format(
      "{}:{:016x}:{}", std::filesystem::path(options.file).filename().string(), digest, batch_rows);
  if (options.skip > 0 || options.limit)
    producer +=
        fmt::format(":{}+{}", options.skip, options.limit ? std::to_string(*options.limit) : "all");
  return producer;
}

base::Result<Outcome> IngestParquet(const IngestOptions& options, uint64_t batch_rows,
                                    const CommandContext& context) {
  HR_TRY(const std::string producer, ProducerOf(options, batch_rows));
  HR_TRY(const auto batches, ParquetBatches::Open(options.file, {.batch_rows = batch_rows,
                                                                 .skip = options.skip,
                                                                 .limit = options.limit}));
  Progress progress(context.err, options.stream, batches->rows());
  FlightIngest ingest(options, producer, *batches, progress);
  base::Result<void> ended = ingest.Run();
  return Outcome{std::move(ended), ingest.totals()};
}

base::Result<Outcome> IngestLines(const IngestOptions& options, uint64_t batch_rows,
                                  const CommandContext& context) {
  HR_TRY(const std::string producer, ProducerOf(options, batch_rows));
  HR_TRY(JsonLines lines, JsonLines::Open(options.file, batch_rows, options.skip, options.limit));
  Progress progress(context.err, options.stream, options.limit);
  HttpIngest ingest(options, producer, lines, progress);
  base::Result<void> ended = ingest.Run();
  return Outcome{std::move(ended), ingest.totals()};
}

base::Result<Outcome> IngestFile(const IngestOptions& options, const CommandContext& context) {
  const std::string extension = std::filesystem::path(options.file).extension().string();
  const uint64_t batch_rows = BatchRows(options.batch, options.rate);
  std::error_code ignored;
  if (!std::filesystem::exists(options.file, ignored))
    return Fail(Error(ErrorCode::kNotFound, "no such file").With("file", options.file));
  if (extension == ".parquet") return IngestParquet(options, batch_rows, context);
  if (extension == ".ndjson" || extension == ".jsonl")
    return IngestLines(options, batch_rows, context);
  return Fail(Error(ErrorCode::kUnsupported,
                    fmt::format("`{}` files can't be ingested: .parquet, .ndjson and .jsonl can",
                                extension))
                  .With("file", options.file));
}

void PrintTotals(const CommandContext& context, const IngestOptions& options,
                 const IngestTotals& totals, double seconds) {
  if (context.json()) {
    fmt::print(
        context.out,
        R"({{"rows":{},"accepted":{},"refused":{},"repeated":{},"seconds":{:.6f},{}"reconnects":{}}})"
        "\n",
        totals.rows, totals.accepted, totals.refused, totals.repeated, seconds,
        totals.epoch > 0 ? fmt::format("\"epoch\":{},", totals.epoch) : "", totals.reconnects);
    return;
  }
  std::string line =
      fmt::format("{} in = {} accepted + {} refused", base::WithCommas(totals.rows),
                  base::WithCommas(totals.accepted), base::WithCommas(totals.refused));
  if (totals.repeated > 0)
    line += fmt::format(" + {} in the log before", base::WithCommas(totals.repeated));
  if (totals.epoch > 0) line += fmt::format("   epoch {}", totals.epoch);
  fmt::print(context.out, "{}   {:.1f} s\n", line, seconds);
  if (totals.refused > 0) {
    fmt::print(context.out, "first refused: {}\nthey are kept: headrace deadletters {}\n",
               totals.first_refusal, options.stream);
  }
}

}  // namespace

int RunIngest(const IngestOptions& options, CommandContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = IngestFile(options, context);
  if (!outcome) return ReportError(context, outcome.error());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (outcome->ended) {
    PrintTotals(context, options, outcome->totals, took.count());
    return 0;
  }
  const int exit_code = ReportError(context, outcome->ended.error());
  const uint64_t rows = outcome->totals.rows;
  if (rows > 0)
    fmt::print(context.err, "{} {} in; {}the same command goes on from there\n",
               base::Counted(rows, "row"), rows == 1 ? "is" : "are",
               MayRepeat(outcome->ended.error().code()) ? "" : "once that is mended, ");
  return exit_code;
}

}  // namespace headrace::app

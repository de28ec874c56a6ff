// headrace scan STREAM: the rows of a stream as of one epoch, its table and the log's tail
// together, over Arrow Flight.

#include <arrow/record_batch.h>
#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "flight_scanner.h"
#include "rows_file.h"
#include "tables/scan/scan_request.h"

namespace headrace::app {
namespace {

using base::Result;
using nlohmann::ordered_json;

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

struct Scanned {
  uint64_t rows = 0;
  bool stopped = false;  // at the limit: there may be more
  ordered_json summary;  // without it
};

Result<Scanned> Scan(const ScanOptions& options, CommandContext& context) {
  const tables::ScanRequest request{.stream = options.stream,
                                    .columns = options.columns,
                                    .where = options.where,
                                    .epoch = options.epoch};
  HR_TRY(const auto scanner,
         FlightScanner::Open(options.flight, tables::RenderScanRequest(request)));
  HR_TRY(const auto file,
         RowsFile::Open(options.output, context.out,
                        options.csv ? RowsFile::Lines::kCsv : RowsFile::Lines::kJson,
                        scanner->schema()));
  Scanned scanned;
  while (scanned.rows < options.limit.value_or(kNoLimit)) {
    HR_TRY(auto batch, scanner->Next());
    if (batch == nullptr) break;
    const uint64_t left = options.limit.value_or(kNoLimit) - scanned.rows;
    if (static_cast<uint64_t>(batch->num_rows()) > left)
      batch = batch->Slice(0, static_cast<int64_t>(left));
    scanned.rows += static_cast<uint64_t>(batch->num_rows());
    HR_TRY_VOID(file->Write(batch));
  }
  HR_TRY_VOID(file->Finish());
  scanned.stopped = scanner->summary().empty();
  if (scanned.stopped) {
    scanned.summary = {{"epoch", scanner->epoch()}, {"limited", true}};
    scanner->Stop();
    return scanned;
  }
  scanned.summary = ordered_json::parse(scanner->summary(), nullptr, /*allow_exceptions=*/false);
  return scanned;
}

}  // namespace

int RunScan(const ScanOptions& options, CommandContext& context) {
  if (options.csv && !options.output.empty())
    return ReportError(context, base::Error(base::ErrorCode::kInvalidInput,
                                            "--csv is of lines on standard output; a file is CSV "
                                            "when it is called .csv"));
  const auto scanned = Scan(options, context);
  if (!scanned) return ReportError(context, scanned.error());
  ordered_json summary = {{"rows", scanned->rows}};
  if (scanned->summary.is_object()) summary.update(scanned->summary);
  if (!options.output.empty()) summary["file"] = options.output;
  if (context.json()) {
    fmt::print(context.out, "{}\n", base::JsonText(summary));
    return 0;
  }
  // Rows may be going to a pipe: what is said of them is for people.
  std::FILE* const says = options.output.empty() ? context.err : context.out;
  const std::string where = options.output.empty() ? "" : ", in " + options.output;
  if (scanned->stopped) {
    fmt::print(says, "{} as of epoch {}, as many as --limit allows{}\n",
               base::Counted(scanned->rows, "row"), summary.value("epoch", 0ULL), where);
    return 0;
  }
  fmt::print(says,
             "{} as of epoch {}: {} from the table (version {}, up to epoch {}), {} from the "
             "log{}\n",
             base::Counted(scanned->rows, "row"), summary.value("epoch", 0ULL),
             base::WithCommas(summary.value("rows_from_table", 0ULL)),
             summary.value("table_version", -1LL), summary.value("marker", 0ULL),
             base::WithCommas(summary.value("rows_from_log", 0ULL)), where);
  if (const uint64_t others = summary.value("files_of_others", 0ULL); others > 0)
    fmt::print(says,
               "  {} of the table {} other writers': their rows are no history of the log, and may "
               "have positions of ours\n",
               base::Counted(others, "data file"), others == 1 ? "is" : "are");
  return 0;
}

}  // namespace headrace::app

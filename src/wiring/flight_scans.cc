#include "wiring/flight_scans.h"

#include <fmt/format.h>

#include <utility>

namespace headrace::wiring {
namespace {

using base::Result;

class ScannedRows final : public ingest::FlightRows {
 public:
  explicit ScannedRows(std::unique_ptr<TableScan> scan) : scan_(std::move(scan)) {}

  const columns::SchemaRef& schema() const override { return scan_->schema(); }
  std::vector<std::pair<std::string, std::string>> metadata() const override {
    const tables::ScanFigures figures = scan_->figures();
    return {{"headrace.log", scan_->log().ToString()},
            {"headrace.epoch", std::to_string(figures.epoch.value)},
            {"headrace.table_version", std::to_string(figures.table_version)},
            {"headrace.marker", std::to_string(figures.marker.value)}};
  }
  Result<std::optional<columns::ColumnBatch>> Next() override { return scan_->Next(); }
  std::string Summary() const override {
    const tables::ScanFigures figures = scan_->figures();
    return fmt::format(
        R"({{"log":"{}","epoch":{},"table_version":{},"marker":{},"rows_from_table":{},)"
        R"("rows_from_log":{},"files":{},"files_left_out":{}}})",
        scan_->log().ToString(), figures.epoch.value, figures.table_version, figures.marker.value,
        figures.rows_from_table, figures.rows_from_log, figures.files, figures.files_left_out);
  }

 private:
  const std::unique_ptr<TableScan> scan_;
};

}  // namespace

Result<ingest::FlightReads::Offer> FlightScans::MakeOffer(const std::string& command) {
  HR_TRY(const tables::ScanRequest request, tables::ParseScanRequest(command));
  HR_TRY(TableScans::Fixed fixed, scans_.Fix(request));
  return Offer{tables::RenderScanRequest(fixed.request), std::move(fixed.schema)};
}

Result<std::unique_ptr<ingest::FlightRows>> FlightScans::Open(const std::string& ticket,
                                                              std::function<bool()> gone) {
  HR_TRY(const tables::ScanRequest request, tables::ParseScanRequest(ticket));
  HR_TRY(auto scan, scans_.Open(request, std::move(gone)));
  return std::make_unique<ScannedRows>(std::move(scan));
}

}  // namespace headrace::wiring

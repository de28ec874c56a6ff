#include "wiring/flight_scans.h"

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "pipeline/restricted_features.h"

namespace headrace::wiring {
namespace {

using access::Verb;
using base::ErrorCode;
using base::Fail;
using base::Result;

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::shared_ptr<arrow::Schema> SchemaWith(const columns::Schema& schema, Metadata metadata,
                                          const std::string& withheld) {
  if (!withheld.empty()) metadata.emplace_back("headrace.withheld", withheld);
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (auto& [key, value] : metadata) {
    keys.push_back(std::move(key));
    values.push_back(std::move(value));
  }
  return columns::ToArrowSchema(schema)->WithMetadata(
      arrow::key_value_metadata(std::move(keys), std::move(values)));
}

Metadata MetadataOf(const TableScan& scan) {
  const tables::ScanFigures figures = scan.figures();
  return {{"headrace.log", scan.log().ToString()},
          {"headrace.epoch", std::to_string(figures.epoch.value)},
          {"headrace.table_version", std::to_string(figures.table_version)},
          {"headrace.marker", std::to_string(figures.marker.value)}};
}

class ScannedRows final : public ingest::FlightRows {
 public:
  ScannedRows(std::unique_ptr<TableScan> scan, const std::string& withheld)
      : scan_(std::move(scan)),
        schema_(SchemaWith(*scan_->schema(), MetadataOf(*scan_), withheld)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Result<std::optional<ingest::FlightBatch>> Next() override {
    HR_TRY(const std::optional<columns::ColumnBatch> batch, scan_->Next());
    if (!batch) return std::nullopt;
    ingest::FlightBatch out;
    HR_TRY(out.rows, columns::ToArrow(*batch));
    return out;
  }
  std::string Summary() const override {
    const tables::ScanFigures figures = scan_->figures();
    return fmt::format(
        R"({{"log":"{}","epoch":{},"table_version":{},"marker":{},"rows_from_table":{},)"
        R"("rows_from_log":{},"files":{},"files_left_out":{},"files_of_others":{}}})",
        scan_->log().ToString(), figures.epoch.value, figures.table_version, figures.marker.value,
        figures.rows_from_table, figures.rows_from_log, figures.files, figures.files_left_out,
        figures.files_of_others);
  }

 private:
  const std::unique_ptr<TableScan> scan_;
  const std::shared_ptr<arrow::Schema> schema_;
};

std::unexpected<base::Error> Refused(const access::Caller& caller, std::string needs,
                                     std::string message) {
  return Fail(base::Error(ErrorCode::kUnauthorized, std::move(message))
                  .With("token", caller.name)
                  .With("needs", std::move(needs)));
}

// Names of a stream's restricted columns.
std::vector<std::string> Restricted(const pipeline::StreamDefinition& stream,
                                    const pipeline::RestrictedFeatures::Stream& restricted) {
  std::vector<std::string> names;
  for (size_t i = 0; i < restricted.columns.size(); ++i)
    if (restricted.columns[i]) names.push_back(stream.schema()->field(i).name);
  return names;
}

}  // namespace

Result<FlightScans::Allowed> FlightScans::Narrow(const std::string& json,
                                                 const access::CallerRef& caller) const {
  HR_TRY(tables::ScanRequest request, tables::ParseScanRequest(json));
  if (caller == nullptr) return Allowed{std::move(request), {}};
  if (!caller->scope.AllowsAll(Verb::kRead))
    return Refused(*caller, "read", "a scan needs `read` for all names");
  if (caller->scope.restricted()) return Allowed{std::move(request), {}};
  HR_TRY(std::vector<std::string> read, scans_.ColumnsRead(request));
  const pipeline::PipelineRef definition = definition_();
  const auto index = definition->StreamNamed(request.stream);
  if (!index) return Fail(ErrorCode::kUnavailable, "the definition is being changed: ask again");
  const pipeline::StreamDefinition& stream = definition->streams[*index];
  const auto restricted = pipeline::FindRestricted(*definition).streams[*index];
  if (restricted.rows)
    return Refused(*caller, "restricted",
                   fmt::format("which rows stream `{}` has depends on a restricted column, which "
                               "the scopes of this token do not allow",
                               stream.name));
  const std::vector<std::string> hidden = Restricted(stream, restricted);
  const auto is_hidden = [&](const std::string& name) {
    return std::ranges::find(hidden, name) != hidden.end();
  };
  std::string withheld;
  if (request.columns.empty() && !hidden.empty()) {
    withheld = fmt::format("{}", fmt::join(hidden, ", "));
    request.columns = std::move(read);
    std::erase_if(request.columns, is_hidden);
    HR_TRY(read, scans_.ColumnsRead(request));
  }
  if (const auto found = std::ranges::find_if(read, is_hidden); found != read.end())
    return Refused(*caller, "restricted",
                   fmt::format("column `{}` of `{}` is restricted, which the scopes of this token "
                               "do not allow: ask for the others, also in `where`",
                               *found, stream.name));
  return Allowed{std::move(request), std::move(withheld)};
}

Result<ingest::FlightReads::Offer> FlightScans::MakeOffer(const std::string& command,
                                                          const access::CallerRef& caller) {
  HR_TRY(const Allowed allowed, Narrow(command, caller));
  HR_TRY(const TableScans::Fixed fixed, scans_.Fix(allowed.request));
  return Offer{tables::RenderScanRequest(fixed.request),
               SchemaWith(*fixed.schema, {}, allowed.withheld)};
}

Result<std::unique_ptr<ingest::FlightRows>> FlightScans::Open(const std::string& ticket,
                                                              ingest::FlightCaller caller) {
  HR_TRY(const Allowed allowed, Narrow(ticket, caller.who));
  HR_TRY(auto scan, scans_.Open(allowed.request, std::move(caller.gone)));
  return std::make_unique<ScannedRows>(std::move(scan), allowed.withheld);
}

}  // namespace headrace::wiring

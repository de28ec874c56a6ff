#include "tables/scan/scan_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::json;

std::unexpected<base::Error> Wrong(const std::string& what) {
  return Fail(ErrorCode::kInvalidInput,
              what + R"(: a scan is {"scan":"STREAM"}, and may have "columns":["NAME",...], )"
                     R"("where":"EXPRESSION" and "epoch":N)");
}

Result<void> Take(const std::string& name, const Json& value, ScanRequest& request) {
  if (name == "scan" || name == "where") {
    if (!value.is_string()) return Wrong(fmt::format("`{}` is no text", name));
    (name == "scan" ? request.stream : request.where) = value.get<std::string>();
  } else if (name == "columns") {
    if (!value.is_array()) return Wrong("`columns` is no list");
    for (const Json& column : value) {
      if (!column.is_string()) return Wrong("a column's name is no text");
      request.columns.push_back(column.get<std::string>());
    }
    if (request.columns.empty()) return Wrong("`columns` names none");
  } else if (name == "epoch") {
    if (!value.is_number_unsigned()) return Wrong("`epoch` is no whole number");
    request.epoch = value.get<uint64_t>();
  } else {
    return Wrong(fmt::format("`{}` is not known", name));
  }
  return {};
}

}  // namespace

Result<ScanRequest> ParseScanRequest(std::string_view json) {
  if (json.size() > ScanRequest::kBytesMax)
    return Wrong(fmt::format("{} bytes, and {} are the most", json.size(), ScanRequest::kBytesMax));
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Wrong("no JSON object");
  ScanRequest request;
  for (const auto& [name, value] : document.items()) HR_TRY_VOID(Take(name, value, request));
  if (request.stream.empty()) return Wrong("no stream");
  return request;
}

std::string RenderScanRequest(const ScanRequest& request) {
  Json json = {{"scan", request.stream}};
  if (!request.columns.empty()) json["columns"] = request.columns;
  if (!request.where.empty()) json["where"] = request.where;
  if (request.epoch) json["epoch"] = *request.epoch;
  return base::JsonText(json);
}

}  // namespace headrace::tables

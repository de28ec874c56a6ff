#include "wiring/table_verbs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "base/time.h"
#include "protocols/problem.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::ordered_json;
using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

// Read on the I/O thread.
constexpr uint64_t kRequestBytesMax = 64U << 10;

std::unexpected<base::Error> Wrong(const char* what) {
  return Fail(ErrorCode::kInvalidInput, fmt::format("the body of the request: {}", what));
}

// An object; an empty body is one.
Result<Json> ObjectIn(std::string_view body) {
  if (body.empty()) return Json::object();
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong("it is no JSON object");
  return json;
}

Result<bool> FlagIn(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return false;
  if (found->is_boolean()) return found->get<bool>();
  return Wrong("a flag is true or false");
}

void Answer(HttpReply reply, Result<std::string> document) {
  reply.Send(document ? HttpResponse::Json(std::move(*document))
                      : protocols::ProblemResponse(document.error()));
}

std::string Text(const Json& json) { return base::JsonText(json); }

}  // namespace

Result<tables::OptimizeRequest> ParseOptimizeRequest(std::string_view body) {
  HR_TRY(const Json json, ObjectIn(body));
  tables::OptimizeRequest request;
  if (const auto where = json.find("where"); where != json.end()) {
    if (!where->is_string()) return Wrong("`where` is no text");
    request.where = where->get<std::string>();
  }
  if (const auto order = json.find("z_order"); order != json.end()) {
    if (!order->is_array()) return Wrong("`z_order` is no list of columns");
    for (const Json& column : *order) {
      if (!column.is_string()) return Wrong("`z_order` is no list of columns");
      request.z_order.push_back(column.get<std::string>());
    }
  }
  if (const auto target = json.find("target_bytes"); target != json.end()) {
    if (!target->is_number_unsigned()) return Wrong("`target_bytes` is no whole number");
    request.target_bytes = target->get<uint64_t>();
  }
  HR_TRY(const bool dry, FlagIn(json, "dry_run"));
  if (dry) request.run = tables::OptimizeRequest::Run::kDry;
  HR_TRY(const bool worthwhile, FlagIn(json, "worthwhile"));
  if (worthwhile) request.effort = tables::RewriteRequest::Effort::kWorthwhile;
  return request;
}

std::string OptimizeReportJson(const tables::OptimizeReport& report) {
  const tables::FileChoice& choice = report.choice;
  return Text({{"table_files", choice.table_files},
               {"table_bytes", choice.table_bytes},
               {"chosen",
                {{"files", choice.files},
                 {"bytes", choice.bytes},
                 {"rows", choice.rows},
                 {"versions", choice.plans.size()},
                 {"files_made", choice.files_made}}},
               {"left",
                {{"large_or_in_order", choice.good},
                 {"not_of_the_predicate", choice.unfitting},
                 {"waiting_for_more", choice.waiting},
                 {"of_other_writers", choice.others},
                 {"with_deleted_rows", choice.deletions}}},
               {"done",
                {{"versions", report.versions},
                 {"given_up", report.given_up},
                 {"split", report.split},
                 {"files_taken", report.files_taken},
                 {"bytes_taken", report.bytes_taken},
                 {"files_made", report.files_made},
                 {"bytes_made", report.bytes_made},
                 {"seconds", static_cast<double>(report.took.count()) / 1e6}}}});
}

Result<tables::VacuumRequest> ParseVacuumRequest(std::string_view body) {
  HR_TRY(const Json json, ObjectIn(body));
  tables::VacuumRequest request;
  if (const auto retain = json.find("retain_us"); retain != json.end()) {
    if (!retain->is_number_unsigned()) return Wrong("`retain_us` is no whole number");
    const auto us = retain->get<uint64_t>();
    if (us > static_cast<uint64_t>(base::Duration::max().count() / 4))
      return Wrong("`retain_us` is more than there is");
    request.retain = base::Duration(static_cast<int64_t>(us));
  }
  HR_TRY(const bool dry, FlagIn(json, "dry_run"));
  if (dry) request.run = tables::VacuumRequest::Run::kDry;
  HR_TRY(const bool below, FlagIn(json, "below_floor"));
  if (below) request.floor = tables::VacuumRequest::Floor::kWaived;
  return request;
}

std::string VacuumReportJson(const tables::VacuumReport& report) {
  Json listed = Json::array();
  for (const tables::VacuumReport::File& file : report.listed)
    listed.push_back({{"name", file.name},
                      {"bytes", file.bytes},
                      {"modified_at", base::FormatTimestamp(file.modified_at)}});
  return Text({{"retain", base::FormatDuration(report.retain)},
               {"files", report.files},
               {"bytes", report.bytes},
               {"kept_young", report.kept_young},
               {"listed", std::move(listed)}});
}

void MountTableVerbs(protocols::HttpRouter& router, Core& core) {
  router.Add(HttpMethod::kPost, "/tables/{table}/optimize",
             [&core](const HttpRequest& request, HttpReply reply) {
               auto asked = ParseOptimizeRequest(request.body);
               if (!asked) return Answer(std::move(reply), Fail(std::move(asked).error()));
               core.OptimizeTable(
                   std::string(request.Parameter("table")), std::move(*asked),
                   [reply = std::move(reply)](Result<tables::OptimizeReport> report) mutable {
                     Answer(std::move(reply), report
                                                  ? Result<std::string>(OptimizeReportJson(*report))
                                                  : Fail(std::move(report).error()));
                   });
             });
  router.Add(HttpMethod::kPost, "/tables/{table}/vacuum",
             [&core](const HttpRequest& request, HttpReply reply) {
               auto asked = ParseVacuumRequest(request.body);
               if (!asked) return Answer(std::move(reply), Fail(std::move(asked).error()));
               core.VacuumTable(
                   std::string(request.Parameter("table")), *asked,
                   [reply = std::move(reply)](Result<tables::VacuumReport> report) mutable {
                     Answer(std::move(reply), report
                                                  ? Result<std::string>(VacuumReportJson(*report))
                                                  : Fail(std::move(report).error()));
                   });
             });
  for (const char* path : {"/tables/{table}/optimize", "/tables/{table}/vacuum"})
    router.LimitBody(HttpMethod::kPost, path, kRequestBytesMax);
}

}  // namespace headrace::wiring

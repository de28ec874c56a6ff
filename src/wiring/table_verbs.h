#pragma once
// What is asked of a running engine's tables: POST /tables/{table}/optimize and
// POST /tables/{table}/vacuum. Both answer when the work is done, which may take long.

#include <string>
#include <string_view>

#include "base/result.h"
#include "protocols/http_router.h"
#include "tables/maintenance/table_rewriter.h"
#include "wiring/engine.h"

namespace headrace::wiring {

// Core outlives the router.
void MountTableVerbs(protocols::HttpRouter& router, Core& core);

// {"where", "z_order": [..], "target_bytes", "dry_run", "worthwhile"}: all may be absent. Errors:
// kInvalidInput.
base::Result<tables::OptimizeRequest> ParseOptimizeRequest(std::string_view body);
std::string OptimizeReportJson(const tables::OptimizeReport& report);

// {"retain_us", "below_floor", "dry_run"}.
base::Result<tables::VacuumRequest> ParseVacuumRequest(std::string_view body);
std::string VacuumReportJson(const tables::VacuumReport& report);

}  // namespace headrace::wiring

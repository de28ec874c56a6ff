#pragma once
// What each route needs of a caller, in one table.

#include "protocols/http_router.h"

namespace headrace::wiring {

// For all routes of the router, whoever mounted them; those that the table does not name need
// `admin`.
void SetRouteNeeds(protocols::HttpRouter& router);

}  // namespace headrace::wiring

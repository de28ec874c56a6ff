#pragma once
// The closed loop over Arrow Flight: a thread and a DoPut for each producer.

#include <cstdint>

#include "load.h"

namespace headrace::bench {

Outcome RunFlightPut(const Load& load, uint16_t port);

}  // namespace headrace::bench

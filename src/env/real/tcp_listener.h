#pragma once
// Accepts on the first loop and deals connections to all of them in turn.

#include <memory>
#include <vector>

#include "env/network.h"
#include "env/real/io_loop.h"

namespace headrace::env::real {

// Listens on `host` and `port` (0: the system chooses) on `loops`, which outlive it. Errors as
// Network::Listen.
base::Result<std::unique_ptr<Listener>> ListenOn(std::vector<std::shared_ptr<IoLoop>> loops,
                                                 const std::string& host, uint16_t port,
                                                 ConnectionLimits limits, SessionFactory factory);

}  // namespace headrace::env::real

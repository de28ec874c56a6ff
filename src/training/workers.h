#pragma once
// Work that is cut into numbered pieces, done by a few executors.

#include <cstddef>
#include <functional>

#include "base/result.h"
#include "env/environment.h"

namespace headrace::training {

// Calls `piece(i)` for each i < `count`, on `workers` executors (0: on this thread, as a simulation
// needs) and returns when all are done: with the error of the lowest failed number, if there was
// one. Pieces may run in any order and at once, and wait while the engine is pressed
// (training/engine_pauses.h).
base::Result<void> InPieces(env::Environment& environment, size_t workers, size_t count,
                            const std::function<base::Result<void>(size_t)>& piece);

}  // namespace headrace::training

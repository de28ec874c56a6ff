#pragma once
// What `train` and `verify` say while they wait for an engine's real-time stages.

#include "commands.h"
#include "env/environment.h"
#include "training/engine_pauses.h"

namespace headrace::app {

// Prints to `context.err`, which outlives the pauses.
training::EnginePauses::Said SayPauses(const CommandContext& context);
// Seconds that this process's work waited, all its threads together.
double WaitedSeconds(env::Environment& environment);
// A line about that, when it waited at all.
void PrintWaited(const CommandContext& context, env::Environment& environment);

}  // namespace headrace::app

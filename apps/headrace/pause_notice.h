#pragma once
// What `train` and `verify` say while they wait for an engine's real-time stages.

#include "commands.h"
#include "env/environment.h"
#include "training/engine_pauses.h"
#include "work_notice.h"

namespace headrace::app {

// By `notice`, which outlives the pauses.
training::EnginePauses::Said SayPauses(WorkNotice& notice);
// Seconds that this process's work waited, all its threads together.
double WaitedSeconds(env::Environment& environment);
// A line about that, when it waited at all.
void PrintWaited(const CommandContext& context, env::Environment& environment);

}  // namespace headrace::app

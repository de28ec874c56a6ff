#include "pause_notice.h"

#include <fmt/core.h>

#include <chrono>

namespace headrace::app {

training::EnginePauses::Said SayPauses(WorkNotice& notice) {
  return [&notice](const std::string& why) {
    notice.Say(why.empty()
                   ? "going on"
                   : fmt::format("waiting for the engine, whose answers come first: {}", why));
  };
}

double WaitedSeconds(env::Environment& environment) {
  const env::WorkClassFigures figures =
      environment.background().Figures(env::WorkClass::kTraining, environment.clock().Now());
  return std::chrono::duration<double>(figures.waited_total).count();
}

void PrintWaited(const CommandContext& context, env::Environment& environment) {
  const double waited = WaitedSeconds(environment);
  if (waited > 0)
    fmt::print(context.out, "  waited  {:.1f} s for the engine's real-time stages\n", waited);
}

}  // namespace headrace::app

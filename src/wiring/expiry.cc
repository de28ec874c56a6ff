#include "wiring/expiry.h"

#include <algorithm>

#include "tables/publish/plan.h"
#include "wiring/root_stream.h"

namespace headrace::wiring {
Expiry::Expiry(env::Environment& environment, log::Sequencer& sequencer, Applier& applier,
               const base::MemoryBudget& budget, const pipeline::PipelineDefinition& definition)
    : environment_(environment),
      sequencer_(sequencer),
      applier_(applier),
      budget_(budget),
      stream_(definition.clock == log::ClockMode::kEvents ? "" : RootStreamOf(definition)),
      executor_(environment.NewExecutor("expiry", env::Priority::kBackground)) {
  const std::lock_guard lock(mutex_);
  LookAgain();
}

Expiry::~Expiry() { Close(); }

void Expiry::Close() {
  std::unique_ptr<env::Executor> ending;
  const std::lock_guard lock(mutex_);
  ending = std::move(executor_);
}

void Expiry::LookAgain() {
  executor_->PostAt(environment_.clock().Now() + wait_, [this] {
    const uint64_t spare = budget_.spare_bytes();
    const bool is_full = budget_.IsNearlyFull();
    wait_ = is_full && spare <= spare_ ? std::min(2 * wait_, kSeldom) : kEvery;
    spare_ = is_full ? spare : 0;
    if (is_full) MakeRoom();
    const std::lock_guard lock(mutex_);
    if (executor_ != nullptr) LookAgain();
  });
}

void Expiry::MakeRoom() {
  if (stream_.empty()) return applier_.FreeRetired();
  sequencer_.Append(tables::SealingEntry(stream_), [](const base::Result<base::EpochId>&) {});
}

}  // namespace headrace::wiring

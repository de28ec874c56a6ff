#include "wiring/token_watch.h"

#include <chrono>

#include "base/log.h"
#include "env/end_executor.h"

namespace headrace::wiring {
namespace {

constexpr std::chrono::seconds kLookEvery{1};

}  // namespace

TokenWatch::TokenWatch(env::Environment& environment, access::AccessList& list)
    : clock_(environment.clock()),
      list_(list),
      executor_(environment.NewExecutor("tokens", env::Priority::kBackground)) {
  executor_->Post([this] { Look(); });
}

TokenWatch::~TokenWatch() { env::EndExecutor(executor_); }

// A file that can't be read leaves what is in force: whoever edits it may be half-way.
void TokenWatch::Look() {
  const auto changed = list_.Reload();
  if (changed && *changed) base::LogInfo("wiring.tokens_read", {});
  const std::string error = changed ? std::string() : changed.error().ToString();
  if (!error.empty() && error != said_)
    base::LogWarning("wiring.tokens_not_read", {{"error", error}, {"in_force", "those before"}});
  said_ = error;
  executor_->PostAt(clock_.Now() + kLookEvery, [this] { Look(); });
}

}  // namespace headrace::wiring

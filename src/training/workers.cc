#include "training/workers.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "training/engine_pauses.h"

namespace headrace::training {

base::Result<void> InPieces(env::Environment& environment, size_t workers, size_t count,
                            const std::function<base::Result<void>(size_t)>& piece) {
  std::vector<std::optional<base::Error>> errors(count);
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    auto pass = TrainingPass(environment);
    for (size_t i = next.fetch_add(1); i < count && !failed; i = next.fetch_add(1)) {
      pass.Wait();
      auto done = piece(i);
      if (done) continue;
      errors[i] = std::move(done).error();
      failed = true;
    }
  };
  if (workers == 0) {
    work();
  } else {
    std::vector<std::unique_ptr<env::Executor>> executors;
    for (size_t i = 0; i < workers; ++i) {
      executors.push_back(
          environment.NewExecutor("offline-" + std::to_string(i), env::Priority::kBackground));
      executors.back()->Post(work);
    }
    executors.clear();  // each ends after what was posted
  }
  for (std::optional<base::Error>& error : errors)
    if (error) return base::Fail(std::move(*error));
  return {};
}

}  // namespace headrace::training

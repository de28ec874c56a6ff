#pragma once
// The first line of the status: is it well, and if not, what is worst and what helps.

#include <string>
#include <string_view>
#include <vector>

#include "plan/budget.h"
#include "watch/status_document.h"

namespace headrace::watch {

struct StatusVerdict {
  enum class State : uint8_t {
    kHealthy,
    kSlipping,  // it works, and something is late, short or failing
    kStopped,   // something that was asked for does not happen any more
  };
  struct Finding {
    State state = State::kSlipping;
    std::string what;
    std::string next;  // what helps
  };
  State state = State::kHealthy;
  std::string says;               // the worst, or the figures of what is well
  std::vector<Finding> findings;  // the worst first
};
std::string_view NameOf(StatusVerdict::State state);  // "healthy" ...

// The promise held against what was measured.
struct JudgedPromise {
  plan::PromiseVerdict recent;  // what the verdict goes by
  plan::PromiseVerdict since_start;
};
JudgedPromise JudgePromise(const StatusFigures& figures, const plan::LatencyBudget& budget);

StatusVerdict VerdictOf(const StatusFigures& figures, const JudgedPromise& promise);

}  // namespace headrace::watch

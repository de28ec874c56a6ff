#pragma once
// Questions about the past over the Redis protocol: FEATURES.EXPLAIN, FEATURES.LAST, and
// FEATURES.GET with AS_OF_EPOCH.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "access/access_list.h"
#include "base/ids.h"
#include "base/result.h"
#include "protocols/resp_server.h"
#include "serving/answer.h"
#include "serving/resp/commands.h"

namespace headrace::serving {

struct PastFeatures {
  FeatureAnswer answer;
  std::string source;   // "state", "table"
  std::string because;  // why the table; empty
};

// Who answers: whoever sees the tables, too. Thread-safe. `done` runs once: at once, or on a thread
// that such questions wait for.
class PastQuestions {
 public:
  using Document = std::move_only_function<void(base::Result<std::string>)>;
  using Features = std::move_only_function<void(base::Result<PastFeatures>)>;
  // As of FEATURES.GET; its service, inputs, as_of and caller are looked at.
  struct At {
    FeatureQuery query;
    base::EpochId epoch;
    std::optional<std::chrono::milliseconds> deadline;  // nothing: as long as over HTTP
  };

  virtual ~PastQuestions() = default;
  // The body of POST /explain, and its answer. Errors: those of the verb; kResourceExhausted.
  virtual void Explain(std::string body, access::CallerRef caller, Document done) = 0;
  // Of POST /last-events.
  virtual void LastEvents(std::string body, access::CallerRef caller, Document done) = 0;
  virtual void FeaturesAt(At at, Features done) = 0;
};

// Of one connection; on its I/O thread.
class PastCommands {
 public:
  explicit PastCommands(const RespVerbs& verbs) : verbs_(verbs) {}
  // Answers, or will, when the command is FEATURES.EXPLAIN or FEATURES.LAST. Names and counts of
  // arguments were looked at.
  bool Run(const RespCommandRow& command, const access::CallerRef& caller,
           protocols::RespCall& call);
  // FEATURES.GET with AS_OF_EPOCH.
  void FeaturesAt(PastQuestions::At at, protocols::RespCall& call);

 private:
  const RespVerbs& verbs_;
};

}  // namespace headrace::serving

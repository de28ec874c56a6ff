#pragma once
// Events of which nothing was known yet when their push was answered, by the token that was given
// for them.

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "env/environment.h"
#include "serving/push/push.h"

namespace headrace::serving {

// Thread-safe. The oldest is forgotten when there are tokens_max; all are with the process.
class PushTokens {
 public:
  PushTokens(env::Environment& environment, size_t tokens_max);

  // Random, so that nobody can tell another event's from it.
  std::string New();
  // What became of it. Nothing happens when it was forgotten.
  void Settle(const std::string& token, base::Result<ingest::IngestOutcome> outcome);
  // Errors: kNotFound.
  base::Result<PushedLater> Ask(std::string_view token) const;

 private:
  env::Environment& environment_;
  const size_t tokens_max_;
  mutable std::mutex mutex_;  // guards the rest
  std::map<std::string, PushedLater, std::less<>> events_;
  std::deque<std::string> in_order_;
};

}  // namespace headrace::serving

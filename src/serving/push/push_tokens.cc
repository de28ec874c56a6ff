#include "serving/push/push_tokens.h"

#include <array>

#include "base/hex.h"

namespace headrace::serving {
namespace {

constexpr size_t kTokenBytes = 16;

}  // namespace

PushTokens::PushTokens(env::Environment& environment, size_t tokens_max)
    : environment_(environment), tokens_max_(tokens_max) {}

std::string PushTokens::New() {
  std::array<uint8_t, kTokenBytes> random{};
  environment_.Random(random);
  std::string token;
  base::AppendHex(random, token);
  const std::lock_guard lock(mutex_);
  if (in_order_.size() >= tokens_max_) {
    events_.erase(in_order_.front());
    in_order_.pop_front();
  }
  in_order_.push_back(token);
  events_.emplace(token, PushedLater());
  return token;
}

void PushTokens::Settle(const std::string& token, base::Result<ingest::IngestOutcome> outcome) {
  const std::lock_guard lock(mutex_);
  const auto found = events_.find(token);
  if (found == events_.end()) return;
  found->second.pending = false;
  found->second.outcome = std::move(outcome);
}

base::Result<PushedLater> PushTokens::Ask(std::string_view token) const {
  const std::lock_guard lock(mutex_);
  const auto found = events_.find(token);
  if (found == events_.end())
    return base::Fail(base::ErrorCode::kNotFound,
                      "no event is known by this token: it is of another start, or was forgotten. "
                      "Send the event again with its idempotency key or sequence: a repeat gets "
                      "the first answer");
  return found->second;
}

}  // namespace headrace::serving

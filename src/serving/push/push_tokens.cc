#include "serving/push/push_tokens.h"

#include <array>

#include <fmt/format.h>

namespace headrace::serving {
namespace {

std::string LifeOf(env::Environment& environment) {
  std::array<uint8_t, 8> random{};
  environment.Random(random);
  std::string text;
  for (const uint8_t byte : random) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

PushTokens::PushTokens(env::Environment& environment, size_t tokens_max)
    : environment_(environment), tokens_max_(tokens_max) {}

std::string PushTokens::New() {
  const std::lock_guard lock(mutex_);
  if (life_.empty()) life_ = LifeOf(environment_);
  std::string token = fmt::format("{}-{}", life_, ++next_);
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

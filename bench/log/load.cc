#include "load.h"

#include <algorithm>

namespace headrace::bench {
namespace {

double Percentile(const std::vector<double>& ordered, double share) {
  const auto at = static_cast<size_t>(static_cast<double>(ordered.size()) * share);
  return ordered[std::min(ordered.size() - 1, at)];
}

}  // namespace

bool Outcome::Ended(SteadyClock::time_point now, size_t batches_wanted) const {
  constexpr std::chrono::seconds kPatience{20};
  if (now < ends_at_) return false;
  return latencies_ms_.size() >= batches_wanted || now >= ends_at_ + kPatience;
}

void Outcome::Acknowledged(SteadyClock::time_point sent, SteadyClock::time_point now) {
  if (now < counts_from_) return;
  last_at_ = std::max(last_at_, now);
  latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - sent).count());
}

void Outcome::Failed(std::string reason) {
  if (error_.empty()) error_ = std::move(reason);
}

void Outcome::Merge(const Outcome& other) {
  latencies_ms_.insert(latencies_ms_.end(), other.latencies_ms_.begin(), other.latencies_ms_.end());
  last_at_ = std::max(last_at_, other.last_at_);
  if (other.failed()) Failed(other.error_);
}

bool Outcome::Print(const Load& load, std::FILE* out) const {
  if (failed() || latencies_ms_.empty()) {
    std::fprintf(stderr, "%s\n", failed() ? error_.c_str() : "nothing was acknowledged in time");
    return false;
  }
  std::vector<double> ordered = latencies_ms_;
  std::sort(ordered.begin(), ordered.end());
  const auto events = static_cast<double>(ordered.size() * load.batch_events);
  const std::chrono::duration<double> took = last_at_ - counts_from_;
  std::fprintf(out,
               R"({"batches":%zu,"events_per_s":%.1f,"p50_ms":%.4f,"p99_ms":%.4f,"worst_ms":%.4f})"
               "\n",
               ordered.size(), events / took.count(), Percentile(ordered, 0.5),
               Percentile(ordered, 0.99), ordered.back());
  return true;
}

}  // namespace headrace::bench

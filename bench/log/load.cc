#include "load.h"

#include <algorithm>

namespace headrace::bench {
namespace {

double Percentile(const std::vector<double>& ordered, double share) {
  const auto at = static_cast<size_t>(static_cast<double>(ordered.size()) * share);
  return ordered[std::min(ordered.size() - 1, at)];
}

}  // namespace

void Outcome::Acknowledged(SteadyClock::time_point sent, SteadyClock::time_point now) {
  if (now < counts_from_ || now >= ends_at_) return;
  latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - sent).count());
}

void Outcome::Failed(std::string reason) {
  if (error_.empty()) error_ = std::move(reason);
}

void Outcome::Merge(const Outcome& other) {
  latencies_ms_.insert(latencies_ms_.end(), other.latencies_ms_.begin(), other.latencies_ms_.end());
  if (other.failed()) Failed(other.error_);
}

bool Outcome::Print(const Load& load, std::FILE* out) const {
  if (failed() || latencies_ms_.empty()) {
    std::fprintf(stderr, "%s\n", failed() ? error_.c_str() : "nothing was acknowledged in time");
    return false;
  }
  std::vector<double> ordered = latencies_ms_;
  std::sort(ordered.begin(), ordered.end());
  const auto batches = static_cast<double>(ordered.size());
  std::fprintf(out,
               R"({"batches":%zu,"events_per_s":%.1f,"p50_ms":%.4f,"p99_ms":%.4f,"worst_ms":%.4f})"
               "\n",
               ordered.size(),
               batches * static_cast<double>(load.batch_events) / load.measured.count(),
               Percentile(ordered, 0.5), Percentile(ordered, 0.99), ordered.back());
  return true;
}

}  // namespace headrace::bench

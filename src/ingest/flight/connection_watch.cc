#include "ingest/flight/connection_watch.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "env/end_executor.h"

namespace headrace::ingest {
namespace {

using env::PortConnection;

constexpr uint64_t kPrefaceBytes = 24;  // RFC 9113, 3.4; a TLS greeting is longer
constexpr int kShare = 50;
constexpr int kCalm = 10;      // looks are so many times rarer while half of all limits is free
constexpr int kOverPart = 20;  // of the budget: what is measured, and not charged, wavers by it
constexpr std::chrono::seconds kSaidEvery{60};

class RunningWatch final : public ConnectionWatch {
 public:
  RunningWatch(env::Environment& environment, const base::MemoryBudget& budget,
               const ConnectionWatchOptions& options)
      : clock_(environment.clock()),
        budget_(budget),
        options_(options),
        rules_(options.connections_max),
        executor_(environment.NewExecutor("flight-ports", env::Priority::kRealTime)) {
    executor_->Post([this] { Look(); });
  }
  ~RunningWatch() override { env::EndExecutor(executor_); }

 private:
  void Look() {
    const env::MonotonicTime begin = clock_.Now();
    const std::vector<PortConnection> open = env::FindPortConnections(options_.port);
    const uint64_t held = budget_.used_bytes() + budget_.uncharged_bytes();
    const uint64_t limit = budget_.limit_bytes();
    const bool over = held > limit + limit / kOverPart;
    const bool calm = held < limit / 2 && open.size() < options_.connections_max / 2;
    using Memory = ConnectionRules::Memory;
    for (const PortConnection& each : rules_.Unwanted(open, over ? Memory::kOver : Memory::kFits))
      if (env::ShutDown(each)) ++(over ? for_memory_ : one_too_many_);
    const env::MonotonicTime end = clock_.Now();
    Say(open.size(), end);
    const env::MonotonicTime pause = over ? env::MonotonicTime(0) : (end - begin) * kShare;
    const env::MonotonicTime every = options_.look_every * (calm ? kCalm : 1);
    executor_->PostAt(end + std::max(every, pause), [this] { Look(); });
  }
  void Say(size_t open, env::MonotonicTime now) {
    if (one_too_many_ + for_memory_ == 0 || now < said_at_ + kSaidEvery) return;
    said_at_ = now;
    base::LogWarning(
        "ingest.flight_connections_closed",
        {{"one_too_many", std::to_string(std::exchange(one_too_many_, 0))},
         {"over_the_memory_budget", std::to_string(std::exchange(for_memory_, 0))},
         {"open", std::to_string(open)},
         {"connections_max", std::to_string(options_.connections_max)},
         {"how", "let clients share connections, close idle ones, send smaller batches"}});
  }

  env::Clock& clock_;
  const base::MemoryBudget& budget_;
  const ConnectionWatchOptions options_;
  ConnectionRules rules_;
  uint64_t one_too_many_ = 0;  // closed since it was said
  uint64_t for_memory_ = 0;
  env::MonotonicTime said_at_ = -env::MonotonicTime(kSaidEvery);
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace

std::vector<PortConnection> ConnectionRules::Unwanted(std::span<const PortConnection> open,
                                                      Memory memory) {
  std::vector<PortConnection> unwanted;
  std::map<uint64_t, uint64_t> received;
  uint64_t most = kLargeBytes;
  const PortConnection* largest = nullptr;
  for (const PortConnection& each : open) {
    const auto before = received_.find(each.cookie);
    const uint64_t sent = each.received_bytes - (before == received_.end() ? 0 : before->second);
    received[each.cookie] = each.received_bytes;
    if (sent <= most) continue;
    most = sent;
    largest = &each;
  }
  received_ = std::move(received);
  if (memory == Memory::kOver && largest != nullptr) unwanted.push_back(*largest);
  if (open.size() <= connections_max_) return unwanted;
  std::vector<PortConnection> silent(open.begin(), open.end());
  std::ranges::sort(silent, std::ranges::greater(), [](const PortConnection& each) {
    const uint32_t silent_ms = each.silent_ms < kMoment ? 0 : each.silent_ms;
    return std::tuple(each.received_bytes < kPrefaceBytes, silent_ms, ~each.received_bytes,
                      each.silent_ms);
  });
  silent.resize(silent.size() - connections_max_);
  unwanted.insert(unwanted.end(), silent.begin(), silent.end());
  return unwanted;
}

std::unique_ptr<ConnectionWatch> ConnectionWatch::Make(env::Environment& environment,
                                                       const base::MemoryBudget& budget,
                                                       const ConnectionWatchOptions& options) {
  return std::make_unique<RunningWatch>(environment, budget, options);
}

}  // namespace headrace::ingest

#include "wiring/tls_ports.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "env/end_executor.h"
#include "env/file_rights.h"

namespace headrace::wiring {
namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr std::chrono::hours kSayExpiryEvery{24};

std::string DaysLeft(base::Duration left) {
  return std::to_string(std::chrono::floor<std::chrono::hours>(left).count() / 24);
}

}  // namespace

base::Result<std::unique_ptr<TlsPorts>> TlsPorts::Open(env::Environment& environment,
                                                       base::MemoryBudget& budget,
                                                       protocols::TlsFiles files) {
  HR_TRY(auto identity, protocols::TlsIdentity::Open(environment.files(), environment.clock(),
                                                     std::move(files), env::OthersMayRead));
  auto ports = std::unique_ptr<TlsPorts>(new TlsPorts(environment, budget, std::move(identity)));
  ports->SayExpiry();
  return ports;
}

// Open connections go first: whoever makes a new one has to wait for a CPU.
TlsPorts::TlsPorts(env::Environment& environment, base::MemoryBudget& budget,
                   std::unique_ptr<protocols::TlsIdentity> identity)
    : environment_(environment),
      identity_(std::move(identity)),
      handshakes_(environment.NewExecutor("tls", env::Priority::kBackground)),
      serving_{.identity = *identity_,
               .clock = environment.clock(),
               .budget = budget,
               .handshakes = *handshakes_} {}

void TlsPorts::StartLooking(Renew renew) {
  renew_ = std::move(renew);
  looking_ = environment_.NewExecutor("tls-files", env::Priority::kBackground);
  looking_->Post([this] { Look(); });
}

void TlsPorts::StopLooking() {
  if (looking_ != nullptr) env::EndExecutor(looking_);
}

void TlsPorts::Look() {
  const auto changed = identity_->Reload();
  if (changed && *changed) SayNew();
  if ((changed && *changed) || !figures().flight_problem.empty()) RenewOthers();
  SayProblem(changed ? std::string() : changed.error().ToString());
  SayExpiry();
  looking_->PostAt(environment_.clock().Now() + kLookEvery, [this] { Look(); });
}

void TlsPorts::SayNew() {
  const auto figures = identity_->figures();
  base::LogInfo("wiring.tls_read",
                {{"subject", figures.certificate.subject},
                 {"valid_until", base::FormatTimestamp(figures.certificate.not_after)}});
  expiry_said_ = {};
}

// A failure leaves nobody at the port: it is tried again at every look.
void TlsPorts::RenewOthers() {
  const auto renewed = renew_(identity_->texts());
  if (!renewed)
    base::LogError("wiring.tls_flight_not_renewed",
                   {{"error", renewed.error().ToString()}, {"how", "it is tried again"}});
  const std::lock_guard lock(mutex_);
  flight_problem_ = renewed ? std::string() : renewed.error().ToString();
}

// Whoever replaces two files has replaced one of them first: only what is there at the next look
// too is a problem.
void TlsPorts::SayProblem(const std::string& problem) {
  const bool stays = !problem.empty() && problem == seen_;
  seen_ = problem;
  if (problem.empty()) said_.clear();
  if (!stays || problem == said_) return;
  base::LogWarning("wiring.tls_not_read", {{"error", problem}, {"in_force", "the pair before"}});
  said_ = problem;
}

void TlsPorts::SayExpiry() {
  const auto figures = identity_->figures();
  const env::MonotonicTime now = environment_.clock().Now();
  if (figures.left >= protocols::kExpiryNotice) return;
  if (expiry_said_ != env::MonotonicTime(0) && now - expiry_said_ < kSayExpiryEvery) return;
  expiry_said_ = now;
  const bool over = figures.left < base::Duration(0);
  base::LogWarning(over ? "wiring.tls_expired" : "wiring.tls_expires_soon",
                   {{"file", identity_->paths().certificate},
                    {"valid_until", base::FormatTimestamp(figures.certificate.not_after)},
                    {"days_left", DaysLeft(figures.left)},
                    {"how",
                     "put a new certificate and key in the files: they are read without a "
                     "restart"}});
}

watch::TlsFigures TlsPorts::figures() const {
  const auto identity = identity_->figures();
  const auto count = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  const std::lock_guard lock(mutex_);
  return {.subject = identity.certificate.subject,
          .valid_until = identity.certificate.not_after,
          .left = identity.left,
          .notice = protocols::kExpiryNotice,
          .asks_clients = identity_->asks_clients(),
          .loaded = identity.loaded,
          .problem = identity.problem,
          .flight_problem = flight_problem_,
          .handshakes_under_way = serving_.under_way.size(),
          .handshakes_done = count(serving_.done),
          .resumed = count(serving_.resumed),
          .failed = count(serving_.failed),
          .turned_away = count(serving_.turned_away),
          .plain_clients = count(serving_.plain_clients)};
}

}  // namespace headrace::wiring

#pragma once
// TLS of an engine's ports: its certificate, read again when its files change, the thread of
// handshakes, and what the status says of both.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "env/environment.h"
#include "protocols/tls_identity.h"
#include "protocols/tls_serving.h"
#include "watch/tls_figures.h"

namespace headrace::wiring {

// Made before the servers that use serving(), and destroyed after them.
class TlsPorts {
 public:
  // Errors: those of TlsIdentity::Open.
  static base::Result<std::unique_ptr<TlsPorts>> Open(env::Environment& environment,
                                                      base::MemoryBudget& budget,
                                                      protocols::TlsFiles files);
  ~TlsPorts() { StopLooking(); }

  protocols::TlsServing& serving() { return serving_; }
  protocols::TlsTexts texts() const { return identity_->texts(); }
  bool asks_clients() const { return identity_->asks_clients(); }
  // Looks at the files once a second from now on, on a thread of its own. What changed is in force
  // for HTTP and RESP at once; `renew` (on that thread) takes it to whoever speaks TLS themselves.
  using Renew = std::function<base::Result<void>(const protocols::TlsTexts&)>;
  void StartLooking(Renew renew);
  // Returns when `renew` no longer runs. Idempotent.
  void StopLooking();
  // Any thread.
  watch::TlsFigures figures() const;

 private:
  TlsPorts(env::Environment& environment, base::MemoryBudget& budget,
           std::unique_ptr<protocols::TlsIdentity> identity);
  void Look();
  void SayNew();
  void RenewOthers();
  void SayProblem(const std::string& problem);
  void SayExpiry();

  env::Environment& environment_;
  const std::unique_ptr<protocols::TlsIdentity> identity_;
  const std::unique_ptr<env::Executor> handshakes_;
  protocols::TlsServing serving_;
  Renew renew_;
  std::string seen_;  // the problem of the last look
  std::string said_;  // the one that was logged last
  env::MonotonicTime expiry_said_{0};
  mutable std::mutex mutex_;
  std::string flight_problem_;
  std::unique_ptr<env::Executor> looking_;
};

}  // namespace headrace::wiring

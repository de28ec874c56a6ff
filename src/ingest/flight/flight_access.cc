#include "ingest/flight/flight_access.h"

#include <arrow/flight/server.h>
#include <arrow/flight/server_middleware.h>

#include <atomic>
#include <string>

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using access::Verb;

// `version`: of the list, before the caller was found there.
class KnownCaller final : public flight::ServerMiddleware {
 public:
  KnownCaller(const access::AccessList& list, std::string_view token, uint64_t version,
              access::CallerRef caller)
      : list_(list), token_(token), caller_(std::move(caller)), version_(version) {}
  const access::CallerRef& caller() const { return caller_; }
  base::Result<void> CheckToken() const {
    const uint64_t now = list_.version();
    if (now == version_.load(std::memory_order_relaxed)) return {};
    const access::CallerRef found = list_.Find(token_);
    if (found == nullptr)
      return base::Fail(base::ErrorCode::kUnauthorized, "a token that nobody has any more");
    if (found->scope.ToString() != caller_->scope.ToString())
      return base::Fail(base::ErrorCode::kUnauthorized,
                        "token " + found->name + " may do other things by now: begin a new call");
    version_.store(now, std::memory_order_relaxed);
    return {};
  }
  std::string name() const override { return kFlightAccess; }
  void SendingHeaders(flight::AddCallHeaders* /*headers*/) override {}
  void CallCompleted(const arrow::Status& /*status*/) override {}

 private:
  const access::AccessList& list_;
  const std::string token_;
  const access::CallerRef caller_;
  mutable std::atomic<uint64_t> version_;  // of the list when it had them last
};

const KnownCaller* KnownTo(const flight::ServerCallContext& context) {
  return static_cast<const KnownCaller*>(context.GetMiddleware(kFlightAccess));
}

// What the scopes lack for the method; nullptr when nothing.
const char* Lacks(const access::Scope& scope, flight::FlightMethod method) {
  switch (method) {
    case flight::FlightMethod::DoPut:
    case flight::FlightMethod::DoAction: return scope.AllowsSome(Verb::kPush) ? nullptr : "push";
    case flight::FlightMethod::ListFlights:
    case flight::FlightMethod::GetFlightInfo:
    case flight::FlightMethod::GetSchema:
    case flight::FlightMethod::ListActions:
    case flight::FlightMethod::PollFlightInfo: return nullptr;
    case flight::FlightMethod::DoGet:
    case flight::FlightMethod::DoExchange: return scope.AllowsSome(Verb::kRead) ? nullptr : "read";
    default: break;
  }
  return scope.ReadsEverything() ? nullptr : "read,restricted";
}

class Access final : public flight::ServerMiddlewareFactory {
 public:
  explicit Access(const access::AccessList& list) : list_(list) {}

  arrow::Status StartCall(const flight::CallInfo& info, const flight::ServerCallContext& context,
                          std::shared_ptr<flight::ServerMiddleware>* middleware) override {
    const auto shown = context.incoming_headers().equal_range("authorization");
    if (shown.first == shown.second || std::next(shown.first) != shown.second)
      return flight::MakeFlightError(flight::FlightStatusCode::Unauthenticated,
                                     "this needs one token: send the header authorization: Bearer "
                                     "TOKEN");
    const std::string_view token = access::BearerToken(shown.first->second);
    const uint64_t version = list_.version();
    access::CallerRef caller = list_.Find(token);
    if (caller == nullptr)
      return flight::MakeFlightError(flight::FlightStatusCode::Unauthenticated,
                                     "a token that nobody has, or has any more");
    if (const char* lacks = Lacks(caller->scope, info.method))
      return flight::MakeFlightError(
          flight::FlightStatusCode::Unauthorized,
          "the scopes of token " + caller->name + " do not allow it: it needs " + lacks);
    *middleware = std::make_shared<KnownCaller>(list_, token, version, std::move(caller));
    return arrow::Status::OK();
  }

 private:
  const access::AccessList& list_;
};

}  // namespace

std::shared_ptr<flight::ServerMiddlewareFactory> MakeFlightAccess(const access::AccessList& list) {
  return std::make_shared<Access>(list);
}

access::CallerRef CallerOf(const flight::ServerCallContext& context) {
  const KnownCaller* known = KnownTo(context);
  return known == nullptr ? nullptr : known->caller();
}

base::Result<void> CheckToken(const flight::ServerCallContext& context) {
  const KnownCaller* known = KnownTo(context);
  return known == nullptr ? base::Result<void>() : known->CheckToken();
}

}  // namespace headrace::ingest

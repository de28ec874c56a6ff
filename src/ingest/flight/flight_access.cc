#include "ingest/flight/flight_access.h"

#include <arrow/flight/server.h>
#include <arrow/flight/server_middleware.h>

#include <string>

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using access::Verb;

class KnownCaller final : public flight::ServerMiddleware {
 public:
  explicit KnownCaller(access::CallerRef caller) : caller_(std::move(caller)) {}
  const access::CallerRef& caller() const { return caller_; }
  std::string name() const override { return kFlightAccess; }
  void SendingHeaders(flight::AddCallHeaders* /*headers*/) override {}
  void CallCompleted(const arrow::Status& /*status*/) override {}

 private:
  const access::CallerRef caller_;
};

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
    access::CallerRef caller = list_.Find(access::BearerToken(shown.first->second));
    if (caller == nullptr)
      return flight::MakeFlightError(flight::FlightStatusCode::Unauthenticated,
                                     "a token that nobody has, or has any more");
    if (const char* lacks = Lacks(caller->scope, info.method))
      return flight::MakeFlightError(
          flight::FlightStatusCode::Unauthorized,
          "the scopes of token " + caller->name + " do not allow it: it needs " + lacks);
    *middleware = std::make_shared<KnownCaller>(std::move(caller));
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
  const auto* known = static_cast<const KnownCaller*>(context.GetMiddleware(kFlightAccess));
  return known == nullptr ? nullptr : known->caller();
}

}  // namespace headrace::ingest

#include "ingest/flight/call_places.h"

#include <arrow/flight/server_middleware.h>
#include <fmt/core.h>

#include <atomic>
#include <string>

#include "base/error.h"
#include "ingest/flight/flight_status.h"

namespace headrace::ingest {
namespace {

namespace flight = arrow::flight;
using base::Error;
using base::ErrorCode;

// The calls of one kind.
struct Kind {
  const char* name;
  size_t most;
  std::atomic<size_t> count{0};
};
struct Kinds {
  explicit Kinds(const CallLimits& limits)
      : put{"DoPut", limits.puts_max},
        get{"DoGet", limits.gets_max},
        exchange{"DoExchange", limits.exchanges_max},
        other{"other", limits.others_max} {}
  Kind& Of(flight::FlightMethod method) {
    switch (method) {
      case flight::FlightMethod::DoPut: return put;
      case flight::FlightMethod::DoGet: return get;
      case flight::FlightMethod::DoExchange: return exchange;
      default: return other;
    }
  }
  Kind put, get, exchange, other;
};

// Lives as long as its call.
class Place final : public flight::ServerMiddleware {
 public:
  // Null when every place is taken.
  static std::shared_ptr<Place> Enter(std::shared_ptr<Kinds> kinds, Kind& kind) {
    if (kind.count.fetch_add(1) < kind.most)
      return std::shared_ptr<Place>(new Place(std::move(kinds), kind));
    kind.count.fetch_sub(1);
    return nullptr;
  }
  ~Place() override { kind_.count.fetch_sub(1); }
  Place(const Place&) = delete;

  std::string name() const override { return kCallPlaces; }
  void SendingHeaders(flight::AddCallHeaders* /*headers*/) override {}
  void CallCompleted(const arrow::Status& /*status*/) override {}

 private:
  Place(std::shared_ptr<Kinds> kinds, Kind& kind) : kinds_(std::move(kinds)), kind_(kind) {}
  const std::shared_ptr<Kinds> kinds_;
  Kind& kind_;
};

class Places final : public flight::ServerMiddlewareFactory {
 public:
  explicit Places(const CallLimits& limits) : kinds_(std::make_shared<Kinds>(limits)) {}

  arrow::Status StartCall(const flight::CallInfo& info,
                          const flight::ServerCallContext& /*context*/,
                          std::shared_ptr<flight::ServerMiddleware>* middleware) override {
    Kind& kind = kinds_->Of(info.method);
    *middleware = Place::Enter(kinds_, kind);
    if (*middleware != nullptr) return arrow::Status::OK();
    return ToFlightStatus(
        Error(ErrorCode::kResourceExhausted,
              fmt::format("{} {} calls are open, the most there may be: end one, then repeat",
                          kind.most, kind.name)));
  }

 private:
  const std::shared_ptr<Kinds> kinds_;
};

}  // namespace

std::shared_ptr<flight::ServerMiddlewareFactory> MakeCallPlaces(const CallLimits& limits) {
  return std::make_shared<Places>(limits);
}

}  // namespace headrace::ingest

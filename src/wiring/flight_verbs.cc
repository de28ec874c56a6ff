#include "wiring/flight_verbs.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace headrace::wiring {

using base::Result;

namespace {

constexpr size_t kLookedAtMax = 256U << 10;

// Whether it is a JSON object with such a member; what is wrong with it is for the verb to say.
bool Has(const std::string& json, const char* member) {
  if (json.size() > kLookedAtMax) return false;
  const auto document = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  return document.is_object() && document.contains(member);
}

}  // namespace

FlightVerbs::FlightVerbs(Core& core, ingest::StreamGate& gate, env::Environment& environment,
                         base::MemoryBudget& budget)
    : serving_{.answers = &core.answers(), .environment = &environment, .budget = &budget},
      changes_{.serving = serving_,
               .log = &core.log_reader(),
               .recent = &core.recent_epochs(),
               .visible = [&core] { return core.visible(); },
               .stream_named = [&core](const std::string& name) { return core.StreamNamed(name); }},
      pushes_{.pushes = &core.pushes(),
              .answers = &core.answers(),
              .gate = &gate,
              .environment = &environment,
              .budget = &budget},
      scans_(core.scans(), [&core] { return core.definition(); }) {}

Result<ingest::FlightReads::Offer> FlightVerbs::MakeOffer(const std::string& command,
                                                          const access::CallerRef& caller) {
  return scans_.MakeOffer(command, caller);
}

Result<std::unique_ptr<ingest::FlightRows>> FlightVerbs::Open(const std::string& ticket,
                                                              ingest::FlightCaller caller) {
  if (Has(ticket, "changes"))
    return serving::ViewChanges::Open(changes_, ticket, std::move(caller));
  return scans_.Open(ticket, std::move(caller));
}

Result<std::unique_ptr<ingest::FlightExchange>> FlightVerbs::Open(const std::string& command,
                                                                  const arrow::Schema& schema,
                                                                  ingest::FlightCaller caller) {
  if (Has(command, "push")) return serving::PushExchange::Open(pushes_, command, schema, caller);
  return serving::KeyReads::Open(serving_, command, schema, std::move(caller));
}

}  // namespace headrace::wiring

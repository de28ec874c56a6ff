#pragma once
// The Arrow Flight endpoint: DoPut takes record batches into streams; DoGet hands out rows that
// rooms below read; DoExchange answers batch by batch what they know; ListFlights and GetFlightInfo
// show the streams with their schemas; DoAction runs what rooms have mounted. The wire protocol is
// in docs/reference/flight.md. gRPC owns the threads of calls; acknowledgements of each DoPut are
// written by an executor of its own.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/access_list.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "env/network.h"
#include "ingest/flight/call_places.h"
#include "ingest/flight/connection_watch.h"
#include "ingest/flight/flight_reads.h"
#include "ingest/stream_gate.h"

namespace headrace::ingest {

// One verb of DoAction. `run` is called on a gRPC thread, possibly on several at once; its results
// are sent in order.
struct FlightAction {
  std::string name;         // "last_sequence"
  std::string description;  // one clause, for ListActions
  std::function<base::Result<std::vector<std::string>>(std::string body)> run;
};

// What the server proves itself with, in PEM.
struct FlightTls {
  std::string certificates;  // its own first
  std::string key;
  std::string client_ca;  // empty: clients show no certificate
};

struct FlightServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8815;  // 0: the system chooses
  // Null: whoever connects may do everything. Outlives the server.
  const access::AccessList* access = nullptr;
  std::optional<FlightTls> tls;  // nothing: none is spoken
  // Named limits.
  CallLimits calls;
  size_t connections_max = 1024;  // those over it are closed (connection_watch.h)
  size_t window_batches =
      64;  // unacknowledged batches of one DoPut; at the limit its input is not read
  // The same in bytes of columns; one batch may pass it. At 500,000 small rows a second this is a
  // queue of about 70 ms: more would add to the age of every row, not to the rate.
  uint64_t window_bytes = 2ULL << 20;
  uint64_t batch_rows_max = 1ULL << 17;  // a batch with more rows is kInvalidInput
  size_t refused_listed_max =
      100;  // refused rows described in one acknowledgement; all are counted
  std::chrono::milliseconds drain_max{500};  // Stop waits this long for calls before it breaks them
  std::chrono::seconds renewal_max{10};      // the same of Renew
};

// Start, then Stop (or the destructor) once. Thread-safe.
class FlightServer {
 public:
  // Listens when it returns. `gate`, `budget`, `environment`, `network` outlive the server. With
  // `network` the port is first tried with it: gRPC itself would share a port that is in use.
  // `actions` are mounted beside `last_sequence`. Errors: kAlreadyExists (port in use),
  // kInvalidInput (host), kIoError.
  static base::Result<std::unique_ptr<FlightServer>> Start(
      FlightServerOptions options, StreamGate& gate, base::MemoryBudget& budget,
      env::Environment& environment, env::Network* network, std::vector<FlightAction> actions);
  ~FlightServer();
  FlightServer(const FlightServer&) = delete;
  FlightServer& operator=(const FlightServer&) = delete;

  uint16_t port() const;
  // What DoGet and GetFlightInfo by command read from now on; before, both are kUnavailable.
  void UseReads(FlightReads& reads);
  // What DoExchange answers from now on; before, it is kUnavailable.
  void UseExchanges(FlightExchanges& exchanges);
  // New connections get these certificates. gRPC can't change those of a server and Arrow shares no
  // port, so another server follows: the one before closes the port, the next one opens it, some
  // milliseconds later. Calls under way go on at the one before, which ends them after renewal_max
  // (kUnavailable: repeat). Blocks until then. Not beside UseReads, UseExchanges, Stop and itself.
  // Errors: kIoError when the port did not become free in that time: nobody listens until a Renew
  // succeeds.
  base::Result<void> Renew(FlightTls tls);
  // Ends every call (kUnavailable: repeat elsewhere or later) and returns when none is left; at
  // most drain_max for those that wait for their client. Idempotent.
  void Stop();

 private:
  class Service;
  FlightServer(FlightServerOptions options, StreamGate& gate, base::MemoryBudget& budget,
               env::Environment& environment, env::Network* network,
               std::vector<FlightAction> actions);
  // Listens on options_.port.
  base::Result<std::unique_ptr<Service>> MakeService() const;
  // Tries until the port is free.
  base::Result<std::unique_ptr<Service>> FollowOn() const;

  FlightServerOptions options_;
  StreamGate& gate_;
  base::MemoryBudget& budget_;
  env::Environment& environment_;
  env::Network* const network_;
  const std::vector<FlightAction> actions_;
  FlightReads* reads_ = nullptr;
  FlightExchanges* exchanges_ = nullptr;
  std::unique_ptr<Service> service_;  // null: a Renew failed
  std::unique_ptr<ConnectionWatch> watch_;
};

}  // namespace headrace::ingest

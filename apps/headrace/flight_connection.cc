#include "flight_connection.h"

#include <arrow/flight/client.h>
#include <chrono>
#include <utility>

#include "client_tls.h"
#include "env/environment.h"
#include "env/network.h"
#include "ingest/flight/flight_status.h"
#include "protocols/tls_client_stream.h"

namespace headrace::app {

namespace flight = arrow::flight;
using base::ErrorCode;
using base::Fail;

namespace {

constexpr std::chrono::seconds kHandshakeMax{10};

// gRPC remembers per process that a server was away, and waits longer each time; we have a back-off
// of our own.
flight::FlightClientOptions ClientOptions() {
  flight::FlightClientOptions options = flight::FlightClientOptions::Defaults();
  options.generic_options.emplace_back("grpc.use_local_subchannel_pool", 1);
  options.generic_options.emplace_back("grpc.initial_reconnect_backoff_ms", 50);
  options.generic_options.emplace_back("grpc.max_reconnect_backoff_ms", 500);
  return options;
}

base::Result<void> TryTls(const Address& address) {
  HR_TRY(auto context, ClientTls(address));
  const auto environment = env::MakeRealEnvironment();
  const auto network = env::MakeRealNetwork(environment->clock());
  HR_TRY(auto stream, network->Connect(address.host, address.port, kHandshakeMax));
  HR_TRY_VOID(
      protocols::SpeakTls(std::move(stream), std::move(context), address.host, kHandshakeMax));
  return {};
}

}  // namespace

base::Result<std::unique_ptr<flight::FlightClient>> ConnectFlight(const Address& address) {
  flight::FlightClientOptions options = ClientOptions();
  if (address.tls) {
    HR_TRY(protocols::TlsTexts texts, ClientTlsTexts(address));
    HR_TRY_VOID(TryTls(address));
    options.tls_root_certs = std::move(texts.peer_ca);
    options.cert_chain = std::move(texts.certificate);
    options.private_key = std::move(texts.key);
  }
  const auto location = address.tls ? flight::Location::ForGrpcTls(address.host, address.port)
                                    : flight::Location::ForGrpcTcp(address.host, address.port);
  if (!location.ok()) return Fail(ErrorCode::kInvalidInput, location.status().message());
  auto client = flight::FlightClient::Connect(*location, options);
  if (!client.ok()) return Fail(ingest::FromFlightStatus(client.status()));
  return std::move(*client);
}

flight::FlightCallOptions FlightCall() {
  flight::FlightCallOptions options;
  const std::string token = TokenOfEnvironment();
  if (!token.empty()) options.headers.emplace_back("authorization", "Bearer " + token);
  return options;
}

}  // namespace headrace::app

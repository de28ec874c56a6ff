#include "flight_connection.h"

#include <arrow/flight/client.h>
#include <fmt/core.h>

#include <chrono>
#include <utility>

#include "base/next_step.h"
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

base::Error NoEngine(const Address& address, const base::Error& error) {
  if (error.code() != ErrorCode::kUnavailable) return error;
  return base::Error(error.code(), fmt::format("no engine at {} for Arrow Flight ({})",
                                               address.ToString(), error.message()))
      .With(base::kNextStep, "start one with `headrace serve`, or give --flight HOST:PORT");
}

// Whether somebody listens, and speaks TLS when that is wanted: gRPC says neither clearly.
base::Result<void> TryToConnect(const Address& address) {
  const auto environment = env::MakeRealEnvironment();
  const auto network = env::MakeRealNetwork(environment->clock());
  auto stream = network->Connect(address.host, address.port, kHandshakeMax);
  if (!stream) return Fail(NoEngine(address, stream.error()));
  if (!address.tls) return {};
  HR_TRY(auto context, ClientTls(address));
  const auto spoken =
      protocols::SpeakTls(std::move(*stream), std::move(context), address.host, kHandshakeMax);
  if (spoken) return {};
  base::Error error = spoken.error();
  if (error.code() == ErrorCode::kUnavailable && IsAboutTls(error))
    error.With(base::kNextStep,
               "if the engine has no TLS, leave out grpc+tls:// and the options for it");
  return Fail(std::move(error));
}

}  // namespace

base::Result<std::unique_ptr<flight::FlightClient>> ConnectFlight(const Address& address) {
  HR_TRY_VOID(TryToConnect(address));
  flight::FlightClientOptions options = ClientOptions();
  if (address.tls) {
    HR_TRY(protocols::TlsTexts texts, ClientTlsTexts(address));
    options.tls_root_certs = std::move(texts.peer_ca);
    options.cert_chain = std::move(texts.certificate);
    options.private_key = std::move(texts.key);
  }
  const auto location = address.tls ? flight::Location::ForGrpcTls(address.host, address.port)
                                    : flight::Location::ForGrpcTcp(address.host, address.port);
  if (!location.ok()) return Fail(ErrorCode::kInvalidInput, location.status().message());
  auto client = flight::FlightClient::Connect(*location, options);
  if (!client.ok()) return Fail(FlightError(client.status(), address));
  return std::move(*client);
}

base::Error FlightError(const arrow::Status& status, const Address& address) {
  base::Error error = ingest::FromFlightStatus(status);
  // What gRPC says of a port that it could connect to, and that then hung up.
  if (error.code() != ErrorCode::kUnavailable ||
      error.message().find("failed to connect") == std::string::npos)
    return error;
  return base::Error(error.code(),
                     fmt::format("what listens at {} does not speak Arrow Flight{}",
                                 address.ToString(), address.tls ? "" : " without TLS"))
      .With(base::kNextStep,
            address.tls ? "give the engine's --flight HOST:PORT"
                        : "give the engine's --flight HOST:PORT; if it has TLS, with grpc+tls:// "
                          "in front and --tls-ca FILE where the CA is your own");
}

flight::FlightCallOptions FlightCall() {
  flight::FlightCallOptions options;
  const std::string token = TokenOfEnvironment();
  if (!token.empty()) options.headers.emplace_back("authorization", "Bearer " + token);
  return options;
}

}  // namespace headrace::app

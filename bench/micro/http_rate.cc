// What the HTTP server costs by itself: closed loop over loopback, a constant reply, one I/O
// thread.
//   http_rate [connections] [seconds]     prints one JSON line
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "env/environment.h"
#include "protocols/http_client.h"
#include "protocols/http_server.h"

using namespace headrace;

namespace {

constexpr size_t kRequestBytes = 200;
constexpr size_t kReplyBytes = 1500;

struct Load {
  std::atomic<bool> stopped{false};
  std::atomic<uint64_t> requests{0};
  base::Histogram round_trip_us;
};

// Asks again as soon as it is answered.
void RunClient(env::Network& network, env::Clock& clock, uint16_t port, Load& load) {
  protocols::HttpClient client(network, "127.0.0.1", port);
  const std::string body(kRequestBytes, 'x');
  while (!load.stopped) {
    const env::MonotonicTime begin = clock.Now();
    const auto response = client.Post("/constant", body);
    if (!response || response->body.size() != kReplyBytes) std::abort();
    load.round_trip_us.Record(static_cast<uint64_t>((clock.Now() - begin).count() / 1000));
    ++load.requests;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int connections = count > 1 ? std::atoi(arguments[1]) : 4;
  const int seconds = count > 2 ? std::atoi(arguments[2]) : 3;
  const auto environment = env::MakeRealEnvironment();
  const auto network = env::MakeRealNetwork(environment->clock());
  base::MemoryBudget budget(1U << 30);
  protocols::HttpRouter router;
  const std::string reply(kReplyBytes, 'x');
  router.Add(protocols::HttpMethod::kPost, "/constant",
             [&](protocols::HttpRequest, protocols::HttpReply to) {
               to.Send(protocols::HttpResponse::Json(reply));
             });
  const auto server =
      protocols::HttpServer::Start(*network, environment->clock(), budget, router, "127.0.0.1", 0);
  if (!server) std::abort();
  Load load;
  std::vector<std::thread> clients;
  for (int i = 0; i < connections; ++i)
    clients.emplace_back(
        [&] { RunClient(*network, environment->clock(), (*server)->port(), load); });
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  load.stopped = true;
  for (std::thread& client : clients) client.join();
  fmt::print(
      R"({{"connections":{},"requests_per_s":{:.0f},"p50_us":{},"p99_us":{},"server_p50_us":{},"server_p99_us":{}}})"
      "\n",
      connections, static_cast<double>(load.requests) / seconds, load.round_trip_us.Quantile(0.5),
      load.round_trip_us.Quantile(0.99), (*server)->serve_us().Quantile(0.5),
      (*server)->serve_us().Quantile(0.99));
  return 0;
}

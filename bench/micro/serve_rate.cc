// What a lookup costs: the flights' service (25 features of 3 views, one computed on request) over
// loopback, closed loop, one I/O thread, on a state of synthetic rows.
//   serve_rate PIPELINE_FOLDER [connections] [seconds] [rows]     prints one JSON line
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "columns/batch_builder.h"
#include "env/environment.h"
#include "env/process_memory.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/views/view_set.h"
#include "protocols/http_client.h"
#include "protocols/http_server.h"
#include "serving/answer.h"
#include "serving/http/verbs.h"

using namespace headrace;

namespace {

constexpr uint64_t kSeed = 1;
constexpr int kAirports = 200;
constexpr int64_t kFirstUs = 978'307'200'000'000;  // 2001-01-01
constexpr int64_t kStepUs = 5'000'000;             // a flight every 5 s, as in the data
constexpr size_t kEpochRows = 4096;

struct Load {
  std::atomic<bool> stopped{false};
  std::atomic<uint64_t> requests{0};
  base::Histogram round_trip_us;
};

std::string Airport(int number) {
  return fmt::format("A{:02}", number % 100) + static_cast<char>('A' + number / 100);
}

base::Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::Fail(base::ErrorCode::kNotFound, path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

pipeline::PipelineRef ReadPipeline(const std::string& folder) {
  const auto text = ReadText(folder + "/pipeline.yaml");
  if (!text) std::abort();
  return pipeline::CheckPipeline(
             "pipeline.yaml", *text,
             [&](const std::string& name) { return ReadText(folder + "/" + name); })
      .definition;
}

log::EpochRef MakeEpoch(const columns::SchemaRef& schema, uint64_t id, std::mt19937_64& random) {
  columns::BatchBuilder builder(schema);
  const auto column = [&](std::string_view name) -> columns::ColumnBuilder& {
    return builder.column(*schema->IndexOf(name));
  };
  int64_t newest = 0;
  for (size_t i = 0; i < kEpochRows; ++i) {
    const int64_t row = static_cast<int64_t>((id - 1) * kEpochRows + i);
    newest = kFirstUs + row * kStepUs;
    column("flight_id").AppendInt(row);
    column("date").AppendInt(newest - 3'600'000'000);
    column("landed_at").AppendInt(newest);
    column("delay").AppendInt(static_cast<int64_t>(random() % 120) - 30);
    column("distance").AppendInt(static_cast<int64_t>(100 + random() % 2000));
    column("origin").AppendText(Airport(static_cast<int>(random() % kAirports)));
    column("destination").AppendText(Airport(static_cast<int>(random() % kAirports)));
  }
  log::Epoch epoch;
  epoch.id = {id};
  epoch.clock = {newest};
  epoch.streams.push_back({base::StreamId{1}, builder.Finish()});
  return std::make_shared<const log::Epoch>(std::move(epoch));
}

void RunClient(env::Network& network, env::Clock& clock, uint16_t port, uint64_t seed, Load& load) {
  protocols::HttpClient client(network, "127.0.0.1", port);
  std::mt19937_64 random(seed);
  while (!load.stopped) {
    const std::string body = fmt::format(
        R"({{"feature_service":"departure","entities":{{"origin":["{}"],"destination":["{}"]}}}})",
        Airport(static_cast<int>(random() % kAirports)),
        Airport(static_cast<int>(random() % kAirports)));
    const env::MonotonicTime begin = clock.Now();
    const auto response = client.Post("/get-online-features", body);
    if (!response || response->status != 200) std::abort();
    load.round_trip_us.Record(static_cast<uint64_t>((clock.Now() - begin).count() / 1000));
    ++load.requests;
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const int connections = count > 2 ? std::atoi(arguments[2]) : 2;
  const int seconds = count > 3 ? std::atoi(arguments[3]) : 3;
  const uint64_t rows = count > 4 ? static_cast<uint64_t>(std::atoll(arguments[4])) : 200'000;
  const auto environment = env::MakeRealEnvironment();
  const pipeline::PipelineRef definition = ReadPipeline(arguments[1]);
  if (!definition) return 1;
  base::MemoryBudget budget(8ULL << 30);
  pipeline::ViewSet views(definition, budget, environment->clock());
  views.BindStream(0, base::StreamId{1});
  std::mt19937_64 random(kSeed);
  for (uint64_t id = 1; id * kEpochRows <= rows; ++id) {
    const std::vector<log::EpochRef> epochs = {
        MakeEpoch(definition->streams[0].schema(), id, random)};
    views.Apply(epochs);
  }

  const auto waiting = environment->NewExecutor("answers", env::Priority::kRealTime);
  serving::AnswerSources sources;
  sources.views = &views;
  sources.waiting = waiting.get();
  sources.clock = &environment->clock();
  const auto answers = serving::AnswerService::Make(std::move(sources));
  if (!answers) std::abort();
  serving::ServingVerbs verbs;
  verbs.answers = answers->get();
  protocols::HttpRouter router;
  serving::MountServing(router, std::move(verbs));
  const auto network = env::MakeRealNetwork(environment->clock());
  const auto server =
      protocols::HttpServer::Start(*network, environment->clock(), budget, router, "127.0.0.1", 0);
  if (!server) std::abort();

  Load load;
  std::vector<std::thread> clients;
  for (int i = 0; i < connections; ++i)
    clients.emplace_back([&, i] {
      RunClient(*network, environment->clock(), (*server)->port(),
                kSeed + 1 + static_cast<uint64_t>(i), load);
    });
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  load.stopped = true;
  for (std::thread& client : clients) client.join();
  const base::Histogram& server_us = (*server)->serve_us();
  const base::Histogram& answer_us = (*answers)->serve_us();
  fmt::print(
      R"({{"connections":{},"rows":{},"requests_per_s":{:.0f},"round_trip_p50_us":{},"round_trip_p99_us":{},)"
      R"("server_p50_us":{},"server_p99_us":{},"answer_p50_us":{},"answer_p99_us":{},"resident_mb":{}}})"
      "\n",
      connections, rows, static_cast<double>(load.requests) / seconds,
      load.round_trip_us.Quantile(0.5), load.round_trip_us.Quantile(0.99), server_us.Quantile(0.5),
      server_us.Quantile(0.99), answer_us.Quantile(0.5), answer_us.Quantile(0.99),
      env::ReadProcessMemory().resident_bytes >> 20);
  return 0;
}

// headrace_nexmark_windows FOLDER QUERY EVENTS [--batch 4096] [--out FILE]
// One of Nexmark's window queries over the JSON lines that headrace_write_nexmark wrote into the
// folder EVENTS, on one thread: the bytes are parsed and typed by the way in that HTTP has, pass
// the contract, and become epochs of the state that FOLDER/QUERY.yaml defines (in memory: nothing
// is logged). Of each stream as much comes with an epoch as was made at that time. Prints one JSON
// object; the time is the thread's CPU time without the reading of the files. --out writes the
// result as JSON lines.

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "features/settings.h"
#include "nexmark/json_lines.h"
#include "nexmark/window_queries.h"

namespace headrace::bench {
namespace {

// A stream of the definition, and how many of 50 events are its.
struct Stream {
  std::unique_ptr<JsonLines> lines;
  std::vector<std::string> bodies;
};

uint64_t ShareOf(const std::string& stream) {
  return stream == "persons" ? 1 : stream == "auctions" ? 3 : 46;
}

std::vector<Stream> StreamsOf(const pipeline::PipelineDefinition& definition,
                              const std::string& events, uint64_t batch) {
  std::vector<Stream> streams;
  uint64_t shares = 0;
  for (const auto& stream : definition.streams)
    if (!stream.derived()) shares += ShareOf(stream.name);
  for (const auto& stream : definition.streams)
    if (!stream.derived())
      streams.push_back({std::make_unique<JsonLines>(stream.contract),
                         ReadBodies(events + "/" + stream.name + ".ndjson",
                                    ShareOf(stream.name) * (batch / shares + 1))});
  return streams;
}

int Run(const std::string& folder, const std::string& name, const std::string& events,
        const Settings& settings) {
  const pipeline::PipelineRef definition = ReadPipeline(folder, name + ".yaml");
  const std::string out_path = settings.Text("out", "");
  std::ofstream out(out_path);
  WindowQuery::Row row;
  if (!out_path.empty()) row = [&](const std::string& text) { out << text << '\n'; };
  const auto query = WindowQuery::Named(name, definition, std::move(row));
  HR_CHECK(query != nullptr, "there is no query " + name);
  std::vector<Stream> streams = StreamsOf(*definition, events, settings.Count("batch", 4096));
  uint64_t count = 0;
  const double begin = ThreadSeconds();
  size_t epochs = 0;
  for (const Stream& stream : streams) epochs = std::max(epochs, stream.bodies.size());
  for (size_t epoch = 0; epoch < epochs; ++epoch) {
    std::vector<columns::ColumnBatch> rows;
    for (Stream& stream : streams) {
      rows.emplace_back();
      if (epoch < stream.bodies.size())
        rows.back() = stream.lines->Read(std::move(stream.bodies[epoch]));
      count += rows.back().rows();
    }
    query->Apply(std::move(rows));
  }
  query->Finish();
  const double seconds = ThreadSeconds() - begin;
  fmt::print(
      "{{\"query\": \"{}\", \"events\": {}, \"left\": {}, \"cpu_s\": {:.3f}, "
      "\"events_per_s\": {:.0f}}}\n",
      name, count, query->rows(), seconds, static_cast<double>(count) / seconds);
  return 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count < 4) return 2;
  return headrace::bench::Run(arguments[1], arguments[2], arguments[3],
                              headrace::bench::Settings(count - 3, arguments + 3));
}

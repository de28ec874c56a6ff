// headrace_nexmark_filters FOLDER QUERY BIDS [--batch 4096] [--out FILE]
// One of Nexmark's filter queries over bids as JSON lines, on one thread: the bytes are parsed and
// typed by the way in that HTTP has, pass the contract, and become rows of the derived stream QUERY
// of FOLDER/pipeline.yaml. Prints one JSON object; the time is the thread's CPU time without the
// reading of the file. --out writes the result as JSON lines, untimed.

#include <cstdio>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "features/settings.h"
#include "nexmark/json_lines.h"
#include "pipeline/streams/derivation.h"

namespace headrace::bench {
namespace {

void Show(const columns::ColumnBatch& rows, std::ofstream& out) {
  for (size_t row = 0; row < rows.rows(); ++row) out << contract::RowToJson(rows, row) << '\n';
}

int Run(const std::string& folder, const std::string& query, const std::string& bids,
        const Settings& settings) {
  const pipeline::PipelineRef definition = ReadPipeline(folder, "pipeline.yaml");
  const auto stream = definition->StreamNamed(query);
  HR_CHECK(stream.has_value(), "pipeline.yaml has no such query");
  const pipeline::Derivation& derivation = *definition->streams[*stream].derivation;
  pipeline::DerivationCounts counts = pipeline::CountsOf(derivation);
  JsonLines lines(definition->streams[derivation.source].contract);
  const std::string out_path = settings.Text("out", "");
  std::ofstream out(out_path);
  double seconds = 0;
  uint64_t events = 0;
  for (std::string& body : ReadBodies(bids, settings.Count("batch", 4096))) {
    const double begin = ThreadSeconds();
    const columns::ColumnBatch rows = lines.Read(std::move(body));
    const columns::ColumnBatch result = pipeline::Derive(derivation, rows, counts).rows;
    seconds += ThreadSeconds() - begin;
    events += rows.rows();
    if (!out_path.empty()) Show(result, out);
  }
  fmt::print(
      "{{\"query\": \"{}\", \"events\": {}, \"left\": {}, \"cpu_s\": {:.3f}, "
      "\"events_per_s\": {:.0f}}}\n",
      query, events, counts.rows_out, seconds, static_cast<double>(events) / seconds);
  return 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count < 4) return 2;
  return headrace::bench::Run(arguments[1], arguments[2], arguments[3],
                              headrace::bench::Settings(count - 3, arguments + 3));
}

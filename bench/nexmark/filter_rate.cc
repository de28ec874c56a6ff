// headrace_nexmark_filters FOLDER QUERY BIDS [--batch 4096] [--out FILE]
// One of Nexmark's filter queries over bids as JSON lines, on one thread: the bytes are parsed and
// typed by the way in that HTTP has, pass the contract, and become rows of the derived stream QUERY
// of FOLDER/pipeline.yaml. Prints one JSON object; the time is the thread's CPU time without the
// reading of the file. --out writes the result as JSON lines, untimed.

#include <time.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/memory_budget.h"
#include "features/settings.h"
#include "ingest/http/events_endpoint.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/streams/derivation.h"

namespace headrace::bench {
namespace {

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  HR_CHECK(in.good(), "a file of the bench can't be read");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

pipeline::PipelineRef ReadPipeline(const std::string& folder) {
  const auto checked =
      pipeline::CheckPipeline("pipeline.yaml", ReadText(folder + "/pipeline.yaml"),
                              [&](const std::string& name) -> base::Result<std::string> {
                                return ReadText(folder + "/" + name);
                              });
  HR_CHECK(checked.definition != nullptr, "pipeline.yaml is broken: headrace check says where");
  return checked.definition;
}

// Stands where the log would: takes batches that passed the contract.
class Gate final : public ingest::StreamGate {
 public:
  explicit Gate(contract::ContractRef contract) : contract_(std::move(contract)) {}
  base::Result<ingest::StreamHandle> Find(std::string_view) const override {
    return ingest::StreamHandle{{1}, "bids", contract_};
  }
  std::vector<ingest::StreamHandle> Streams() const override { return {*Find("bids")}; }
  void Submit(columns::EventBatch batch, ingest::OutcomeCallback done) override {
    HR_CHECK(batch.rejected.empty(), "a bid was refused");
    rows = std::move(batch.rows);
    done(ingest::IngestOutcome{.epoch = {1}, .accepted = rows.rows(), .refused = {}});
  }
  uint64_t LastSequence(const std::string&) const override { return 0; }
  std::string LogName() const override { return std::string(32, '0'); }
  columns::ColumnBatch rows;  // of the last batch

 private:
  const contract::ContractRef contract_;
};

// So many lines at a time.
std::vector<std::string> ReadBodies(const std::string& path, uint64_t lines) {
  std::ifstream in(path);
  HR_CHECK(in.good(), "the file of bids can't be read");
  std::vector<std::string> bodies;
  uint64_t in_body = lines;
  for (std::string line; std::getline(in, line); ++in_body) {
    if (in_body == lines) {
      bodies.emplace_back();
      in_body = 0;
    }
    bodies.back() += line + "\n";
  }
  for (std::string& body : bodies) body.reserve(body.size() + 64);  // as the parser wants it
  return bodies;
}

void Show(const columns::ColumnBatch& rows, std::ofstream& out) {
  for (size_t row = 0; row < rows.rows(); ++row) out << contract::RowToJson(rows, row) << '\n';
}

int Run(const std::string& folder, const std::string& query, const std::string& bids,
        const Settings& settings) {
  const pipeline::PipelineRef definition = ReadPipeline(folder);
  const auto stream = definition->StreamNamed(query);
  HR_CHECK(stream.has_value(), "pipeline.yaml has no such query");
  const pipeline::Derivation& derivation = *definition->streams[*stream].derivation;
  pipeline::DerivationCounts counts = pipeline::CountsOf(derivation);
  Gate gate(definition->streams[derivation.source].contract);
  base::MemoryBudget budget(4ULL << 30);
  const std::string out_path = settings.Text("out", "");
  std::ofstream out(out_path);
  double seconds = 0;
  uint64_t events = 0;
  for (std::string& body : ReadBodies(bids, settings.Count("batch", 4096))) {
    const double begin = ThreadSeconds();
    ingest::EventsRequest request{.stream = "bids",
                                  .body = std::move(body),
                                  .content_type = {},
                                  .producer = {},
                                  .sequence = {},
                                  .idempotency_key = {}};
    ingest::HandleEvents(std::move(request), gate, budget, {},
                         [](const base::Result<ingest::EventsReply>& reply) {
                           HR_CHECK(reply.has_value(), "the body was refused");
                         });
    const columns::ColumnBatch result = pipeline::Derive(derivation, gate.rows, counts).rows;
    seconds += ThreadSeconds() - begin;
    events += gate.rows.rows();
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

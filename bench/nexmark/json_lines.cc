#include "json_lines.h"

#include <time.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "ingest/http/events_endpoint.h"
#include "pipeline/pipeline_file.h"

namespace headrace::bench {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  HR_CHECK(in.good(), path + " can't be read");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Stands where the log would: takes batches that passed the contract.
class Gate final : public ingest::StreamGate {
 public:
  explicit Gate(contract::ContractRef contract) : contract_(std::move(contract)) {}
  base::Result<ingest::StreamHandle> Find(std::string_view) const override {
    return ingest::StreamHandle{{1}, "events", contract_};
  }
  std::vector<ingest::StreamHandle> Streams() const override { return {*Find("events")}; }
  void Submit(columns::EventBatch batch, ingest::OutcomeCallback done) override {
    HR_CHECK(batch.rejected.empty(), "an event was refused");
    rows = std::move(batch.rows);
    done(ingest::IngestOutcome{.epoch = {1}, .accepted = rows.rows(), .refused = {}});
  }
  uint64_t LastSequence(base::StreamId, const std::string&) const override { return 0; }
  std::string LogName() const override { return std::string(32, '0'); }
  columns::ColumnBatch rows;

 private:
  const contract::ContractRef contract_;
};

}  // namespace

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

pipeline::PipelineRef ReadPipeline(const std::string& folder, const std::string& name) {
  const auto checked =
      pipeline::CheckPipeline(name, ReadText(folder + "/" + name),
                              [&](const std::string& file) -> base::Result<std::string> {
                                return ReadText(folder + "/" + file);
                              });
  HR_CHECK(checked.definition != nullptr, name + " is broken: headrace check says where");
  return checked.definition;
}

std::vector<std::string> ReadBodies(const std::string& path, uint64_t lines) {
  std::ifstream in(path);
  HR_CHECK(in.good(), path + " can't be read");
  std::vector<std::string> bodies;
  uint64_t in_body = lines;
  for (std::string line; std::getline(in, line); ++in_body) {
    if (in_body == lines) {
      bodies.emplace_back();
      in_body = 0;
    }
    bodies.back() += line + "\n";
  }
  for (std::string& body : bodies) body.reserve(body.size() + 64);
  return bodies;
}

columns::ColumnBatch JsonLines::Read(std::string body) {
  Gate gate(contract_);
  ingest::EventsRequest request{.stream = "events",
                                .body = std::move(body),
                                .content_type = {},
                                .producer = {},
                                .sequence = {},
                                .idempotency_key = {}};
  ingest::HandleEvents(std::move(request), gate, budget_, {},
                       [](const base::Result<ingest::EventsReply>& reply) {
                         HR_CHECK(reply.has_value(), "the body was refused");
                       });
  return std::move(gate.rows);
}

}  // namespace headrace::bench

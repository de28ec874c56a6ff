// headrace_engine_rate EVENTS_FILE FOLDER [--name value]...
// The whole engine but its sockets: events of a file (write_events.cc) become typed rows, pass the
// contract, are admitted, written to the log in FOLDER and synced, and applied; each is answered,
// count and sum over trailing windows as of it, once it is durable. Three threads, as in the
// engine: the reader's, the sequencer's, the applier's. Prints one JSON object. The time is from
// before the first event is read until the last answer.
//   --events 10000000 --windows 1h,24h --batch 8192
//   --batches 8             under way at once, not yet durable

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "answer_fold.h"
#include "columns/batch_builder.h"
#include "env/environment.h"
#include "log/sequencer.h"
#include "payments.h"
#include "settings.h"
#include "wiring/applier.h"

namespace headrace::bench {
namespace {

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: payments
promise: {{budget: {{p99: 200ms}}}}
clock: events
memory: 20GiB
streams:
  payments: {{contract: payments.yaml, source: {{http: push}}, time: {{event: paid_at, late: 1h}}}}
views:
  card: {{from: payments, by: card, over: [{}], features: {{n: count(*), spend: sum(amount)}}}}
)";

// Reads EVENTS_FILE batch by batch.
class EventFile {
 public:
  explicit EventFile(const char* path) : file_(std::fopen(path, "rb"), &std::fclose) {
    HR_CHECK(file_ != nullptr, "the file of events can't be read");
  }
  columns::ColumnBatch Next(const columns::SchemaRef& schema, uint64_t rows) {
    bytes_.resize(rows * kEventBytes);
    HR_CHECK(std::fread(bytes_.data(), kEventBytes, rows, file_.get()) == rows,
             "the file has fewer events");
    columns::BatchBuilder builder(schema);
    for (uint64_t row = 0; row < rows; ++row) {
      const char* event = bytes_.data() + row * kEventBytes;
      builder.column(0).AppendInt(At<int64_t>(event));
      builder.column(1).AppendInt(At<int64_t>(event + 8) * 1000);
      builder.column(2).AppendDouble(At<double>(event + 16));
    }
    return builder.Finish();
  }

 private:
  static constexpr size_t kEventBytes = 24;
  template <typename T>
  static T At(const char* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<char> bytes_;
};

// Log and views, wired as wiring::Core wires them.
class LogAndViews {
 public:
  LogAndViews(env::Environment& environment, const pipeline::PipelineRef& definition,
              const std::string& folder, uint64_t batches_max)
      : batches_max_(batches_max),
        views_(definition, budget_, environment.clock()),
        fold_(definition->views[0].windows.size()) {
    log::LogOptions options;
    options.clock = log::ClockMode::kEvents;
    auto opened = log::Sequencer::Open(environment, budget_, folder, options,
                                       [](const log::Epoch&) -> base::Result<void> { return {}; });
    HR_CHECK(opened.has_value(), opened ? "" : opened.error().ToString());
    sequencer_ = std::move(*opened);
    const pipeline::StreamDefinition& stream = definition->streams[0];
    stream_ = *sequencer_->AddStream(stream.name, stream.schema(), stream.timing);
    views_.BindStream(0, stream_);
    views_.AnswerRows(0, &fold_);
    applier_ = std::make_unique<wiring::Applier>(environment, views_, [this](base::EpochId) {
      const std::lock_guard lock(mutex_);
      moved_.notify_all();
    });
    sequencer_->Start([this](log::EpochRef epoch) { applier_->Take(std::move(epoch)); });
  }

  // Waits while too much is under way.
  void Submit(columns::EventBatch batch) {
    {
      std::unique_lock lock(mutex_);
      moved_.wait(lock, [&] { return under_way_ < batches_max_ && !applier_->IsBehind(); });
      ++under_way_;
    }
    batch.stream = stream_;
    sequencer_->Submit(std::move(batch), [this](const base::Result<log::Acknowledgement>& ack) {
      HR_CHECK(ack.has_value() && ack->refused.empty(), "an event was refused");
      const std::lock_guard lock(mutex_);
      --under_way_;
      moved_.notify_all();
    });
  }

  // Everything durable, applied and answered.
  void Finish() {
    sequencer_->Stop();
    applier_.reset();
  }

  const AnswerFold& answers() const { return fold_; }
  const log::Sequencer& sequencer() const { return *sequencer_; }
  const base::MemoryBudget& budget() const { return budget_; }

 private:
  const uint64_t batches_max_;
  base::MemoryBudget budget_{20ULL << 30};
  pipeline::ViewSet views_;
  AnswerFold fold_;
  std::mutex mutex_;  // guards under_way_
  std::condition_variable moved_;
  uint64_t under_way_ = 0;
  base::StreamId stream_;
  std::unique_ptr<log::Sequencer> sequencer_;
  std::unique_ptr<wiring::Applier> applier_;
};

int Run(const char* path, const std::string& folder, const Settings& settings) {
  const auto definition =
      PaymentsPipeline(fmt::format(fmt::runtime(kPipeline), settings.Text("windows", "1h, 24h")));
  const pipeline::StreamDefinition& stream = definition->streams[0];
  const uint64_t events = settings.Count("events", 10'000'000);
  const uint64_t batch_rows = settings.Count("batch", 8192);
  const auto environment = env::MakeRealEnvironment();
  LogAndViews engine(*environment, definition, folder, settings.Count("batches", 8));
  EventFile file(path);
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t done = 0; done < events; done += batch_rows) {
    const uint64_t rows = std::min(batch_rows, events - done);
    engine.Submit(stream.contract->Enforce(file.Next(stream.schema(), rows)));
  }
  engine.Finish();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const base::Histogram& syncs = engine.sequencer().sync_us();
  fmt::print(
      "{{\"events\": {}, \"answered\": {}, \"seconds\": {:.3f}, \"events_per_s\": {:.0f}, "
      "\"syncs\": {}, \"sync_p50_ms\": {:.3f}, \"sync_p99_ms\": {:.3f}, \"log_bytes\": {}, "
      "\"digest\": \"{:016x}\"}}\n",
      events, engine.answers().rows(), seconds, static_cast<double>(events) / seconds,
      syncs.count(), static_cast<double>(syncs.Quantile(0.5)) / 1000,
      static_cast<double>(syncs.Quantile(0.99)) / 1000, engine.sequencer().status().log_bytes,
      engine.answers().value());
  return 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count < 3) return 2;
  return headrace::bench::Run(arguments[1], arguments[2],
                              headrace::bench::Settings(count - 2, arguments + 2));
}

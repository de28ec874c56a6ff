// headrace_window_rate [--name value]...
// Count and sum over trailing windows, as of every event: state only, one thread, no log, no
// network. Prints one JSON object. Only ViewSet::Apply is timed (it answers each row as it applies
// it); making events is not.
//   --events 10000000 --cards 100000 --skew 1.1 --gap-us 60480 --seed 1
//   --windows 1h,24h        as a pipeline file has them
//   --precision 0           or 5m: windows begin at multiples of it
//   --rows-per-epoch 8192
//   --warm 0                events that come first and are not timed
//   --late 0                share of events that are up to an hour late
//   --answers 1             0: rows are applied, and nobody is answered
//   --digest 1              0: answers are thrown away
//   --check 0               1: all answers are compared with queues of events

#include <time.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/core.h>

#include "answer_fold.h"
#include "card_events.h"
#include "columns/batch_builder.h"
#include "moving_windows.h"
#include "payments.h"
#include "pipeline/views/view_set.h"
#include "settings.h"

namespace headrace::bench {
namespace {

using pipeline::ViewSet;

constexpr base::StreamId kStream{1};

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: payments
promise: {{budget: {{p99: 200ms}}}}
clock: events
memory: 20GiB
streams:
  payments: {{contract: payments.yaml, source: {{http: push}}, time: {{event: paid_at, late: 1h}}}}
views:
  card: {{from: payments, by: card, over: [{}]{}, features: {{n: count(*), spend: sum(amount)}}}}
)";

class StillClock final : public env::Clock {
 public:
  env::MonotonicTime Now() const override { return env::MonotonicTime{1}; }
  base::Timestamp Wall() const override { return {0}; }
};

// Throws answers away, and counts them.
class AnswerCount final : public pipeline::RowAnswerReader {
 public:
  void Take(base::EpochId, size_t, const pipeline::RowAnswers& answers) override {
    rows_ += answers.rows().size();
  }
  uint64_t rows() const { return rows_; }

 private:
  uint64_t rows_ = 0;
};

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

log::EpochRef EpochOf(const columns::SchemaRef& schema, CardEvents& events, uint64_t id,
                      uint64_t rows, int64_t& newest_us) {
  columns::BatchBuilder builder(schema);
  for (uint64_t i = 0; i < rows; ++i) {
    const CardEvent event = events.Next();
    builder.column(0).AppendInt(static_cast<int64_t>(event.card));
    builder.column(1).AppendInt(event.at_ms * 1000);
    builder.column(2).AppendDouble(static_cast<double>(event.cents) / 100);
    newest_us = std::max(newest_us, event.at_ms * 1000);
  }
  auto epoch = std::make_shared<log::Epoch>();
  epoch->id = {id};
  epoch->clock = {newest_us};
  epoch->streams.push_back({kStream, builder.Finish()});
  return epoch;
}

uint64_t ExpectedDigest(const CardEventSettings& of, uint64_t warm, uint64_t events,
                        const std::vector<int64_t>& windows_ms, int64_t precision_ms) {
  CardEvents source(of);
  MovingWindows windows(of.cards, windows_ms, precision_ms);
  uint64_t digest = 0;
  for (uint64_t i = 0; i < warm + events; ++i) {
    const CardEvent event = source.Next();
    const auto& totals = windows.Add(event);
    for (size_t w = 0; i >= warm && w < totals.size(); ++w)
      digest += AnswerDigest(event.at_ms, w, totals[w].events, totals[w].cents);
  }
  return digest;
}

int Run(const Settings& settings) {
  const std::string precision = settings.Text("precision", "0");
  const pipeline::PipelineRef definition = PaymentsPipeline(
      fmt::format(fmt::runtime(kPipeline), settings.Text("windows", "1h, 24h"),
                  precision == "0" ? "" : fmt::format(", precision: {}", precision)));
  const auto& view = definition->views[0];
  const CardEventSettings of = CardEventSettings::Of(settings);
  const uint64_t warm = settings.Count("warm", 0);
  const uint64_t events = settings.Count("events", 10'000'000);
  const uint64_t per_epoch = settings.Count("rows-per-epoch", 8192);

  StillClock clock;
  base::MemoryBudget budget{20ULL << 30};
  ViewSet views(definition, budget, clock);
  views.BindStream(0, kStream);
  AnswerFold digest(view.windows.size());
  AnswerCount count;
  pipeline::RowAnswerReader* reader = &digest;
  if (settings.Count("digest", 1) == 0) reader = &count;
  CardEvents source(of);
  double wall = 0;
  double cpu = 0;
  int64_t newest_us = 0;
  uint64_t epoch_id = 0;
  for (uint64_t done = 0; done < warm + events;) {
    if (done == warm && settings.Count("answers", 1) != 0) views.AnswerRows(0, reader);
    const uint64_t rows = std::min(per_epoch, (done < warm ? warm : warm + events) - done);
    const auto epoch =
        EpochOf(definition->streams[0].schema(), source, ++epoch_id, rows, newest_us);
    const double wall_before = Seconds();
    const double cpu_before = ThreadSeconds();
    views.Apply({&epoch, 1});
    if (done >= warm) {
      cpu += ThreadSeconds() - cpu_before;
      wall += Seconds() - wall_before;
    }
    done += rows;
  }
  const auto status = views.status()[0];
  std::string verdict = "not compared";
  if (settings.Count("check", 0) != 0) {
    std::vector<int64_t> windows_ms;
    for (const pipeline::Window& window : view.windows)
      windows_ms.push_back(window.length.count() / 1000);
    const int64_t precision_ms = view.precision ? view.precision->count() / 1000 : 0;
    verdict = ExpectedDigest(of, warm, events, windows_ms, precision_ms) == digest.value()
                  ? "equal"
                  : "differ";
  }
  fmt::print(
      "{{\"events\": {}, \"answered\": {}, \"wall_s\": {:.3f}, \"cpu_s\": {:.3f}, "
      "\"events_per_s\": {:.0f}, \"keys\": {}, \"rows\": {}, \"state_bytes\": {}, "
      "\"all_bytes\": {}, \"charged_bytes\": {}, \"answers\": \"{}\", \"digest\": \"{:016x}\"}}\n",
      events, digest.rows() + count.rows(), wall, cpu, static_cast<double>(events) / cpu,
      status.keys, status.rows, status.bytes, views.bytes(),
      budget.used_bytes(base::MemoryAccount::kState), verdict, digest.value());
  return verdict == "differ" ? 1 : 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  return headrace::bench::Run(headrace::bench::Settings(count, arguments));
}

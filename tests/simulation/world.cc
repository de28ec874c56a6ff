#include "simulation/world.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/log.h"
#include "columns/batch_builder.h"
#include "env/crash_points.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "tables/table_reader.h"

namespace headrace::simulation {
namespace {

using env::simulated::CrashKind;
using env::simulated::Faults;
using env::simulated::SimulatedEnvironment;

constexpr const char* kData = "data";
constexpr int64_t kBehindWallUs =
    40 * 86'400'000'000;  // events begin this long ago, and stay in the past
constexpr int64_t kHourUs = 3'600'000'000;
constexpr uint64_t kSegmentBytes = 256U << 10;  // small, so that lives see new segments
constexpr int kLives = 5;
constexpr int kCards = 7;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: simulated
promise: {budget: {p99: 200ms}}
clock: events
recovery: 1ms
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: paid_at, late: 1h}
views:
  card:
    from: payments
    by: card
    over: [1h, 6h]
    features: {n: count(*), spend: sum(amount), most: max(amount)}
services: {scoring: {features: [card.*]}}
tables: {payments: {commit: 1s}}
)";

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: card, logicalType: integer, required: true}
      - {name: amount, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

pipeline::PipelineRef Definition() {
  const auto checked = pipeline::CheckPipeline("pipeline.yaml", kPipeline, [](const std::string&) {
    return base::Result<std::string>(std::string(kContract));
  });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    HR_CHECK(diagnostic.severity == contract::Severity::kWarning, diagnostic.message);
  return checked.definition;
}

}  // namespace

World::World(uint64_t seed)
    : seed_(seed),
      random_(seed),
      definition_(Definition()),
      machine_(std::make_unique<SimulatedEnvironment>(seed)),
      now_us_(machine_->clock().Wall().us - kBehindWallUs) {
  for (int i = 0; i < 3; ++i)
    producers_.push_back({.name = fmt::format("producer-{}", i), .unanswered = {}});
  base::SetLogSink([this](const base::LogLine& line) {
    if (line.level == base::LogLevel::kError) errors_.push_back(line.event + " " + line.fields);
  });
}

World::~World() {
  machine_->Crash();
  core_.reset();
  base::SetLogSink({});
}

void World::Fail(std::string what) {
  if (!Failed()) outcome_.failure = fmt::format("life {}: {}", outcome_.lives, std::move(what));
}

// Most lives end at a named crash point, the rest at any moment; half of them with the loss of what
// was not synced.
Faults World::PlanFaults() {
  Faults faults;
  faults.crash_kind = random_() % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill;
  if (random_() % 3 == 0) {
    faults.crash_point = random_() % 2 == 0 ? "log.after_write" : "recovery.before_zero_tail";
    faults.crash_kind = CrashKind::kPowerCut;
  } else if (random_() % 4 != 0) {
    faults.crash_point = env::kCrashPoints[random_() % env::kCrashPoints.size()];
    faults.crash_hit = 1 + random_() % 6;
  }
  return faults;
}

void World::StartLife() {
  ++outcome_.lives;
  for (int attempt = 0; !core_ && !Failed(); ++attempt) {
    if (attempt > 20) return Fail("the engine does not come up again");
    std::optional<base::Error> error;
    const bool alive = machine_->Run([&] {
      auto core = wiring::Core::Start(*machine_, {.definition = definition_,
                                                  .data_folder = kData,
                                                  .log = {.segment_bytes = kSegmentBytes},
                                                  .answers_file = {}});
      if (core) {
        core_ = std::move(*core);
      } else {
        error = core.error();
      }
    });
    if (error) return Fail("start refused: " + error->ToString());
    if (!alive) EndLife();  // a crash point inside recovery: come up again
  }
}

void World::EndLife() {
  if (!machine_->crashed())
    machine_->Crash(random_() % 2 == 0 ? CrashKind::kPowerCut : CrashKind::kKill);
  for (const auto& [name, visits] : machine_->crash_point_visits())
    outcome_.crash_point_visits[name] += visits;
  outcome_.trace_hash = outcome_.trace_hash * 31 + machine_->trace_hash();
  outcome_.simulated += machine_->clock().Now();
  core_.reset();
  for (Producer& producer : producers_) producer.waiting = false;
  machine_ = machine_->Reboot(random_(), outcome_.lives < kLives ? PlanFaults() : Faults{});
}

World::Batch World::MakeBatch(Producer& producer) {
  Batch batch{producer.next_sequence, {}};
  const uint64_t rows = 1 + random_() % 20;
  for (uint64_t i = 0; i < rows; ++i) {
    now_us_ += static_cast<int64_t>(random_() % 60'000'000);
    const bool late = random_() % 10 == 0;
    Row row{.id = next_id_++,
            .card = static_cast<int64_t>(random_() % kCards),
            .amount = static_cast<double>(random_() % 100'000) / 7,
            .paid_at_us = now_us_ - (late ? static_cast<int64_t>(random_() % (kHourUs / 2)) : 0),
            .broken = random_() % 25 == 0};
    if (row.broken) row.amount = -1;
    if (!row.broken) sent_[row.id] = row;
    batch.rows.push_back(row);
  }
  return batch;
}

columns::EventBatch World::ToEventBatch(const Producer& producer, const Batch& batch) const {
  columns::BatchBuilder builder(definition_->streams[0].schema());
  for (const Row& row : batch.rows) {
    builder.column(0).AppendInt(row.id);
    builder.column(1).AppendInt(row.card);
    builder.column(2).AppendDouble(row.amount);
    builder.column(3).AppendInt(row.paid_at_us);
  }
  columns::EventBatch events = definition_->streams[0].contract->Enforce(builder.Finish());
  events.stream = *core_->StreamNamed("payments");
  events.source.producer = producer.name;
  events.source.sequence = batch.sequence;
  return events;
}

void World::Send(Producer& producer) {
  if (producer.waiting) return;
  if (!producer.unanswered) producer.unanswered = MakeBatch(producer);
  producer.waiting = true;
  machine_->Run([&] {
    core_->Submit(ToEventBatch(producer, *producer.unanswered),
                  [this, &producer](base::Result<log::Acknowledgement> ack) {
                    OnAnswer(producer, std::move(ack));
                  });
  });
}

void World::OnAnswer(Producer& producer, base::Result<log::Acknowledgement> ack) {
  producer.waiting = false;
  if (!ack) {
    const base::ErrorCode code = ack.error().code();
    if (code != base::ErrorCode::kUnavailable && code != base::ErrorCode::kResourceExhausted)
      Fail("a batch was refused: " + ack.error().ToString());
    return;
  }
  const Batch& batch = *producer.unanswered;
  std::set<uint32_t> refused;
  for (const columns::RejectedRow& row : ack->refused) refused.insert(row.row);
  for (uint32_t i = 0; i < batch.rows.size(); ++i) {
    if (batch.rows[i].broken && !refused.contains(i)) Fail("a broken row was accepted");
    (refused.contains(i) ? refused_ : acknowledged_).insert(batch.rows[i].id);
  }
  if (ack->accepted + refused.size() != batch.rows.size())
    Fail("accepted and refused do not add up");
  if (ack->repeat == log::Acknowledgement::Repeat::kRepeated) ++outcome_.repeated_batches;
  outcome_.acknowledged_rows += ack->accepted;
  ++producer.next_sequence;
  producer.unanswered.reset();
}

void World::LiveOnce() {
  StartLife();
  const uint64_t turns = 20 + random_() % 60;
  for (uint64_t turn = 0; turn < turns && !Failed() && !machine_->crashed(); ++turn) {
    Send(producers_[random_() % producers_.size()]);
    if (machine_->crashed()) break;
    machine_->RunFor(std::chrono::microseconds(random_() % 200'000));
  }
  // The life ends in the middle of things: with batches under way, perhaps in a sync.
  for (Producer& producer : producers_)
    if (!Failed() && !machine_->crashed()) Send(producer);
  if (!machine_->crashed()) machine_->RunFor(std::chrono::microseconds(random_() % 3'000));
}

// The last life has no faults: everything unanswered is sent again, then published.
void World::Drain() {
  StartLife();
  if (Failed()) return;
  for (Producer& producer : producers_) {
    if (producer.unanswered) Send(producer);
    if (!machine_->RunUntil([&] { return !producer.waiting; }))
      Fail("a producer is never answered");
  }
  machine_->RunUntilIdle();
  std::optional<base::Result<void>> flushed;
  machine_->Run(
      [&] { core_->FlushTables([&](base::Result<void> result) { flushed = std::move(result); }); });
  machine_->RunUntil([&] { return flushed.has_value(); });
  if (!flushed || !*flushed)
    Fail("tables are not flushed: " +
         (flushed ? flushed->error().ToString() : std::string("no answer")));
}

void World::CheckRows(const char* where, const std::map<int64_t, uint64_t>& counts) {
  for (const auto& [id, count] : counts) {
    if (count != 1) Fail(fmt::format("row {} is {} times in the {}", id, count, where));
    if (refused_.contains(id)) Fail(fmt::format("row {} was refused and is in the {}", id, where));
    if (!sent_.contains(id)) Fail(fmt::format("row {} in the {} was never sent", id, where));
  }
  for (const int64_t id : acknowledged_)
    if (!counts.contains(id))
      Fail(fmt::format("row {} was acknowledged and is not in the {}", id, where));
}

void World::CheckLog() {
  std::map<int64_t, uint64_t> counts;
  machine_->Run([&] {
    const auto reader = log::LogReader::Open(*machine_, std::string(kData) + "/log");
    if (!reader) return Fail("log reader: " + reader.error().ToString());
    const auto scanned =
        (*reader)->Scan({1}, {~0ULL >> 1}, [&](const log::EpochRef& epoch) -> base::Result<void> {
          for (const log::StreamRows& stream : epoch->streams)
            for (size_t row = 0; row < stream.rows.rows(); ++row) {
              const int64_t id = stream.rows.column(0).Int64s()[row];
              ++counts[id];
              if (sent_.contains(id)) accepted_[id] = sent_[id];
            }
          return {};
        });
    if (!scanned) Fail("log scan: " + scanned.error().ToString());
  });
  CheckRows("log", counts);
}

void World::CheckTable() {
  std::map<int64_t, uint64_t> counts;
  machine_->Run([&] {
    const auto table =
        tables::TableReader::Open(*machine_, std::string(kData) + "/tables/payments");
    if (!table) return Fail("table: " + table.error().ToString());
    const auto scanned =
        (*table)->Scan(definition_->streams[0].schema(),
                       [&](const tables::PositionedRows& part) -> base::Result<void> {
                         for (size_t row = 0; row < part.rows.rows(); ++row)
                           ++counts[part.rows.column(0).Int64s()[row]];
                         return {};
                       });
    if (!scanned) Fail("table scan: " + scanned.error().ToString());
  });
  CheckRows("table", counts);
}

// The oracle knows nothing of tiles, versions or exact sums: it adds up in long double, which is
// exact enough to tell a lost or a doubled payment.
void World::CheckAnswers() {
  for (int64_t card = 0; card < kCards; ++card) {
    serving::FeatureQuery query;
    query.service = "scoring";
    query.inputs = {{"card", {columns::Value::Int64(card)}}};
    base::Result<serving::FeatureAnswer> answer =
        base::Fail(base::ErrorCode::kInternal, "not asked");
    machine_->Run([&] { answer = core_->answers().Answer(query); });
    if (!answer) return Fail("no answer: " + answer.error().ToString());
    for (size_t window = 0; window < 2; ++window) {
      const int64_t from = answer->as_of.us - (window == 0 ? 1 : 6) * kHourUs;
      int64_t n = 0;
      long double spend = 0;
      bool known = false;
      for (const auto& [id, row] : accepted_) {
        if (row.card != card || row.paid_at_us > answer->as_of.us) continue;
        known = true;
        if (row.paid_at_us <= from) continue;
        ++n;
        spend += row.amount;
      }
      if (!known) continue;
      if (answer->values[window].is_null() || answer->values[window].as_int() != n)
        return Fail(fmt::format("card {} window {}: n is {}, {} rows are in the log", card, window,
                                answer->values[window].ToJson(), n));
      const columns::Value& sum = answer->values[2 + window];
      if (n > 0 && std::abs(sum.as_double() - static_cast<double>(spend)) > 1e-6)
        return Fail(fmt::format("card {} window {}: spend is {}, the rows add up to {}", card,
                                window, sum.ToJson(), static_cast<double>(spend)));
      ++outcome_.answers_checked;
    }
  }
}

Outcome World::Run() {
  while (outcome_.lives < kLives && !Failed()) {
    LiveOnce();
    if (!Failed()) EndLife();
  }
  if (!Failed()) Drain();
  if (!Failed()) CheckLog();
  if (!Failed()) CheckTable();
  if (!Failed()) CheckAnswers();
  for (const auto& [name, visits] : machine_->crash_point_visits())
    outcome_.crash_point_visits[name] += visits;
  outcome_.trace_hash = outcome_.trace_hash * 31 + machine_->trace_hash();
  outcome_.simulated += machine_->clock().Now();
  if (!Failed() && acknowledged_.size() < 100)
    Fail("hardly any row was accepted: the run shows nothing");
  if (!errors_.empty()) Fail("unexpected error line: " + errors_.front());
  return outcome_;
}

}  // namespace headrace::simulation

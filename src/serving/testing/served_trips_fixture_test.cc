#include "serving/testing/served_trips.h"

#include <gtest/gtest.h>

#include "columns/batch_builder.h"
#include "pipeline/logged_definition.h"
#include "pipeline/pipeline_file.h"

namespace headrace::serving::testing {
namespace {

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: trips
promise: {budget: {p99: 200ms}}
clock: CLOCK
inputs: {distance: int64}
streams:
  trips:
    contract: trips.yaml
    source: {http: push}
    time: {event: at, late: 1d}
views:
  origin: {from: trips, by: origin, over: [1h, 24h], features: {trips: count(*), mean_delay: avg(delay)}}
  route: {from: trips, by: [origin, destination], over: [24h], features: {trips: count(*)}}
  driver: {from: trips, by: driver, over: [1h], ttl: 2h, features: {late: share(delay > 15)}}
  seen: {from: trips, by: origin, over: [24h], features: {drivers: 'last_n(driver, 100)'}}
  often: {from: trips, by: origin, over: [24h], features: {drivers: 'top_k(driver, 2)'}}
on_request:
  fixed: 7 + 1
  trend: origin.mean_delay_1h - origin.mean_delay_24h
  late_by: distance * origin.trips_1h
services:
  trip: {features: [origin.*, route.*, trend]}
  fresh: FRESH
)";
constexpr std::string_view kFresh = "{features: [origin.trips_1h], max_lag: 10m}";

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: trips
name: Trips
version: 1.0.0
status: active
schema:
  - name: trips
    logicalType: object
    properties:
      - {name: at, logicalType: timestamp, physicalType: timestamp, required: true}
      - {name: origin, logicalType: string, physicalType: string, required: true}
      - {name: destination, logicalType: string, physicalType: string, required: true}
      - {name: driver, logicalType: integer, physicalType: int64, required: true}
      - {name: delay, logicalType: integer, physicalType: int64, required: true}
)";

pipeline::PipelineRef Definition(ClockOf clock, std::string_view fresh = kFresh) {
  std::string text(kPipeline);
  text.replace(text.find("FRESH"), 5, fresh);
  text.replace(text.find("CLOCK"), 5, clock == ClockOf::kEvents ? "events" : "wall");
  const auto checked = pipeline::CheckPipeline(
      "trips.yaml", text,
      [](const std::string&) -> base::Result<std::string> { return std::string(kContract); });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    ADD_FAILURE() << contract::Render(diagnostic, text);
  return checked.definition;
}

}  // namespace

void HandExecutor::RunDue() {
  for (size_t i = 0; i < tasks_.size();) {
    if (tasks_[i].first > clock_.now) {
      ++i;
      continue;
    }
    env::Task task = std::move(tasks_[i].second);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(i));
    task();
    i = 0;
  }
}

base::Timestamp Minute(int minute) { return {978'307'200'000'000 + minute * 60'000'000LL}; }

ServedTrips::ServedTrips(ClockOf clock_of, AnswerLimits limits) : definition(Definition(clock_of)) {
  views = std::make_unique<pipeline::ViewSet>(definition, budget, clock);
  views->BindStream(0, base::StreamId{1});
  log_clock = [this](env::MonotonicTime) { return clock.wall; };
  AnswerSources sources;
  sources.views = views.get();
  sources.log.bytes.fill(0xab);
  sources.log_clock = [this](env::MonotonicTime now) { return log_clock(now); };
  sources.waiting = &executor;
  sources.clock = &clock;
  sources.budget = &budget;
  sources.on_answer = [this](const FeatureAnswer& answer) { answered.push_back(answer); };
  auto made = AnswerService::Make(std::move(sources), limits);
  EXPECT_TRUE(made.has_value()) << made.error().ToString();
  service = std::move(*made);
}

log::Epoch ServedTrips::NextEpoch(const std::vector<Trip>& trips) {
  columns::BatchBuilder builder(definition->streams[0].schema());
  for (const Trip& trip : trips) {
    builder.column(0).AppendInt(Minute(trip.minute).us);
    builder.column(1).AppendText(trip.origin);
    builder.column(2).AppendText(trip.destination);
    builder.column(3).AppendInt(trip.driver);
    builder.column(4).AppendInt(trip.delay);
    newest_ = std::max(newest_, Minute(trip.minute));
  }
  epoch_ = epoch_.Next();
  log::Epoch epoch;
  epoch.id = epoch_;
  epoch.clock = newest_;
  epoch.streams.push_back({base::StreamId{1}, builder.Finish()});
  return epoch;
}

void ServedTrips::Apply(log::Epoch epoch) {
  const std::vector<log::EpochRef> epochs = {std::make_shared<const log::Epoch>(std::move(epoch))};
  views->Apply(epochs);
  service->MarkVisible(epoch_);
}

void ServedTrips::Apply(const std::vector<Trip>& trips) { Apply(NextEpoch(trips)); }

void ServedTrips::CutOver(const pipeline::PipelineRef& next, const std::vector<Trip>& trips) {
  views->BeginChange(next, {});
  log::Epoch epoch = NextEpoch(trips);
  epoch.controls.push_back(pipeline::EncodeEntry({.definition = next, .before = {}}));
  Apply(std::move(epoch));
}

pipeline::PipelineRef TripsWithFresh(const std::string& service) {
  return Definition(ClockOf::kEvents, service);
}

FeatureQuery Ask(std::string service, std::vector<std::pair<std::string, columns::Value>> inputs) {
  FeatureQuery query;
  query.service = std::move(service);
  for (auto& [name, value] : inputs) query.inputs.push_back({name, {std::move(value)}});
  return query;
}

}  // namespace headrace::serving::testing

// Every complaint, as it is printed: the code, the place, the line, the mark and the way out.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "pipeline/flights_fixture.h"

namespace headrace::pipeline {
namespace {

struct Mistake {
  std::string_view old;   // in the flights pipeline
  std::string_view what;  // stands there instead
  std::string_view rendered;
};

TEST(PipelineDiagnostics, SayWhatIsWrongAndWhatToDo) {
  const Mistake mistakes[] = {
      {"headrace: 1", "headrace: 2",
       "error[HR0201] pipeline.yaml:1:11  format `2` is not read by this version\n"
       "  1 | headrace: 2\n"
       "                ^  headrace: 1\n"},
      {"clock: events", "clok: events",
       "error[HR0110] pipeline.yaml:4:1  pipeline: no key `clok`\n"
       "  4 | clok: events\n"
       "      ^^^^  did you mean: clock?\n"},
      {"clock: events", "clock: moon",
       "error[HR0113] pipeline.yaml:4:8  `clock` can't be `moon`\n"
       "  4 | clock: moon\n"
       "             ^^^^  one of: wall, events\n"},
      {"{p99: 200ms}", "{p99: 200ms, p50: 1ms}",
       "error[HR0204] pipeline.yaml:3:19  a budget is one percentile below p100 and its time\n"
       "  3 | promise: {budget: {p99: 200ms, p50: 1ms}, outside: {network: 15ms}}\n"
       "                        ^  budget: {p99: 200ms}\n"},
      {"{p99: 200ms}", "{p99: 12ms}",
       "error[HR0203] pipeline.yaml:3:10  promise: 15ms are spent outside, the budget is 12ms\n"
       "  3 | promise: {budget: {p99: 12ms}, outside: {network: 15ms}}\n"
       "               ^  raise the budget, or spend less outside\n"},
      {"{p99: 200ms}", "{p99: soon}",
       "error[HR0115] pipeline.yaml:3:25  `p99` must be a span of time, here is `soon`\n"
       "  3 | promise: {budget: {p99: soon}, outside: {network: 15ms}}\n"
       "                              ^^^^  write it like 250ms, 90s, 10m, 1h, 7d or 2w\n"},
      {"contract: contracts/flights.yaml", "contract: contracts/flight.yaml",
       "error[HR0230] pipeline.yaml:7:15  contract `contracts/flight.yaml`: there is no such file\n"
       "  7 |     contract: contracts/flight.yaml\n"
       "                    ^^^^^^^^^^^^^^^^^^^^^  the path is relative to the pipeline file\n"},
      {"source: {flight: push}", "source: {kafka: \"b:9092\"}",
       "error[HR0202] pipeline.yaml:8:14  stream flights: source: `kafka` is not in this version\n"
       "  8 |     source: {kafka: \"b:9092\"}\n"
       "                   ^^^^^\n"},
      {"source: {flight: push}", "source: {}",
       "error[HR0111] pipeline.yaml:8:13  stream flights: source names no way in\n"
       "  8 |     source: {}\n"
       "                  ^  source: {flight: push}\n"},
      {"event: landed_at", "event: landed",
       "error[HR0214] pipeline.yaml:9:19  stream flights: no column `landed` in its contract\n"
       "  9 |     time: {event: landed, late: 1d}\n"
       "                        ^^^^^^  columns: flight_id, date, landed_at, delay, distance, "
       "origin, destination, fuel, seen_at\n"},
      {"event: landed_at", "event: delay",
       "error[HR0216] pipeline.yaml:9:19  stream flights: `delay` is int64, a time must be a "
       "timestamp\n"
       "  9 |     time: {event: delay, late: 1d}\n"
       "                        ^^^^^\n"},
      {"event: landed_at", "event: seen_at",
       "error[HR0216] pipeline.yaml:9:19  stream flights: `seen_at` may be missing, a time must be "
       "required\n"
       "  9 |     time: {event: seen_at, late: 1d}\n"
       "                        ^^^^^^^  write `required: true` in the contract\n"},
      {"late: 1d", "late: soon",
       "error[HR0115] pipeline.yaml:9:36  stream flights: time: `late` must be a span of time, "
       "here is `soon`\n"
       "  9 |     time: {event: landed_at, late: soon}\n"
       "                                         ^^^^  write it like 250ms, 90s, 10m, 1h, 7d or "
       "2w\n"},
      {"time: {event: landed_at, late: 1d}",
       "time: {event: landed_at}\n    history: {arrived: landed_at - 3s}",
       "error[HR0229] pipeline.yaml:10:24  stream flights: `arrived` can't be `landed_at - 3s`\n"
       "  10 |     history: {arrived: landed_at - 3s}\n"
       "                              ^^^^^^^^^^^^^^  a timestamp field, or one plus a span of "
       "time: paid_at + 3s\n"},
      {"from: flights\n    by: origin\n    over", "from: flight\n    by: origin\n    over",
       "error[HR0210] pipeline.yaml:12:11  view origin: no stream `flight`\n"
       "  12 |     from: flight\n"
       "                 ^^^^^^  did you mean: flights?\n"},
      {"from: flights\n    by: origin\n    over",
       "from: flights left join gates using (gate) within 1d\n    by: origin\n    over",
       "error[HR0210] pipeline.yaml:12:29  view origin: no stream `gates`\n"
       "  12 |     from: flights left join gates using (gate) within 1d\n"
       "                                   ^^^^^\n"},
      {"by: [origin, destination]", "by: [origin, dest]",
       "error[HR0214] pipeline.yaml:24:18  view route: no column `dest` in flights\n"
       "  24 |     by: [origin, dest]\n"
       "                        ^^^^  columns: flight_id, date, landed_at, delay, distance, "
       "origin, destination, fuel, seen_at\n"},
      {"by: [origin, destination]", "by: [origin, fuel]",
       "error[HR0227] pipeline.yaml:24:18  view route: `fuel` is float64 in the contract, and a "
       "key can't be a float\n"
       "  24 |     by: [origin, fuel]\n"
       "                        ^^^^  CAST is not possible here; make it an integer or a string in "
       "the contract\n"},
      {"by: [origin, destination]", "by: [origin, origin]",
       "error[HR0227] pipeline.yaml:24:18  view route: `origin` is in the key twice\n"
       "  24 |     by: [origin, origin]\n"
       "                        ^^^^^^\n"},
      {"over: [7d, 24h]", "over: [1d, 24h]",
       "error[HR0223] pipeline.yaml:25:16  view route: `over`: 1d and 24h are the same window\n"
       "  25 |     over: [1d, 24h]\n"
       "                      ^^^\n"},
      {"over: [7d, 24h]", "over: []",
       "error[HR0223] pipeline.yaml:25:11  view route: `over` has no window\n"
       "  25 |     over: []\n"
       "                 ^  leave it out to count from the beginning\n"},
      {"over: [7d, 24h]", "over: 7d\n    ending: 7d",
       "error[HR0223] pipeline.yaml:26:13  view route: `ending` can't be `7d`\n"
       "  26 |     ending: 7d\n"
       "                   ^^  write it like 7d ago\n"},
      {"over: [7d, 24h]", "over: 7d\n    where: delay",
       "error[HR0228] pipeline.yaml:26:12  view route: `where` is int64, not true or false\n"
       "  26 |     where: delay\n"
       "                  ^^^^^\n"},
      {"over: [7d, 24h]", "over: 7d\n    where: delay > = 3",
       "error[HR0217] pipeline.yaml:26:20  view route: `=` where a value should be\n"
       "  26 |     where: delay > = 3\n"
       "                          ^\n"},
      {"over: [7d, 24h]", "over: 7d\n    self: perhaps",
       "error[HR0113] pipeline.yaml:26:11  view route: `self` can't be `perhaps`\n"
       "  26 |     self: perhaps\n"
       "                 ^^^^^^^  one of: included, excluded\n"},
      {"over: [7d, 24h]", "tumbling: 1d",
       "error[HR0223] pipeline.yaml:25:15  view route: `tumbling` can't be `1d`\n"
       "  25 |     tumbling: 1d\n"
       "                     ^^  write `this 1d`, the one so far, or `previous 1d`\n"},
      {"avg(delay)\n      max", "sum(origin)\n      max",
       "error[HR0215] pipeline.yaml:17:23  view origin: sum() takes a number, the contract says "
       "that `origin` is string\n"
       "  17 |       mean_delay: sum(origin)\n"
       "                             ^^^^^^  change its type in the contract, or CAST it here; "
       "string is taken by: count, min, "
       "max, last, first, count_distinct, approx_distinct, first_n, last_n, top_k, top_k_counts, "
       "values, decayed_count\n"},
      {"avg(delay)\n      max", "avg(delay) + 1\n      max",
       "error[HR0222] pipeline.yaml:17:30  view origin: after the aggregate only `where` and a "
       "condition may follow\n"
       "  17 |       mean_delay: avg(delay) + 1\n"
       "                                    ^^^  combine features under on_request\n"},
      {"avg(delay)\n      max", "delay\n      max",
       "error[HR0222] pipeline.yaml:17:19  view origin: a feature is one aggregate, here is "
       "`delay`\n"
       "  17 |       mean_delay: delay\n"
       "                         ^^^^^  as sum(amount); combine features under on_request\n"},
      {"avg(delay)\n      max", "averge(delay)\n      max",
       "error[HR0220] pipeline.yaml:17:19  view origin: no aggregate averge()\n"
       "  17 |       mean_delay: averge(delay)\n"
       "                         ^^^^^^  there are: count, sum, avg, mean, min, max, share, "
       "quantile, approx_percentile, approx_quantile, last, last_value, first, first_value, "
       "var_samp, variance, variance_samp, var_pop, variance_pop, stddev_samp, stddev, stddev_pop, "
       "count_distinct, approx_distinct, approx_count_distinct, rate, time_since_last, first_n, "
       "first_k, last_n, last_k, top_k, topk, top_k_counts, topk_counts, values, collect_set, "
       "decayed_sum, decayed_count\n"},
      {"avg(delay)\n      max", "median(delay)\n      max",
       "error[HR0220] pipeline.yaml:17:19  view origin: no aggregate median()\n"
       "  17 |       mean_delay: median(delay)\n"
       "                         ^^^^^^  write quantile(x, 0.5)\n"},
      {"avg(delay)\n      max", "avg(tanh(delay))\n      max",
       "error[HR0231] pipeline.yaml:17:23  view origin: tanh() is not in this version: the C "
       "library's differs between CPUs, and no pinned implementation of it is in\n"
       "  17 |       mean_delay: avg(tanh(delay))\n"
       "                             ^^^^^^^^^^^\n"},
      {"avg(delay)\n      max", "avg(hour(landed_at AT TIME ZONE 'Europe/Berln'))\n      max",
       "error[HR0218] pipeline.yaml:17:51  view origin: no time zone 'Europe/Berln' in tz database "
       "2026f\n"
       "  17 |       mean_delay: avg(hour(landed_at AT TIME ZONE 'Europe/Berln'))\n"
       "                                                         ^^^^^^^^^^^^^^  did you mean: "
       "Europe/Berlin, Europe/Dublin, Europe/Jersey?\n"},
      {"avg(delay)\n      max", "avg(lower(origin))\n      max",
       "error[HR0221] pipeline.yaml:17:23  view origin: avg() takes a number, this is string\n"
       "  17 |       mean_delay: avg(lower(origin))\n"
       "                             ^^^^^^^^^^^^^  string is taken by: count, min, "
       "max, last, first, count_distinct, approx_distinct, first_n, last_n, top_k, top_k_counts, "
       "values, decayed_count\n"},
      {"avg(delay)\n      max", "avg(*)\n      max",
       "error[HR0221] pipeline.yaml:17:23  view origin: avg() does not take *\n"
       "  17 |       mean_delay: avg(*)\n"
       "                             ^  as avg(amount)\n"},
      {"avg(delay)\n      max", "avg(delay, 2)\n      max",
       "error[HR0221] pipeline.yaml:17:19  view origin: avg() takes one argument, here are 2\n"
       "  17 |       mean_delay: avg(delay, 2)\n"
       "                         ^^^^^^^^^^^^^  as avg(amount)\n"},
      {"share(delay > 15)", "share(delay)",
       "error[HR0228] pipeline.yaml:19:25  view origin: share() takes a condition, `delay` is "
       "int64\n"
       "  19 |       late_share: share(delay)\n"
       "                               ^^^^^  as share(amount > 10)\n"},
      {"quantile(delay, 0.9)", "quantile(delay, 90)",
       "error[HR0221] pipeline.yaml:20:34  view origin: quantile() takes a number and a rank in "
       "(0, 1]\n"
       "  20 |       p90_delay: quantile(delay, 90)\n"
       "                                        ^^  as quantile(items, 0.9, error 1%)\n"},
      {"quantile(delay, 0.9)", "quantile(delay, 0.9, error 1e-9)",
       "error[HR0221] pipeline.yaml:20:39  view origin: the error of quantile() is from 0.0001% to "
       "25%\n"
       "  20 |       p90_delay: quantile(delay, 0.9, error 1e-9)\n"
       "                                             ^^^^^^^^^^  as quantile(items, 0.9, error "
       "1%)\n"},
      {"count(*)\n      mean", "count(*) where delay\n      mean",
       "error[HR0228] pipeline.yaml:16:31  view origin: the condition is not true or false\n"
       "  16 |       flights: count(*) where delay\n"
       "                                     ^^^^^\n"},
      {"{flights: count(*), mean_delay: avg(delay)}", "{p: quantile(delay, [0.9])}",
       "error[HR0106] pipeline.yaml:26:35  a key must be a plain text\n"
       "  26 |     features: {p: quantile(delay, [0.9])}\n"
       "                                         ^\n"},
      {"last(destination)", "rate(*)",
       "error[HR0224] pipeline.yaml:30:59  view origin_last: rate() is per second of a window, and "
       "without `over` there is none\n"
       "  30 |     features: {last_delay: last(delay), last_destination: rate(*)}\n"
       "                                                                 ^^^^  add `over: 24h`\n"},
      {"over: [7d, 24h]\n    features: {flights", "over: [7d, 24h]\n    features: {1flights",
       "error[HR0116] pipeline.yaml:26:16  view route: feature: `1flights` is no name\n"
       "  26 |     features: {1flights: count(*), mean_delay: avg(delay)}\n"
       "                      ^^^^^^^^  letters, digits and underscores, at most 64, no digit "
       "first\n"},
      {"origin.mean_delay_1h - origin.mean_delay_24h", "origin.mean_delay_2h",
       "error[HR0212] pipeline.yaml:31:27  on_request delay_trend: no feature or input "
       "`origin.mean_delay_2h`\n"
       "  31 | on_request: {delay_trend: origin.mean_delay_2h}\n"
       "                                 ^^^^^^^^^^^^^^^^^^^^  did you mean: origin.mean_delay_1h, "
       "origin.mean_delay_6h, origin.mean_delay_24h?\n"},
      {"origin.mean_delay_1h - origin.mean_delay_24h", "origin.mean_delay_1h / speed",
       "error[HR0212] pipeline.yaml:31:50  on_request delay_trend: no feature or input `speed`\n"
       "  31 | on_request: {delay_trend: origin.mean_delay_1h / speed}\n"
       "                                                        ^^^^^  what the request brings is "
       "declared under `inputs`\n"},
      {"[origin.*, route.*,", "[origins.*, route.*,",
       "error[HR0211] pipeline.yaml:32:35  service departure: no view `origins`\n"
       "  32 | services: {departure: {features: [origins.*, route.*, origin_last.*, "
       "delay_trend]}}\n"
       "                                         ^^^^^^^  did you mean: origin?\n"},
      {"[origin.*, route.*,", "[origin.*, origin.flights_1h, route.*,",
       "error[HR0225] pipeline.yaml:32:45  service departure: `origin.flights_1h` is there twice\n"
       "  32 | services: {departure: {features: [origin.*, origin.flights_1h, route.*, "
       "origin_last.*, delay_trend]}}\n"
       "                                                   ^^^^^^^^^^^^^^^^^\n"},
      {"[origin.*, route.*,", "[origin.flights, route.*,",
       "error[HR0212] pipeline.yaml:32:35  service departure: no feature `origin.flights`\n"
       "  32 | services: {departure: {features: [origin.flights, route.*, origin_last.*, "
       "delay_trend]}}\n"
       "                                         ^^^^^^^^^^^^^^  did you mean: origin.flights_1h, "
       "origin.flights_6h, origin.flights_24h?\n"},
      {"tables: {flights:", "tables: {fights:",
       "error[HR0210] pipeline.yaml:33:10  table fights: no stream of that name\n"
       "  33 | tables: {fights: {commit: 2s}}\n"
       "                ^^^^^^  did you mean: flights?\n"},
      {"{commit: 2s}", "{commit: 2s, format: iceberg}",
       "error[HR0202] pipeline.yaml:33:40  table flights: format `iceberg` is not in this version\n"
       "  33 | tables: {flights: {commit: 2s, format: iceberg}}\n"
       "                                              ^^^^^^^  format: delta\n"},
      {"clock: events", "clock: events\nmemory: 4 gigs",
       "error[HR0114] pipeline.yaml:5:9  `memory` must be at least 64MiB, here is `4 gigs`\n"
       "  5 | memory: 4 gigs\n"
       "              ^^^^^^  write it like 4GiB\n"},
      {"clock: events",
       "clock: events\nmemory: 64MiB\nconsumers: {board: {reads: service departures, staleness: "
       "5m, error: 1}}",
       "error[HR0213] pipeline.yaml:6:28  consumer board: no service `departures`\n"
       "  6 | consumers: {board: {reads: service departures, staleness: 5m, error: 1}}\n"
       "                                 ^^^^^^^^^^^^^^^^^^  did you mean: departure?\n"
       "error[HR0114] pipeline.yaml:6:70  consumer board: `error` must be a percentage, here is "
       "`1`\n"
       "  6 | consumers: {board: {reads: service departures, staleness: 5m, error: 1}}\n"
       "                                                                           ^  write it "
       "like 0.84%\n"},
      {"late: 1d}", "late: 1d}\n    rate: {mean: 20k/s}",
       "error[HR0205] pipeline.yaml:12:3  the views need at least 335.8 GiB, memory is 4.0 GiB: "
       "view route alone takes 270.6 GiB\n"
       "  12 |   origin:\n"
       "         ^  say how many keys there are (`rate: {mean: 25/s, cards: 2M}`) to be told what "
       "`precision` fits, or shorten windows, raise `memory`, or correct `rate`\n"},
      {"pipeline: flights", "pipeline: \"my shop!\"",
       "error[HR0116] pipeline.yaml:2:11  pipeline: `my shop!` is no name\n"
       "  2 | pipeline: \"my shop!\"\n"
       "                ^^^^^^^^^^  letters, digits, underscores and dashes, at most 64, no dash "
       "first\n"},
      {"late: 1d}", "late: 1d}\n    rate: {maen: 25/s, orign: 2M}",
       "error[HR0110] pipeline.yaml:10:12  stream flights: rate: no key `maen`\n"
       "  10 |     rate: {maen: 25/s, orign: 2M}\n"
       "                  ^^^^  did you mean: mean?\n"
       "error[HR0110] pipeline.yaml:10:24  stream flights: rate: no key `orign`\n"
       "  10 |     rate: {maen: 25/s, orign: 2M}\n"
       "                              ^^^^^  did you mean: origin?\n"},
  };
  for (const Mistake& mistake : mistakes)
    EXPECT_EQ(Rendered(With(mistake.old, mistake.what)), mistake.rendered) << mistake.what;
}

TEST(PipelineDiagnostics, ARateHasNumbersOfKeysUnderTheNamesOfColumns) {
  for (const char* name : {"origin", "origins", "flight_id", "flights"})
    EXPECT_EQ(Rendered(With("late: 1d}",
                            "late: 1d}\n    rate: {mean: 1/d, " + std::string(name) + ": 300}")),
              "")
        << name;
}

TEST(PipelineDiagnostics, EverythingIsSaidAtOnceInTheOrderOfTheFile) {
  std::string text = With("avg(delay)\n      max", "avg(delai)\n      max");
  text.replace(text.find("clock"), 5, "clok");
  const CheckedPipeline checked = Check(text);
  ASSERT_EQ(checked.diagnostics.size(), 2U)
      << "what depends on the broken view is not complained about again";
  EXPECT_EQ(checked.diagnostics[0].code, "HR0110");
  EXPECT_EQ(checked.diagnostics[1].code, "HR0214");
}

TEST(PipelineDiagnostics, AContractsErrorsComeWithItsFile) {
  std::string contract(kFlightsContract);
  contract.replace(contract.find("minimum"), 7, "minimun");
  const CheckedPipeline checked = CheckPipeline("pipeline.yaml", kFlightsPipeline,
                                                Files({{"contracts/flights.yaml", contract}}));
  EXPECT_EQ(checked.definition, nullptr);
  ASSERT_EQ(checked.diagnostics.size(), 1U);
  EXPECT_EQ(checked.diagnostics[0].file, "contracts/flights.yaml");
  EXPECT_EQ(checked.diagnostics[0].code, "HR0135");
}

TEST(PipelineDiagnostics, TextsInBracesMayHoldCommas) {
  EXPECT_EQ(Rendered(With("{flights: count(*), mean_delay: avg(delay)}",
                          "{p90: quantile(delay, 0.9), p50: quantile(coalesce(delay, 0), 0.5, "
                          "error 2%), flights: count(*)}")),
            "");
  EXPECT_EQ(Rendered(With("origin.mean_delay_1h - origin.mean_delay_24h",
                          "origin.mean_delay_1h / nullif(origin.mean_delay_24h, 0)")),
            "");
  EXPECT_EQ(Rendered(With("{flights: count(*), mean_delay: avg(delay)}",
                          "{p90: quantile(delay, 0.9: 1}")),
            "error[HR0226] pipeline.yaml:26:21  view route: a comma inside {braces} ended the text "
            "at `quantile(delay`\n"
            "  26 |     features: {p90: quantile(delay, 0.9: 1}\n"
            "                           ^^^^^^^^^^^^^^  quote the whole expression: \"...\"\n");
}

// In an expression "a" is a column and 'a' a text, in braces as elsewhere.
TEST(PipelineDiagnostics, QuotedPiecesInBracesStayWhatTheyAre) {
  const auto last_argument = [](const std::string& features) {
    const CheckedPipeline checked =
        Check(With("{flights: count(*), mean_delay: avg(delay)}", features));
    return checked.definition == nullptr
               ? std::string("refused")
               : checked.definition->views[*checked.definition->ViewNamed("route")]
                     .arguments.back()
                     .text();
  };
  EXPECT_EQ(last_argument("{flights: count(*), mean_delay: avg(coalesce(delay, \"delay\", 0))}"),
            "coalesce(delay,  \"delay\", 0)");
  EXPECT_EQ(last_argument("{flights: count(*), mean_delay: avg(coalesce(delay, \"nothing\", 0))}"),
            "refused");
  EXPECT_EQ(last_argument(
                "{flights: count(*), mean_delay: avg(length(concat(origin, '''', destination)))}"),
            "length(concat(origin,  '''', destination))");
}

TEST(PipelineDiagnostics, InputsOfTheRequest) {
  std::string text =
      With("origin.mean_delay_1h - origin.mean_delay_24h", "origin.mean_delay_1h * distance");
  text += "inputs: {distance: int64}\n";
  const CheckedPipeline checked = Check(text);
  ASSERT_NE(checked.definition, nullptr) << Rendered(text);
  const columns::Schema& inputs = *checked.definition->on_request[0].inputs;
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs.field(0).name, "origin.mean_delay_1h") << "features come before inputs";
  EXPECT_EQ(inputs.field(1).type, columns::Type::kInt64);
}

// Whatever stands in the file, the answer is a definition or a reason, and the reason can be
// printed.
TEST(PipelineFileProperty, AnyBytesCheckOrSayWhy) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 11;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kBytes = "{}[]():,-'\"&*!|>#%@ \n\t?~a0";
  const FileSource files = FlightFiles();
  for (int round = 0; round < 1500; ++round) {
    std::string text(kFlightsPipeline);
    for (size_t i = 0; i < 1 + random() % 5; ++i) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, random() % 20);
      else if (random() % 2 == 0)
        text.insert(at, 1, kBytes[random() % kBytes.size()]);
      else
        text[at] =
            random() % 5 == 0 ? static_cast<char>(random()) : kBytes[random() % kBytes.size()];
    }
    const CheckedPipeline checked = CheckPipeline("pipeline.yaml", text, files);
    const bool error =
        std::any_of(checked.diagnostics.begin(), checked.diagnostics.end(),
                    [](const auto& d) { return d.severity == contract::Severity::kError; });
    ASSERT_EQ(checked.definition == nullptr, error) << text;
    for (const contract::Diagnostic& d : checked.diagnostics) ASSERT_FALSE(Render(d, text).empty());
  }
}

}  // namespace
}  // namespace headrace::pipeline

#include "pipeline/pipeline_file_keys.h"

#include <algorithm>
#include <array>

namespace headrace::pipeline {
namespace {

using enum Section;
using enum Shape;
constexpr Support kLater = Support::kLater;

constexpr std::array kKeys = {
    KeyRow{kPipeline, "headrace", kInteger, "Version of the file's format. Always 1.", "1"},
    KeyRow{kPipeline, "pipeline", kName, "The pipeline's name: letters, digits, _ and -.",
           "flights"},
    KeyRow{kPipeline,
           "promise",
           kSection,
           "What is promised, how fast, and what a miss costs.",
           "{budget: {p99: 200ms}}",
           {},
           kPromise},
    KeyRow{kPipeline, "clock", kChoice,
           "What \"now\" is: the wall clock, or the largest event time so far (for replays).",
           "events", "wall events"},
    KeyRow{kPipeline, "memory", kSize, "Budget of the whole process; 4GiB unless said.", "4GiB"},
    KeyRow{
        kPipeline, "recovery", kDuration,
        "How long a start after a crash may take: decides how often the state is written to disk; "
        "10s unless said.",
        "3s"},
    KeyRow{kPipeline,
           "log",
           kSection,
           "How events are kept on disk.",
           "{durability: fsync, bytes_max: 64GiB}",
           {},
           kLog},
    KeyRow{kPipeline,
           "consumers",
           kMapOfSection,
           "Who reads, how, how stale, how wrong.",
           "{board: {reads: flights, staleness: 5m}}",
           {},
           kConsumer},
    KeyRow{kPipeline,
           "streams",
           kMapOfSection,
           "Events that come in.",
           "{flights: {contract: contracts/flights.yaml, source: {flight: push}, time: {event: "
           "landed_at}}}",
           {},
           kStream},
    KeyRow{kPipeline,
           "views",
           kMapOfSection,
           "Aggregates of a stream's rows per key.",
           "{origin: {from: flights, by: origin, over: 1h, features: {flights: count(*)}}}",
           {},
           kView},
    KeyRow{kPipeline, "inputs", kMapOfText,
           "Names and types of what only the request knows, for on_request.", "{distance: int64}"},
    KeyRow{kPipeline, "on_request", kMapOfText,
           "Features computed when asked, from view.feature names and inputs.",
           "{trend: origin.flights_1h - origin.flights_24h}"},
    KeyRow{kPipeline,
           "services",
           kMapOfSection,
           "Named lists of features that are answered together.",
           "{departure: {features: [origin.*]}}",
           {},
           kService},
    KeyRow{kPipeline,
           "tables",
           kMapOfSection,
           "Streams that are published as open tables.",
           "{flights: {commit: 2s}}",
           {},
           kTable},
    KeyRow{kPipeline,
           "releases",
           kMapOfSection,
           "Vectors that switch together.",
           "",
           {},
           kPipeline,
           kLater},
    KeyRow{kPipeline,
           "pin",
           kMapOfText,
           "Overrides what the plan derives.",
           "",
           {},
           kPipeline,
           kLater},

    KeyRow{kPromise, "budget", kMapOfDuration,
           "One percentile and its time, from the event sent to the answer possible.",
           "{p99: 200ms}"},
    KeyRow{kPromise, "outside", kMapOfDuration,
           "Time inside the promise that is spent outside Headrace.",
           "{network: 15ms, model: 35ms}"},
    KeyRow{kPromise,
           "on_miss",
           kSection,
           "What a late answer costs.",
           "{costs: $85, in: 0.84%, because: we eat the chargeback}",
           {},
           kOnMiss},
    KeyRow{kPromise, "at_deadline", kChoice,
           "What a push and get is answered when its time is up, unless a consumer or the request "
           "says; refuse unless said.",
           "last_known", "last_known defaults refuse"},
    KeyRow{kOnMiss, "costs", kMoney, "Cost of one miss that matters.", "$85"},
    KeyRow{kOnMiss, "in", kPercent, "Share of misses that matter.", "0.84%"},
    KeyRow{kOnMiss, "because", kText, "Why, for people.", "we eat the chargeback"},

    KeyRow{
        kLog, "durability", kChoice,
        "What an acknowledgement waits for: the disk (fsync), or only the operating system (os), "
        "which a power cut can undo.",
        "fsync", "fsync os"},
    KeyRow{kLog, "bytes_max", kSize,
           "Bytes of the log on disk; at it events are refused. 64GiB unless said.", "64GiB"},
    KeyRow{
        kLog, "keep", kDuration,
        "How long rows stay in the log that tables and snapshots have; until three quarters of "
        "bytes_max are used unless said. A stream without a table then loses rows that are older.",
        "1d"},

    KeyRow{kConsumer, "reads", kText, "A stream, a view, or `service NAME`.", "service departure"},
    KeyRow{kConsumer, "pattern", kText, "How it reads, in words or as a predicate.", "one airport"},
    KeyRow{kConsumer, "sees", kText, "What it must see.", "own event"},
    KeyRow{kConsumer, "at_deadline", kChoice,
           "What a push and get of its service is answered when its time is up, unless the request "
           "says.",
           "last_known", "last_known defaults refuse"},
    KeyRow{
        kConsumer, "provisional", kChoice,
        "Whether a push and get of its service may be answered before the event is durable, when "
        "the request asks for that; refused unless said.",
        "allowed", "allowed refused"},
    KeyRow{kConsumer, "staleness", kDuration, "How old its data may be.", "5m"},
    KeyRow{kConsumer, "error", kPercent, "How wrong its numbers may be.", "1%"},
    KeyRow{kConsumer, "keep", kDuration,
           "How long it needs the rows; here y is a year of 365 days.", "7y"},
    KeyRow{kConsumer, "model", kText, "The model behind it.", "models/fraud.onnx"},

    KeyRow{kStream, "contract", kText,
           "File of its ODCS contract, relative to this file; #NAME picks a schema object.",
           "contracts/flights.yaml"},
    KeyRow{kStream, "compatibility", kChoice,
           "What a change of the contract must leave readable: rows of before (backward, unless "
           "said), or also rows of after by who knows the contract of before.",
           "backward", "backward forward full"},
    KeyRow{kStream, "source", kSection, "How events come in.", "{flight: push}", {}, kSource},
    KeyRow{kStream,
           "time",
           kSection,
           "Which field is the event time, and how late it may be.",
           "{event: landed_at, late: 1d}",
           {},
           kTime},
    KeyRow{kStream,
           "rate",
           kSection,
           "Events a second, and numbers of keys under the names of columns, for planning and "
           "memory. `card_id` may also be called card or cards.",
           "{mean: 25/s, peak: 300/s, cards: 2M}",
           {},
           kRate},
    KeyRow{kStream,
           "history",
           kSection,
           "Past rows, and when they became known.",
           "{arrived: landed_at + 3s}",
           {},
           kHistory},
    KeyRow{
        kStream, "from", kText,
        "Makes it a derived stream, of rows of a stream above it, which may be joined to another "
        "one. It has no contract, source and time of its own.",
        "payments left join chargebacks using (payment_id) within 90d"},
    KeyRow{kStream,
           "unnest",
           kSection,
           "Of a derived stream: a row for each element of a list.",
           "{list: lines}",
           {},
           kUnnest},
    KeyRow{kUnnest, "list", kName,
           "The column with the list: a text that is a JSON array. The element takes its place.",
           "lines"},
    KeyRow{kUnnest, "as", kChoice,
           "What an element is: JSON, or a text without quotes if it is one; json unless said.",
           "text", "json text"},
    KeyRow{kUnnest, "at_most", kInteger,
           "Elements of a list; those behind are left out, and counted. 100 unless said, at most "
           "1000.",
           "200"},
    KeyRow{kUnnest, "empty", kChoice,
           "What becomes of a row without elements: left_out (unless said); or kept, with NULL for "
           "element and ordinal.",
           "kept", "left_out kept"},
    KeyRow{kUnnest, "element", kName, "The element's name; element unless said.", "line"},
    KeyRow{kUnnest, "ordinal", kName,
           "The name of its place in the list, 1 the first; ordinal unless said.", "line_number"},
    KeyRow{kStream, "derive", kMapOfText,
           "Of a derived stream: new columns, computed from those of `from`.",
           "{cents: cast(amount * 100 as bigint)}"},
    KeyRow{kStream, "where", kText,
           "Of a derived stream: rows for which it is not true are left out. Reads the columns of "
           "`from` and of `derive`.",
           "status = 'authorised'"},
    KeyRow{
        kStream, "select", kTexts,
        "Of a derived stream: the columns that stay, the event time among them; all unless said.",
        "[card, cents, paid_at]"},
    KeyRow{kStream, "drop", kTexts, "Of a derived stream: columns that do not stay.", "[email]"},
    KeyRow{kStream,
           "dedupe",
           kSection,
           "Of a derived stream: leaves out rows that repeat an earlier one.",
           "{by: payment_id, within: 1d}",
           {},
           kDedupe},
    KeyRow{kDedupe, "by", kTexts, "The columns that a repeat has in common with the first.",
           "payment_id"},
    KeyRow{kDedupe, "within", kDuration,
           "How far apart in event time, either way, a repeat and the first may be.", "1d"},
    KeyRow{kSource, "flight", kChoice, "Arrow Flight DoPut.", "push", "push"},
    KeyRow{kSource, "http", kChoice, "POST of JSON.", "push", "push"},
    KeyRow{kSource, "delta", kText,
           "Folder of a Delta table that others write, relative to this file: what is added to it "
           "comes in.",
           "lake/shops"},
    KeyRow{kSource, "every", kDuration,
           "Of `delta`: how often the table is looked at; 10s unless said, at least 100ms.", "1m"},
    KeyRow{kSource, "from", kText,
           "Of `delta`: `earliest` (what it holds, then what is added; unless said), `now`, or the "
           "number of the first version.",
           "earliest"},
    KeyRow{kSource, "changes", kChoice,
           "Of `delta`: at a version that updates or deletes rows the source stops (unless said), "
           "passes it over, or takes the rows that were not there before.",
           "new_rows", "stop skip new_rows"},
    KeyRow{kSource, "kafka", kText, "Brokers.", "", {}, kPipeline, kLater},
    KeyRow{kSource, "topic", kText, "Topic in Kafka.", "", {}, kPipeline, kLater},
    KeyRow{kSource, "files", kText, "A folder that is watched.", "", {}, kPipeline, kLater},
    KeyRow{kTime, "event", kName, "The field with the event time: a required timestamp.",
           "landed_at"},
    KeyRow{kTime, "late", kDuration,
           "How far behind the newest event time a row may be; 10m unless said.", "1d"},
    KeyRow{kTime, "max_ahead", kDuration,
           "How far ahead of the clock a row may be; 1m, or 1d under clock: events, unless said.",
           "1m"},
    KeyRow{kTime,
           "idle_after",
           kDuration,
           "When a quiet partition stops holding the watermark of the others; a pushed stream has "
           "one. A source that is alive sends heartbeats.",
           "",
           {},
           kPipeline,
           kLater},
    KeyRow{kRate, "mean", kAmount, "Events on average.", "25/s"},
    KeyRow{kRate, "peak", kAmount, "Events at the busiest.", "300/s"},
    KeyRow{kHistory, "files", kText, "Where past rows are; feed them with `headrace ingest`.",
           "history/"},
    KeyRow{
        kHistory, "arrived", kText,
        "When a past row became known: a timestamp field, plus a duration. Assumed, and said so.",
        "landed_at + 3s"},

    KeyRow{kView, "from", kText, "The stream, or a join as `from` of a derived stream has it.",
           "flights"},
    KeyRow{kView, "by", kTexts, "The fields that make the key.", "[origin, destination]"},
    KeyRow{kView, "where", kText, "Rows for which it is not true are left out.",
           "status = 'authorised'"},
    KeyRow{kView, "over", kDurations,
           "Sliding windows; features are named feature_window. Without any window: since the "
           "beginning.",
           "[1h, 6h, 24h]"},
    KeyRow{kView, "tumbling", kTexts,
           "Spans of time behind one another: the one that now is in, so far (`this 1d`), or the "
           "whole one before it (`previous 1d`). Whole days begin at midnight, weeks on Mondays.",
           "[this 1d, previous 1d]"},
    KeyRow{kView, "zone", kText,
           "Whose midnights begin the days of tumbling windows; UTC unless said.", "Europe/Berlin"},
    KeyRow{kView, "hopping", kTexts,
           "The last whole span of time that ended at a multiple of another.", "1h every 5m"},
    KeyRow{
        kView, "session", kTexts,
        "The newest rows with no longer gap between two of them: of the session that goes on now "
        "(`this 30m`), or of the newest one, whether it does or not (`last 30m`).",
        "[this 30m, last 30m]"},
    KeyRow{kView, "within", kDuration, "How far back sessions are looked for; 24h unless said.",
           "24h"},
    KeyRow{kView, "last", kMapOfMapOfText,
           "The newest rows, up to a number, with features of their own: aggregates, or an "
           "expression whose values are wanted.",
           "{50: {recent: shop, spent: sum(amount)}}"},
    KeyRow{kView, "ending", kText, "All windows of the view end so long before now.", "7d ago"},
    KeyRow{
        kView, "self", kChoice,
        "Whether a row that is being scored counts itself: in the answer to its push, in answers "
        "as "
        "of a row, and in training for labels that are rows (`--exclude`). A lookup names no row.",
        "included", "included excluded"},
    KeyRow{kView, "features", kMapOfText,
           "Names and aggregates: count(*), sum(amount) where status = 'paid'.",
           "{flights: count(*)}"},
    KeyRow{kView, "ttl", kDuration,
           "A key whose newest event is older answers OUTSIDE_MAX_AGE; older by the longest window "
           "as well, it is forgotten: NOT_FOUND (not without windows, nor with `last`).",
           "7d"},
    KeyRow{kView, "history", kDuration,
           "How far back an earlier epoch is answered from memory; 10m unless said.", "10m"},
    KeyRow{kView, "precision", kDuration,
           "Sliding windows begin at the first multiple of it that is inside; rows older than "
           "`history` are then added up in tiles of this length, where that takes less memory.",
           "5m"},

    KeyRow{kService, "features", kTexts,
           "view.feature, view.* or a name of on_request. `view.feature as name` is answered under "
           "that name, which is no other feature's, key's or input's.",
           "[origin.*, trend, route.flights_1h as flights]"},
    KeyRow{kService, "max_lag", kDuration,
           "A source that was not heard of for longer makes the features OUTSIDE_MAX_AGE.", "5s"},
    KeyRow{kService, "defaults", kMapOfValue,
           "What its features are, by alias if they have one, with `at_deadline: defaults`; null "
           "unless said.",
           "{origin.flights_1h: 0}"},
    KeyRow{kService, "candidates", kMapOfText, "Nearest neighbours.", "", {}, kPipeline, kLater},

    KeyRow{kTable, "commit", kDuration, "How often the table is committed; 5s unless said.", "2s"},
    KeyRow{kTable, "format", kChoice, "The table format.", "delta", "delta"},
    KeyRow{kTable,
           "optimize",
           kSection,
           "How its files are rewritten, again and again; without it by hand only "
           "(`headrace optimize`).",
           "{every: 1h}",
           {},
           kOptimize},
    KeyRow{kTable, "type_widening", kChoice,
           "Whether its columns may get wider types with the contract's fields. That takes Delta's "
           "`typeWidening`, which DuckDB and Spark (Delta 4) read, and delta-rs and Polars do not; "
           "refused unless said.",
           "allowed", "allowed refused"},

    KeyRow{
        kOptimize, "every", kDuration,
        "How often, from the start on; 1h unless said. One that is not done when the next is due "
        "goes on.",
        "1h"},
    KeyRow{kOptimize, "where", kText,
           "Only files that may have a row that fits: conditions joined by `and`; `now - 2d` and "
           "`day(column) = yesterday` are understood.",
           "day(landed_at) = yesterday"},
    KeyRow{kOptimize, "z_order", kTexts,
           "Rows that are alike in these columns are put together, so that who asks for some of "
           "them reads few files. Only columns that a reader of the table filters on; `auto`: "
           "those. Without it small files are packed, in their order.",
           "[origin, destination]"},
    KeyRow{kOptimize, "target", kSize,
           "Size of the files that are made; 128MiB unless said, 16MiB with `z_order`.", "128MiB"},
};

}  // namespace

std::span<const KeyRow> KeyTable() { return kKeys; }

const KeyRow* KeyNamed(Section section, std::string_view key) {
  const auto row = std::find_if(kKeys.begin(), kKeys.end(), [&](const KeyRow& r) {
    return r.section == section && r.key == key;
  });
  return row == kKeys.end() ? nullptr : &*row;
}

std::vector<std::string_view> KeysOf(Section section) {
  std::vector<std::string_view> keys;
  for (const KeyRow& row : kKeys)
    if (row.section == section) keys.push_back(row.key);
  return keys;
}

std::string_view NameOf(Section section) {
  switch (section) {
    case kPipeline: return "pipeline";
    case kPromise: return "promise";
    case kOnMiss: return "on_miss";
    case kConsumer: return "consumer";
    case kStream: return "stream";
    case kSource: return "source";
    case kTime: return "time";
    case kRate: return "rate";
    case kHistory: return "history";
    case kDedupe: return "dedupe";
    case kUnnest: return "unnest";
    case kView: return "view";
    case kService: return "service";
    case kTable: return "table";
    case kOptimize: return "optimize";
    case kLog: return "log";
  }
  return "section";
}

}  // namespace headrace::pipeline

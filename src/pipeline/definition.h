#pragma once
// A pipeline, checked and bound: what the log's definition entry means. Built from the pipeline
// file by pipeline_file.h. Immutable once shared; any thread may read it.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "columns/schema.h"
#include "columns/value.h"
#include "contract/contract.h"
#include "log/sequencer.h"
#include "pipeline/aggregates/aggregate_spec.h"
#include "pipeline/expressions/expression.h"
#include "pipeline/streams/derivation.h"
#include "pipeline/windows/window.h"

namespace headrace::pipeline {

// When a row became known: decides what training may see.
struct KnownAtRule {
  enum class Kind : uint8_t {
    kVisible,    // observed: its epoch's visible time
    kEventTime,  // assumed: its event time (clock: events without `arrived`)
    kArrived,    // assumed: a timestamp field plus an offset
  };
  Kind kind = Kind::kVisible;
  size_t field = 0;
  base::Duration offset{0};
  bool assumed() const { return kind != Kind::kVisible; }
  bool operator==(const KnownAtRule&) const = default;
};

// Who must be able to read what, when a stream's contract is changed. That rows of before can be
// read under the contract of after holds always, as the log keeps them.
enum class Compatibility : uint8_t {
  kBackward,  // only that
  kForward,   // and rows of after by who knows the contract of before
  kFull,      // both: the same
};
std::string_view NameOf(Compatibility compatibility);  // "backward", "forward", "full"
std::optional<Compatibility> CompatibilityNamed(std::string_view name);

// A Delta table of somebody else's whose rows come in.
struct TableSourceDefinition {
  std::string folder;  // as written: relative to the pipeline file
  base::Duration every = std::chrono::seconds(10);
  enum class From : uint8_t {
    kEarliest,  // what the table holds when it is first seen, then what is added
    kNow,       // what is added from then on
    kVersion,   // what `version` and those after it added
  } from = From::kEarliest;
  int64_t version = 0;
  // What becomes of a version that takes rows out of the table.
  enum class Changes : uint8_t {
    kStop,     // the source stops before it
    kSkip,     // none of its rows come in
    kNewRows,  // those of its rows that were not there before
  } changes = Changes::kStop;
};
std::string_view NameOf(TableSourceDefinition::Changes changes);  // "stop", "skip", "new_rows"

// A stream comes in, and then has a contract; or it is derived from another one that stands above
// it, and then has its lateness and, row by row, its known_at.
struct StreamDefinition {
  std::string name;
  contract::ContractRef contract;                     // null when it is derived
  std::shared_ptr<const Derivation> derivation = {};  // null when it comes in
  log::StreamTiming timing;
  KnownAtRule known_at;  // of a derived stream only `kind` means something
  Compatibility compatibility = Compatibility::kBackward;
  std::optional<TableSourceDefinition> table = {};  // nothing: its rows are only sent
  bool derived() const { return derivation != nullptr; }
  columns::SchemaRef schema() const { return derived() ? derivation->schema : contract->schema(); }
};

// One column of a view's answer: a feature over a window.
struct OutputFeature {
  std::string name;  // "mean_delay_6h"; without a window the feature's own name
  size_t feature;    // index into ViewDefinition::features
  size_t window;     // index into ViewDefinition::windows; unused without a window
  columns::Type type;
  uint32_t elements_max = 0;  // of a list
};

// Whether a row that is being scored counts itself: for answers as of a row, and for labels that
// are rows. A question that names no row sees all that is there.
enum class SelfRule : uint8_t {
  kAsAsked,  // as of a row it counts; a label says by itself (`headrace train --exclude`)
  kIncluded,
  kExcluded,
};

// Aggregates of one stream's rows per entity key.
struct ViewDefinition {
  std::string name;
  size_t stream = 0;   // index into PipelineDefinition::streams
  std::string entity;  // views with equal `by` share an entity: "origin" or "origin,destination"
  std::vector<size_t> by;                   // fields of the stream that make the key, in order
  std::optional<Expression> where;          // rows for which it is not true are no rows of the view
  std::vector<Window> windows;              // empty: lifetime
  std::optional<base::Duration> precision;  // of sliding windows; theirs is the same
  SelfRule self = SelfRule::kAsAsked;
  std::vector<Expression>
      arguments;  // each distinct argument and feature condition once, over the stream's schema
  std::vector<AggregateSpec> features;  // refer to arguments by index
  std::vector<OutputFeature> outputs;   // feature-major
  base::Duration history = std::chrono::minutes(10);
  std::optional<base::Duration> ttl;
  bool lifetime() const { return windows.empty(); }
  // How far behind as_of a row of any window may be, but for the last_rows().
  base::Duration reach() const {
    base::Duration reach{0};
    for (const Window& window : windows) reach = std::max(reach, ReachOf(window));
    return reach;
  }
  // Rows with an event time at or before `clock - horizon()` may be forgotten, but for the newest
  // last_rows() of them.
  base::Duration horizon() const { return reach() + history; }
  // A key whose newest event at or before as_of is so long before it, or longer, is not known any
  // more: NOT_FOUND. Nothing: it is known for ever.
  std::optional<base::Duration> forgets_after() const {
    if (!ttl || lifetime() || last_rows() > 0) return std::nullopt;
    return reach() + *ttl;
  }
  // Every window ends so long before as_of.
  base::Duration ending() const {
    return windows.empty() ? base::Duration(0) : windows.front().ending;
  }
  uint32_t last_rows() const {
    uint32_t rows = 0;
    for (const Window& window : windows) rows = std::max(rows, window.rows);
    return rows;
  }
};

// A feature computed when asked, from other features and from inputs of the request.
struct OnRequestFeature {
  std::string name;
  columns::SchemaRef
      inputs;  // qualified feature names ("origin.mean_delay_1h"), then request inputs ("distance")
  Expression expression;
};

// What one name in a service's answer is.
struct FeatureReference {
  enum class Kind : uint8_t { kView, kOnRequest } kind;
  size_t view = 0;    // kView: index into views; kOnRequest: index into on_request
  size_t output = 0;  // kView: index into the view's outputs
  std::string alias;  // what a service calls it in its answers; empty: as its view does
};

// What a push and get is answered whose deadline has passed.
enum class AtDeadline : uint8_t {
  kRefuse,     // an error
  kLastKnown,  // the features as of the newest visible epoch, with or without the event
  kDefaults,   // those that the service names
};
std::string_view NameOf(AtDeadline rule);  // "refuse", "last_known", "defaults"
std::optional<AtDeadline> AtDeadlineNamed(std::string_view name);

struct ServiceDefinition {
  std::string name;
  std::vector<FeatureReference> features;  // `view.*` expanded, in the file's order
  std::optional<base::Duration> max_lag;
  // Of the consumer that reads it, else of the promise.
  AtDeadline at_deadline = AtDeadline::kRefuse;
  // Whether a push and get may be answered before its event is durable: a consumer says so.
  bool provisional = false;
  std::vector<columns::Value> defaults;  // one for each feature; null where none is named
};

// The promise and how its time is given to the stages.
struct PromiseDefinition {
  double percentile = 99.0;  // of {p99: 200ms}
  base::Duration budget = std::chrono::milliseconds(200);
  std::map<std::string, base::Duration>
      outside;  // network, model ... : inside the promise, not inside Headrace
};

// OPTIMIZE of a table, again and again. Where no column for a Z-order is named, small files are
// packed.
struct OptimizeDefinition {
  base::Duration every = std::chrono::hours(1);
  std::string where;  // as written; empty: the whole table
  std::vector<std::string> z_order;
  uint64_t target_bytes = 0;  // 0: the default
};

struct TableDefinition {
  size_t stream = 0;
  base::Duration commit = std::chrono::seconds(5);
  std::optional<OptimizeDefinition> optimize = {};  // nothing: by hand only
  bool may_widen = false;  // its columns, by `typeWidening`: not all readers know it
};

// Who reads something of the pipeline, as it says itself.
struct ConsumerDefinition {
  std::string name;
  std::string reads;    // a stream, a view, or "service NAME"
  std::string pattern;  // may be empty
};

struct LogDefinition {
  log::Durability durability = log::Durability::kFsync;
  uint64_t bytes_max = log::LogOptions{}.log_bytes_max;
  // How long rows stay that tables and snapshots have; nothing: as long as there is room.
  std::optional<base::Duration> keep;
};

// Which of the fields that an expression reads have a type that may still be widened, and which:
// " reads amount int32". What is made of such a field (its hash, its text) may not be what is made
// of it once it is wider. Nothing of a field alone, whose type is the expression's.
std::string NarrowInputs(const Expression& expression, const columns::Schema& schema);

struct PipelineDefinition {
  base::DefinitionId id;
  std::string name;
  std::string
      source;  // the pipeline file's text, then each contract's: as logged (see pipeline_file.h)
  log::ClockMode clock = log::ClockMode::kWall;
  PromiseDefinition promise;
  std::vector<StreamDefinition> streams;
  std::vector<ViewDefinition> views;
  std::vector<OnRequestFeature> on_request;
  std::vector<ServiceDefinition> services;
  std::vector<TableDefinition> tables;
  std::vector<ConsumerDefinition> consumers;
  uint64_t memory_bytes = 4ULL << 30;
  LogDefinition log;
  base::Duration recovery = std::chrono::seconds(10);  // bound on a start after a crash

  // "origin.mean_delay_6h", or the bare name of an on-request feature.
  std::string NameOf(const FeatureReference& feature) const;
  columns::Type TypeOf(const FeatureReference& feature) const;
  // What a request for the service brings: the keys of its views, by name, and inputs.
  std::set<std::string, std::less<>> InputsOf(const ServiceDefinition& service) const;
  // Nothing when there is none of that name.
  std::optional<size_t> StreamNamed(std::string_view name) const;
  std::optional<size_t> ViewNamed(std::string_view name) const;
  std::optional<size_t> ServiceNamed(std::string_view name) const;
  // Whether the stream is published as one.
  bool HasTable(size_t stream) const;
  // The stream that comes in, of which the rows of `stream` are made in the end.
  size_t RootOf(size_t stream) const;
  // Whether at most one row of it is made of each of its root's, whose position it then has. Else,
  // where lists or joins within a time are on the way, its rows are numbered among themselves.
  bool KeepsPositions(size_t stream) const;
  // The streams that come in and must go on for `stream` to go on, ascending: its root, and that of
  // a stream that it is joined to within a time. A dimension that stands still holds nothing up.
  std::vector<size_t> SourcesOf(size_t stream) const;
  // Whether a row of it depends on other rows than the one that it is made of: it is joined, or has
  // no repeats, or is made of such a stream. Then the log before it has to be read to make it.
  bool DependsOnOtherRows(size_t stream) const;
};

using PipelineRef = std::shared_ptr<const PipelineDefinition>;

}  // namespace headrace::pipeline

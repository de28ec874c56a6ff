#pragma once
// What is asked of the past: which rows an answer was computed from, and what was answered at an
// earlier epoch. A question
//
//   1. reads the state under one pin: the answer, and the key's rows that it keeps;
//   2. when those are not all that is needed, reads the key's rows of the view's stream out of
//   table
//      and log (wiring/table_scans.h), which is slow and yields to everything else;
//   3. computes the answer again by the batch driver from those rows (pipeline/views/
//      explained_rows.h), and says from where they are.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "access/access_list.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/key.h"
#include "columns/value.h"
#include "env/environment.h"
#include "pipeline/logged_definition.h"
#include "pipeline/views/explained_rows.h"
#include "pipeline/views/view_set.h"
#include "serving/answer.h"
#include "wiring/table_publishers.h"
#include "wiring/table_scans.h"

namespace headrace::wiring {

// Where rows are read.
enum class RowSource : uint8_t { kEither, kState, kTable };

struct ExplainRequest {
  std::string view;
  std::vector<std::pair<std::string, columns::Value>> key;  // by column, of any type that fits
  std::string feature;                                      // an output: "spend_1h"
  std::optional<base::EpochId> epoch;                       // nothing: the newest visible one
  std::optional<base::Timestamp> as_of;  // nothing: now, or an earlier epoch's clock
  size_t rows = 50;                      // listed
  RowSource source = RowSource::kEither;
  std::optional<std::string> served;  // what somebody was told: the value as JSON
};

// One output explained.
struct Explanation {
  pipeline::LoggedDefinition logged;
  size_t view = 0;  // of the definition, and its output
  size_t output = 0;
  std::vector<columns::Value> key;
  base::LogId log;
  base::EpochId epoch;
  base::Timestamp as_of;
  RowSource source = RowSource::kState;
  std::string because;  // why the rows are from the table; empty
  int64_t table_version = -1;
  std::string positions_of;  // the stream in which the rows have their positions
  pipeline::KeyRows rows;
  pipeline::ExplainedRows explained;
  std::vector<size_t> listed;  // rows, most recent first
  pipeline::OutputValue recomputed;
  std::optional<pipeline::OutputValue> served;  // by the state, of this very epoch
  std::optional<std::string> told;              // as the request has it

  const pipeline::ViewDefinition& view_definition() const { return logged.definition->views[view]; }
  // Nothing when there is nothing to compare with.
  std::optional<bool> SameBits() const;
};

struct PastRequest {
  std::string service;  // or
  std::vector<std::string> features;
  std::vector<serving::InputColumn> inputs;
  size_t rows = 1;                       // as of FeatureQuery
  std::optional<base::EpochId> epoch;    // as of ExplainRequest
  std::optional<base::Timestamp> as_of;  // likewise
  RowSource source = RowSource::kEither;
};
struct PastAnswer {
  serving::FeatureAnswer answer;         // its lag only of a service with a max_lag
  RowSource source = RowSource::kState;  // the table, if some of it is
  std::string because;                   // why the table; empty
};

struct EventsRequest {
  std::string view;    // or
  std::string stream;  // whole events, by any of its columns
  std::vector<std::pair<std::string, columns::Value>> key;
  size_t last = 10;
  std::optional<base::EpochId> epoch;  // nothing: the newest
  RowSource source = RowSource::kEither;
};
// Rows of one key as one epoch saw them, newest first by event time, then by position.
struct LastEvents {
  std::vector<int64_t> times;  // as in KeyRows
  std::vector<columns::Position> positions;
  std::vector<int64_t> known_at;
  bool assumed = false;         // known_at
  columns::ColumnBatch values;  // of a view its arguments, named by their texts; of a stream all
  base::LogId log;
  base::EpochId epoch;
  RowSource source = RowSource::kState;
  std::string because;       // why the table; empty
  std::string kept;          // what is kept of such rows, for people
  std::string positions_of;  // as of Explanation
};

// Questions from any thread that is no executor's of the core; several at once.
class Lookback {
 public:
  // Named limits.
  static constexpr size_t kRowsListedMax = 10'000;               // a question
  static constexpr size_t kStateRowsMax = 32'768;                // of a key, copied under one pin
  static constexpr size_t kTableRowsMax = 1'000'000;             // of a key, out of table and log
  static constexpr size_t kEpochsLookedUpMax = 200;              // for when rows became known
  static constexpr size_t kEntityRowsMax = 100;                  // a question for features
  static constexpr size_t kFeaturesMax = 4'096;                  // likewise
  static constexpr int kPinsMax = 4;                             // taken, until one holds
  static constexpr std::chrono::milliseconds kDeadline{30'000};  // unless the request says
  static constexpr std::chrono::milliseconds kDeadlineMax{600'000};

  // All outlive it.
  struct Sources {
    pipeline::ViewSet& views;
    const pipeline::PipelineDefinition& definition;  // its streams are those of every definition
    const TablePublishers& publishers;
    TableScans& scans;
    std::string log_folder;
    base::LogId log;
    std::function<base::Timestamp()> log_clock;  // not called under `clock: events`
    std::function<base::Result<base::StreamId>(const std::string&)> stream_id;
  };
  Lookback(env::Environment& environment, Sources sources)
      : environment_(environment), sources_(std::move(sources)) {}

  env::MonotonicTime Now() const { return environment_.clock().Now(); }
  // Where questions may be asked that others wait for: it blocks, and is no part of a simulation.
  std::unique_ptr<env::Executor> NewThread() {
    return environment_.NewExecutor("lookback", env::Priority::kBackground);
  }

  // `caller` null: everybody may read everything. `deadline`: when to give up. Errors: kNotFound
  // (view, feature), kInvalidInput (key, as_of), kUnauthorized; kUnavailable (the epoch is not
  // visible yet, the state moved on: retry); kFailedPrecondition, kUnsupported with the reason why
  // the rows can't be had any more; kResourceExhausted; kDeadlineExceeded; those of TableScans.
  base::Result<Explanation> Explain(const ExplainRequest& request, const access::CallerRef& caller,
                                    env::MonotonicTime deadline);
  // The features as of an epoch, which may be an earlier one, and a time. How far behind its
  // sources the epoch was is looked up in the log for a service that has a `max_lag`. Errors: as
  // Explain, and kInvalidInput as an online answer.
  base::Result<PastAnswer> Answer(const PastRequest& request, const access::CallerRef& caller,
                                  env::MonotonicTime deadline);
  // Errors: as Explain. Of a stream only for callers who may read everything.
  base::Result<LastEvents> Events(const EventsRequest& request, const access::CallerRef& caller,
                                  env::MonotonicTime deadline);

 private:
  // A key of a view of some definition.
  struct KeyOfView {
    size_t view = 0;
    std::vector<columns::Value> values;
    columns::KeyBytes bytes;
  };
  // What the state says under one pin, of each key that was asked for.
  struct KeyReading {
    base::Result<pipeline::ViewAnswer> answer;
    base::Result<pipeline::KeyRows> rows;
  };
  struct Reading {
    base::EpochId epoch;
    base::Timestamp as_of;
    std::vector<KeyReading> keys;
  };
  struct When {
    std::optional<base::EpochId> epoch;
    std::optional<base::Timestamp> as_of;
  };
  struct TableRows {
    std::vector<pipeline::KeyRows> rows;  // of each key
    int64_t table_version = -1;
  };
  static base::Result<KeyOfView> ResolveKey(
      const pipeline::PipelineDefinition& definition, size_t view,
      const std::vector<std::pair<std::string, columns::Value>>& given);
  // `when` with the time of an earlier epoch, unless it is said.
  base::Result<When> Settle(When when) const;
  enum class Copied : uint8_t {
    kAlways,
    kWithoutAnswer,  // when the state does not answer itself: for an earlier epoch, too
  };
  // Nothing when another definition is visible by now, or the pin was taken away. Errors:
  // kUnavailable for an epoch that is not visible yet.
  base::Result<std::optional<Reading>> ReadState(const pipeline::LoggedDefinition& logged,
                                                 std::span<const KeyOfView> keys, const When& when,
                                                 Copied copied) const;
  // The columns that `request` names, and beside them each row's place and when it became known.
  using VisitPlaced = std::function<base::Result<void>(
      const columns::ColumnBatch&, std::span<const columns::Position>, std::span<const int64_t>)>;
  base::Result<tables::ScanFigures> ScanRows(tables::ScanRequest request,
                                             env::MonotonicTime deadline, const VisitPlaced& visit);
  // The condition that finds rows by the statistics of files: what it can't say is found by looking
  // at every row. `by`: fields of the stream.
  static std::string KeyCondition(const pipeline::StreamDefinition& stream,
                                  std::span<const size_t> by, std::span<const columns::Value> key);
  // Keys of one view.
  base::Result<TableRows> ReadTable(const pipeline::LoggedDefinition& logged,
                                    std::span<const KeyOfView> keys, base::EpochId epoch,
                                    env::MonotonicTime deadline);
  base::Result<base::Timestamp> ClockOf(base::EpochId epoch) const;

  // lookback_explain.cc
  base::Result<void> TakeRows(const ExplainRequest& request, const KeyOfView& key, Reading reading,
                              env::MonotonicTime deadline, Explanation& to);
  // The stream in which a view's rows have their positions: in the state those of the rows that
  // they are made of, in a table their own.
  static std::string PositionsOf(const pipeline::PipelineDefinition& definition,
                                 const pipeline::ViewDefinition& view, RowSource source);
  // When the rows `listed` became known: by rule, or as the log tells while it has their epochs.
  void FindKnownAt(const pipeline::StreamDefinition& stream, std::span<const size_t> listed,
                   pipeline::KeyRows& rows) const;

  // lookback_events.cc
  base::Result<LastEvents> EventsOfView(const EventsRequest& request,
                                        const access::CallerRef& caller,
                                        env::MonotonicTime deadline);
  base::Result<LastEvents> EventsOfStream(const EventsRequest& request,
                                          const access::CallerRef& caller,
                                          env::MonotonicTime deadline);

  // lookback_lag.cc
  struct LagQuestion {
    base::EpochId epoch;
    base::Timestamp as_of;
    base::Duration most;
  };
  // How far behind `as_of` the epoch was of what was last heard of the sources of these streams;
  // if that is more than `most`, at least so far.
  base::Result<base::Duration> LagAt(const pipeline::PipelineDefinition& definition,
                                     std::span<const size_t> streams, const LagQuestion& asked,
                                     env::MonotonicTime deadline) const;

  // lookback_answer.cc
  struct Asked;
  base::Result<void> ApplyMaxLag(const Asked& asked, base::Timestamp as_of,
                                 env::MonotonicTime deadline, serving::FeatureAnswer& answer) const;
  base::Result<Asked> Compile(const PastRequest& request, const access::CallerRef& caller) const;
  base::Result<std::vector<pipeline::ViewAnswer>> AnswerViews(const Asked& asked, Reading& reading,
                                                              env::MonotonicTime deadline,
                                                              PastAnswer& to);

  env::Environment& environment_;
  const Sources sources_;
};

// Why the rows of the state are not enough.
std::string WhyNotState(const pipeline::ViewDefinition& view,
                        const base::Result<pipeline::KeyRows>& rows,
                        const base::Result<pipeline::ViewAnswer>& answer, bool earlier);

}  // namespace headrace::wiring

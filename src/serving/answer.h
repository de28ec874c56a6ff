#pragma once
// How answers are read: one request, one pin, one epoch, across all its views and keys.

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "access/access_list.h"
#include "base/histogram.h"
#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/key.h"
#include "columns/value.h"
#include "env/clock.h"
#include "env/executor.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/view_set.h"
#include "serving/feature_names.h"

namespace headrace::serving {

// One column of a request: a join key ("origin") or an input known only now ("distance"). One value
// an entity row; a value of another type than the column's is converted where nothing is lost (5.0
// to 5, "2001-01-01" to a date), else refused.
struct InputColumn {
  std::string name;
  std::vector<columns::Value> values;
  enum class Use : uint8_t { kJoinKey, kRequestInput } use = Use::kJoinKey;  // set in answers
};

// An event that was sent and is not known to be durable.
struct EventAhead {
  pipeline::EventAhead event;
  // Whether no epoch up to this one has it, or an event that it repeats; asked when the state was
  // read. Any thread.
  std::function<bool(base::EpochId)> is_absent;
};

// A question about some entity rows. All input columns are equally long.
struct FeatureQuery {
  std::string service;  // a service's name, or, when empty, features:
  // "view:feature", "view.feature", "view.*" or the name of an on-request feature.
  FeatureNames features;
  std::vector<InputColumn> inputs;
  size_t rows = 1;  // where what is asked needs no column; else they say it
  std::optional<base::Timestamp> as_of;
  // The event that the question is about: the answer is as of its time at the earliest, and views
  // with `self: excluded` leave it out.
  std::optional<pipeline::OwnRow> own = {};
  // That event, while no epoch that can be read has it: it is counted beside the state. The answer
  // is provisional then.
  std::shared_ptr<const EventAhead> ahead = {};
  std::optional<base::EpochId> min_epoch;  // read-your-writes: an epoch token of an acknowledgement
  std::chrono::milliseconds deadline{1000};  // how long min_epoch is waited for, or
  // as long as it takes: for an epoch that is durable, by somebody who has a timer of his own.
  static constexpr std::chrono::milliseconds kUntilVisible = std::chrono::milliseconds::max();
  access::CallerRef caller;  // null: everybody may read everything
  // Whether the answer says the lag of each view as well.
  enum class Lags : uint8_t { kOfAnswer, kOfEachView } lags = Lags::kOfAnswer;
};

// How far an answer of `as_of` is behind, of its `lag`. Nothing: nobody looked, or one of its
// sources has never been heard of, so that its lag counts from 1970.
inline std::optional<base::Duration> LagSinceHeard(std::optional<base::Duration> lag,
                                                   base::Timestamp as_of) {
  if (lag && as_of.us > 0 && *lag >= as_of - base::Timestamp{0}) return std::nullopt;
  return lag;
}

// What one column of an answer is.
struct AnswerColumn {
  std::string view;  // "origin"; empty: computed on request
  std::string name;  // "mean_delay_6h"
  columns::Type type = columns::Type::kInt64;
  // The service's alias; `name`; or `full` when another column or input of the answer has that
  // name.
  std::string shown;
  // The alias, "origin__mean_delay_6h", or the bare name of an on-request feature.
  std::string full;
  uint32_t elements_max = 0;  // of a list
  bool gave_way = false;      // `shown` is `full` since something else has its name
  // "origin.mean_delay_6h", or the bare name of an on-request feature.
  std::string Reference() const { return view.empty() ? name : view + "." + name; }
};

// Everything needed to read the answer, and to compute it again: (log, epoch, as_of, definition)
// and the inputs. A value; columns are in the order of the request.
struct FeatureAnswer {
  base::LogId log;
  base::EpochId epoch;
  base::Timestamp as_of;
  base::DefinitionId definition;
  log::ClockMode clock = log::ClockMode::kWall;
  // as_of less when the sources were last heard of (ViewSet::ProgressOf), of several the one that
  // is furthest behind; not below 0: how far the answer may be behind. Nothing: nobody looked, as
  // for an earlier epoch without a max_lag.
  std::optional<base::Duration> lag;
  std::vector<base::Duration> view_lags = {};  // of the plan's views; Lags::kOfEachView
  std::string service;                         // empty for a list of features
  std::optional<pipeline::OwnRow> own = {};
  // An event that no epoch has is counted beside those of `epoch`: nobody can compute it again.
  bool provisional = false;
  size_t rows = 0;
  std::vector<InputColumn>
      inputs;  // those that were needed, of their columns' types, in the request's order
  std::shared_ptr<const std::vector<AnswerColumn>> columns;
  // Row-major, rows x columns.
  std::vector<columns::Value> values;
  std::vector<pipeline::FeatureStatus> statuses;
  // Of the key's newest row; of the newest input's, on request. One a row where that is the same
  // for all its columns, else as the values.
  std::vector<std::optional<base::Timestamp>> event_times;

  size_t At(size_t row, size_t column) const { return row * columns->size() + column; }
  bool has_row_times() const { return event_times.size() == rows; }
  std::optional<base::Timestamp> EventTime(size_t row, size_t column) const {
    return event_times[has_row_times() ? row : At(row, column)];
  }
};

// Named limits of the answer service.
struct AnswerLimits {
  size_t rows_max = 4096;      // entity rows a request; more is kInvalidInput
  size_t features_max = 4096;  // columns a request
  // Rows times columns, each element that a list may have counted as well; more is kInvalidInput.
  size_t values_max = 262'144;
  // Compiled lists of features kept, and their columns together; at either limit all are dropped
  // and compiled anew.
  size_t plans_max = 1024;
  size_t plan_columns_max = 65'536;
  size_t waiters_max = 10'000;  // requests waiting for an epoch; more get kResourceExhausted
  std::chrono::milliseconds wait_max{60'000};  // a longer deadline is cut to this
  int revoked_retries = 3;                     // pins taken away before the answer is kUnavailable
  // Answers at once that were begun anew and are read under a hold, so that they end however fast
  // the state moves on; others are read under pins again. Longer than `held_read_max`, between two
  // keys: kUnavailable.
  size_t held_reads_max = 8;
  std::chrono::milliseconds held_read_max{100};
};

// Says that a request has more rows than AnswerLimits::rows_max.
std::string TooManyRowsText(size_t rows_max);

// A key of one view.
struct KeyQuestion {
  size_t view = 0;        // of the definition
  columns::KeyBytes key;  // of the view's `by` fields
  // The one output that is looked at; kNoOutput: none is. Nothing: all are.
  static constexpr size_t kNoOutput = std::numeric_limits<size_t>::max();
  std::optional<size_t> only = {};
};

// What a key-value client reads: views' outputs as they are, all from one snapshot.
struct KeyAnswers {
  base::EpochId epoch;
  base::Timestamp as_of;
  base::Duration lag{0};                    // as in FeatureAnswer
  std::vector<pipeline::ViewAnswer> views;  // one for each question; values that are not looked
                                            // at may be null
  base::MemoryCharge charge = {};           // of many values
};

// What the service reads. References outlive it.
struct AnswerSources {
  pipeline::ViewSet* views = nullptr;
  base::LogId log;
  // The log clock at a reading of `clock`, of just now; not called under `clock: events`.
  std::function<base::Timestamp(env::MonotonicTime)> log_clock;
  // Where requests that waited for an epoch are answered; its clock times the deadlines.
  env::Executor* waiting = nullptr;
  // The same for those that wait as long as it takes (kUntilVisible), which are pushes: others that
  // an epoch wakes don't hold them up. Null: `waiting`.
  env::Executor* waiting_pushes = nullptr;
  env::Clock* clock = nullptr;
  // Asked for the memory of each answer; may be null.
  base::MemoryBudget* budget = nullptr;
  // Sees each answer before the caller does (the answer log). May be empty. Any thread, several at
  // once.
  std::function<void(const FeatureAnswer&)> on_answer;
};

struct AnswerPlan;

// Answer and MarkVisible from any thread. Services are compiled once for each definition; lists of
// features at first use.
class AnswerService {
 public:
  using Done = std::move_only_function<void(base::Result<FeatureAnswer>)>;

  // Errors: kInvalidInput when a service of the definition can't be compiled.
  static base::Result<std::unique_ptr<AnswerService>> Make(AnswerSources sources,
                                                           AnswerLimits limits = {});
  virtual ~AnswerService() = default;

  // Answers now. Errors: kNotFound (service, view, feature; context object= and name=),
  // kInvalidInput (context field=: a missing join key or input, a wrong type, lengths that differ),
  // kFailedPrecondition (as_of before the views' history), kUnavailable (revoked too often, nothing
  // visible, min_epoch not visible yet), kResourceExhausted, kUnauthorized (the caller).
  // With an event ahead also kUnsupported (ViewSet::GetAhead), kConflict (an epoch has it by now).
  virtual base::Result<FeatureAnswer> Answer(const FeatureQuery& query) = 0;
  // The same, but waits for min_epoch: `done` runs at once on this thread, or later on the waiting
  // executor. The query is charged while it waits; what `done` holds is small. Also
  // kDeadlineExceeded: the epoch did not become visible in time.
  virtual void AnswerWhenVisible(FeatureQuery query, Done done) = 0;
  // Answers now, without the names of features: questions are indexes into `definition`. Nothing
  // when another definition is visible by now: then look up what they mean in that one. Errors:
  // those of Answer. Many values are charged for as long as the answers are there.
  virtual base::Result<std::optional<KeyAnswers>> AnswerKeys(
      const pipeline::PipelineDefinition& definition, std::span<const KeyQuestion> questions) = 0;
  // AnswerKeys will be asked these soon: asks for the memory that it will look at. Of no effect
  // when another definition is visible.
  virtual void Expect(const pipeline::PipelineDefinition& definition,
                      std::span<const KeyQuestion> questions) = 0;
  // `done` once the epoch is visible: at once on this thread, or later on the waiting executor.
  // What `done` holds is charged while it waits; nothing: a thread waits for it. Errors:
  // kDeadlineExceeded, kUnavailable (stopping), and of what is charged kResourceExhausted
  // (waiters_max, the memory budget).
  using Visible = std::move_only_function<void(base::Result<void>)>;
  virtual void WhenVisible(base::EpochId epoch, std::chrono::milliseconds deadline,
                           std::optional<uint64_t> held_bytes, Visible done) = 0;
  // What a query's service or features need and give; its caller is looked at, its inputs are not.
  // Errors: kNotFound, kInvalidInput, kUnauthorized.
  virtual base::Result<std::shared_ptr<const AnswerPlan>> PlanOf(const FeatureQuery& query) = 0;
  // The applier says that an epoch became visible; wakes those who waited for it. Cheap when nobody
  // waits.
  virtual void MarkVisible(base::EpochId epoch) = 0;

  // Microseconds an answer took, waiting left out.
  virtual const base::Histogram& serve_us() const = 0;
  virtual uint64_t revoked_pins() const = 0;
  // The newest one that answers are of.
  virtual pipeline::PipelineRef definition() const = 0;
};

}  // namespace headrace::serving

#pragma once
// Push and get: an event goes in, and the answer is its service's features as of the epoch that
// holds it, in one round trip within a deadline.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/access_list.h"
#include "base/histogram.h"
#include "base/memory_budget.h"
#include "base/result.h"
#include "env/clock.h"
#include "env/environment.h"
#include "env/executor.h"
#include "ingest/http/events_endpoint.h"
#include "ingest/stream_gate.h"
#include "pipeline/definition.h"
#include "serving/answer.h"

namespace headrace::serving {

struct PushRequest {
  std::string service;
  access::CallerRef caller;                       // null: everybody may push, and read the service
  ingest::EventsRequest event;                    // its stream, one event as its body, who sends it
  std::optional<columns::EventBatch> typed = {};  // instead of the body: one event, held to the
                                                  // contract of event.stream
  std::vector<InputColumn> inputs;  // of one value each; they win over the event's fields
  std::chrono::milliseconds deadline{1000};
  // When its last byte was there, from which the deadline counts; nothing: now.
  std::optional<env::MonotonicTime> whole_at = {};
  std::optional<pipeline::AtDeadline> at_deadline;  // else the service's
  // Whether an event that the contract refused is answered with features all the same: as of now,
  // with the keys that it names or that are given.
  enum class Refused : uint8_t { kToldOnly, kAnswered } refused = Refused::kToldOnly;
  // What the answer may say. kProvisional: it may come before the event is durable, where the
  // service allows it; where that can't be (PushAnswered) it comes as ever.
  enum class Wanted : uint8_t { kDurable, kProvisional } answer = Wanted::kDurable;
};
std::optional<PushRequest::Wanted> WantedNamed(std::string_view name);  // "durable", "provisional"

// What is known of the event when it is answered.
enum class PushedEvent : uint8_t {
  kDurable,  // in the epoch of the outcome
  kRefused,  // by the contract or by time: in the dead letters of the outcome's epoch
  kUnknown,  // not yet: the token asks
};
std::string_view NameOf(PushedEvent event);  // "durable", "refused", "unknown"

// What the features are as of.
enum class PushAnswered : uint8_t {
  kWithEvent,  // the epoch that holds the event, or a later one
  // The newest visible epoch and the event, which is not known to be durable, and counted as if it
  // were the next to come in. Not of an event that would be refused or is a repeat, nor of one that
  // is older than the key's newest while a view has windows of rows or sessions, nor of a service
  // that looks at a derived stream of the event's.
  kProvisional,
  kLastKnown,  // the newest visible epoch, at the deadline; of a refused event, now
  kDefaults,   // nothing: they are those that the service names
  kNone,       // there are none; `reason` says why
};
std::string_view NameOf(PushAnswered answered);  // "with_event", "provisional", "last_known" ...

struct PushAnswer {
  PushedEvent event = PushedEvent::kUnknown;
  std::optional<ingest::IngestOutcome> outcome;  // unless the event is kUnknown
  std::string token;                             // kUnknown: for PushService::Ask
  PushAnswered answered = PushAnswered::kNone;
  std::optional<FeatureAnswer> features;  // unless kNone; kDefaults: values and columns alone
  std::optional<base::Error> reason;      // kNone, unless the event was refused
  std::string stream;
};

// What became of an event whose answer came before it was known.
struct PushedLater {
  bool pending = true;
  std::optional<base::Result<ingest::IngestOutcome>> outcome;  // unless pending
};

// Named limits.
struct PushLimits {
  size_t pending_max = 10'000;                 // pushes under way; more get kResourceExhausted
  std::chrono::milliseconds wait_max{60'000};  // a longer deadline is cut to this
  size_t tokens_max = 16'384;                  // events asked for later; the oldest is forgotten
  ingest::EventsLimits events;
};

// Since the start. Each answer is paired with its event, so these are per event.
struct PushFigures {
  uint64_t pushes = 0;  // that were answered
  uint64_t pending = 0;
  uint64_t with_event = 0;
  uint64_t provisional = 0;
  uint64_t provisional_not_in = 0;  // of those whose event was refused, or is not in
  uint64_t last_known = 0;          // of late ones
  uint64_t defaults = 0;
  uint64_t refused_late = 0;      // late, and answered without features
  uint64_t refused_events = 0;    // by the contract or by time
  uint64_t repeats = 0;           // answered as the first time
  uint64_t not_taken = 0;         // overload, a full disk, a stop: the event is not in
  uint64_t unreadable = 0;        // the event is in, and the features could not be read
  uint64_t late_known_after = 0;  // late ones whose event is known by now
  const base::Histogram* answered_us = nullptr;  // from the request to its answer
  const base::Histogram* late_by_us = nullptr;   // from a late push's deadline to its event
};

// What a push needs; all outlive it, but for `answers`, which is not touched after Close.
struct PushSources {
  ingest::StreamGate* gate = nullptr;
  AnswerService* answers = nullptr;
  // Of the deadlines: what is late is answered there, so nothing else should hold it up.
  env::Executor* timers = nullptr;
  // Where features are read once an event is known; null: on `timers`.
  env::Executor* readers = nullptr;
  env::Environment* environment = nullptr;
  base::MemoryBudget* budget = nullptr;
  // Whether an event, which has a key or a sequence, is in no epoch up to this one and would come
  // in (log::Sequencer::WouldFollow). Any thread. Empty: there are no provisional answers.
  std::function<bool(const columns::EventBatch&, const log::StreamTiming&, base::EpochId)> follows =
      {};
};

// Thread-safe.
class PushService {
 public:
  // An error only when the event was not taken in: those of ingest::ReadEvents and
  // StreamGate::Submit, kNotFound (service), kInvalidInput (not one event; a join key or input that
  // neither event nor request has), kFailedPrecondition (a provisional answer that the service does
  // not allow), kInvalidInput (one for an event without a key), kResourceExhausted.
  using Done = std::move_only_function<void(base::Result<PushAnswer>)>;

  static std::unique_ptr<PushService> Make(PushSources sources, PushLimits limits = {});
  virtual ~PushService() = default;

  // The time by which deadlines are kept.
  virtual env::MonotonicTime Now() const = 0;
  // The event is read on this thread; `done` runs once: on this thread, on the gate's, or on one of
  // the executors. It must not block.
  virtual void Push(PushRequest request, Done done) = 0;
  // What became of an event that was answered as kUnknown. Errors: kNotFound (another life of the
  // engine, or forgotten): then send the event again with its idempotency key.
  virtual base::Result<PushedLater> Ask(std::string_view token) const = 0;
  virtual PushFigures figures() const = 0;
  // Answers what is under way without features from here on. Returns when nobody is reading.
  virtual void Close() = 0;
};

}  // namespace headrace::serving

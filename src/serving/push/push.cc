// A push, step by step:
//  1. The event is typed and held to its contract; the service's keys and inputs are taken from it.
//     What is missing is said before anything is taken in.
//  2. The batch goes through the gate as every other: a repeat gets its first answer.
//  3. Its epoch is known: the features are read once that is visible.
//  4. A timer ends what takes too long: whoever comes first, the answer or the timer, answers.
//  There
//     is one timer, for the earliest deadline.
//  5. A provisional answer is read when the event was handed over, on the same thread: of the state
//  as it is, with the event beside it. If that can't be, steps 3 and 4 answer.
//  6. An event that nobody knew of yet when its push was answered is noted under a token.
#include "serving/push/push.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <fmt/format.h>

#include "columns/conform.h"
#include "ingest/scoped_gate.h"
#include "serving/answer_plan.h"
#include "serving/input_values.h"
#include "serving/push/event_inputs.h"
#include "serving/push/push_tokens.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using ingest::IngestOutcome;
using pipeline::AtDeadline;

constexpr std::string_view kBeingChanged = "the definition is being changed: ask again";

base::Error Late(std::chrono::milliseconds deadline) {
  return {ErrorCode::kDeadlineExceeded,
          fmt::format("the answer was not there within {} ms", deadline.count())};
}

// Whoever is answered before the event is known must be able to find out what became of it.
Result<void> CheckAhead(const pipeline::ServiceDefinition& service,
                        const columns::BatchSource& source) {
  if (!service.provisional)
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("service `{}` allows no provisional answers: say `provisional: "
                            "allowed` in the consumer that reads it, or ask for a durable one. "
                            "Nothing was taken in",
                            service.name));
  if (source.producer.empty() && !source.idempotency_key)
    return Fail(ErrorCode::kInvalidInput,
                "a provisional answer wants an event with an idempotency key, or producer and "
                "sequence: sent again, it tells whether the event came in. Nothing was taken in");
  return {};
}

// Of an event that was refused.
std::string_view TextOf(const PushRequest& request, const columns::EventBatch& batch) {
  if (request.typed) return batch.rejected[0].payload;
  return request.event.rows.empty() ? std::string_view(request.event.body) : request.event.rows[0];
}

// One push under way. Shared by all that may answer it.
struct PushUnderWay {
  std::string stream;
  FeatureQuery query;  // own without epoch and row
  AnswerPlanRef plan;
  std::vector<columns::Value> defaults;
  AtDeadline at_deadline = AtDeadline::kRefuse;
  PushRequest::Refused refused = PushRequest::Refused::kToldOnly;
  std::shared_ptr<EventAhead> ahead;  // null: the answer waits for the event
  env::MonotonicTime begin{0};
  std::chrono::milliseconds deadline{0};
  base::MemoryCharge charge;
  uint64_t number = 0;

  std::mutex mutex;        // guards the rest
  PushService::Done done;  // empty: it was answered
  std::optional<IngestOutcome> outcome;
  std::string token;
  bool provisional = false;  // it was answered so
};
using PushRef = std::shared_ptr<PushUnderWay>;

// The row that came in. A repeat may say another time than the event did.
pipeline::OwnRow OwnOf(const PushUnderWay& push, const IngestOutcome& outcome) {
  pipeline::OwnRow own = *push.query.own;
  own.epoch = outcome.epoch;
  if (outcome.first_row) {
    own.row = outcome.first_row->number;
    own.time = outcome.first_row->time;
  }
  return own;
}

class Pushes final : public PushService, public std::enable_shared_from_this<Pushes> {
 public:
  Pushes(PushSources sources, PushLimits limits)
      : sources_(std::move(sources)),
        limits_(limits),
        tokens_(*sources_.environment, limits.tokens_max) {}

  env::MonotonicTime Now() const override { return sources_.environment->clock().Now(); }
  void Push(PushRequest request, Done done) override;
  Result<PushedLater> Ask(std::string_view token) const override { return tokens_.Ask(token); }
  PushFigures figures() const override;
  void Close() override {
    const std::unique_lock lock(reading_);
    closed_ = true;
  }

 private:
  struct Counters {
    std::atomic<uint64_t> pushes{0};
    std::atomic<uint64_t> pending{0};
    std::atomic<uint64_t> with_event{0};
    std::atomic<uint64_t> provisional{0};
    std::atomic<uint64_t> provisional_not_in{0};
    std::atomic<uint64_t> last_known{0};
    std::atomic<uint64_t> defaults{0};
    std::atomic<uint64_t> refused_late{0};
    std::atomic<uint64_t> refused_events{0};
    std::atomic<uint64_t> repeats{0};
    std::atomic<uint64_t> not_taken{0};
    std::atomic<uint64_t> unreadable{0};
    std::atomic<uint64_t> late_known_after{0};
  };
  struct Begun {
    PushRef push;
    columns::EventBatch batch;
  };
  Result<Begun> Begin(PushRequest request);
  Result<void> TakeInputs(const PushRequest& request, const columns::EventBatch& batch,
                          PushUnderWay& push) const;
  void OnOutcome(const PushRef& push, Result<IngestOutcome> outcome);
  void PrepareAhead(const columns::EventBatch& batch, const log::StreamTiming& timing,
                    PushUnderWay& push) const;
  void AnswerAhead(const PushRef& push);
  void NoteLater(const PushUnderWay& push, const Result<IngestOutcome>& outcome);
  void OnRefused(const PushRef& push, const IngestOutcome& outcome);
  void ReadWithEvent(const PushRef& push, const IngestOutcome& outcome);
  void OnDeadline(const PushRef& push);
  void KeepDeadline(const PushRef& push);
  void ForgetDeadline(const PushUnderWay& push);
  void SetTimer(env::MonotonicTime at);  // deadlines_mutex_ is held
  void OnTimer(env::MonotonicTime at);
  Result<FeatureAnswer> ReadNow(const FeatureQuery& query);
  static FeatureAnswer DefaultsOf(const PushUnderWay& push);
  // Whoever takes it answers; nothing when it was answered.
  static Done Take(PushUnderWay& push);
  void Send(const PushUnderWay& push, Done done, PushAnswer answer);
  void Note(const PushAnswer& answer);

  const PushSources sources_;
  const PushLimits limits_;
  PushTokens tokens_;
  std::shared_mutex reading_;                                // shared while the answers are used
  bool closed_ = false;                                      // guarded by it
  using Deadline = std::pair<env::MonotonicTime, uint64_t>;  // and the push's number
  std::mutex deadlines_mutex_;                               // guards the next three
  std::map<Deadline, PushRef> deadlines_;                    // of pushes under way
  env::MonotonicTime timer_ = env::MonotonicTime::max();     // what was posted; max: nothing
  std::atomic<uint64_t> numbers_{0};
  Counters counters_;
  base::Histogram answered_us_;
  base::Histogram late_by_us_;
};

// Step 1.
Result<Pushes::Begun> Pushes::Begin(PushRequest request) {
  if (counters_.pending.load(std::memory_order_relaxed) >= limits_.pending_max)
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{} pushes are under way: back off, then send it again", limits_.pending_max));
  auto push = std::make_shared<PushUnderWay>();
  push->number = numbers_.fetch_add(1, std::memory_order_relaxed);
  push->begin = request.whole_at.value_or(Now());
  push->deadline = std::min(request.deadline, limits_.wait_max);
  push->stream = request.event.stream;
  push->refused = request.refused;
  const ingest::ScopedGate allowed(*sources_.gate, request.caller);
  columns::EventBatch batch;
  if (request.typed) {
    HR_TRY(const ingest::StreamHandle stream, allowed.Find(request.event.stream));
    batch = std::move(*request.typed);
    batch.stream = stream.id;
  } else {
    HR_TRY(push->charge, sources_.budget->TryCharge(base::MemoryAccount::kIngest,
                                                    2 * ingest::BytesOf(request.event)));
    base::MemoryCharge columns;  // there may be many rows, which is found out then
    HR_TRY(batch, ingest::ReadEvents(
                      request.event, allowed, limits_.events, [&](uint64_t bytes) -> Result<void> {
                        HR_TRY(columns,
                               sources_.budget->TryCharge(base::MemoryAccount::kIngest, bytes));
                        return {};
                      }));
  }
  if (batch.request_rows() != 1)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("a push is of one event, here are {}: send several to POST "
                            "/streams/{{stream}}/events",
                            batch.request_rows()));
  const std::shared_lock lock(reading_);
  if (closed_) return Fail(ErrorCode::kUnavailable, "the engine is stopping");
  HR_TRY(push->plan,
         sources_.answers->PlanOf({.service = request.service, .caller = request.caller}));
  // Not the newest one, which may be another by now.
  const pipeline::PipelineDefinition& definition = *push->plan->definition;
  const auto named = definition.ServiceNamed(request.service);
  HR_CHECK(named.has_value(), "a plan is of a service");
  const pipeline::ServiceDefinition& service = definition.services[*named];
  const bool ahead = request.answer == PushRequest::Wanted::kProvisional;
  if (ahead) HR_TRY_VOID(CheckAhead(service, batch.source));
  push->defaults = service.defaults;
  push->at_deadline = request.at_deadline.value_or(service.at_deadline);
  push->query.service = request.service;
  push->query.caller = request.caller;
  push->query.own = pipeline::OwnRow{push->stream, {}, {}, std::nullopt};
  if (batch.rows.rows() == 1) {
    const auto stream = definition.StreamNamed(push->stream);
    if (!stream) return Fail(ErrorCode::kUnavailable, std::string(kBeingChanged));
    const pipeline::StreamDefinition& of = definition.streams[*stream];
    columns::EventBatch event = batch;
    // It may have been typed before a change of the contract.
    event.rows = columns::ConformTo(of.schema(), batch.rows);
    push->query.own->time.us = event.rows.column(of.timing.event_time_field).Int64s()[0];
    HR_TRY(push->query.inputs, InputsOfEvent(*push->plan, event.rows, request.inputs));
    if (ahead) PrepareAhead(event, of.timing, *push);
  } else if (push->refused == PushRequest::Refused::kAnswered) {
    HR_TRY(push->query.inputs, InputsOfText(*push->plan, TextOf(request, batch), request.inputs));
  }
  return Begun{std::move(push), std::move(batch)};
}

// Nothing when it is seen already that the event will not come in by itself.
void Pushes::PrepareAhead(const columns::EventBatch& batch, const log::StreamTiming& timing,
                          PushUnderWay& push) const {
  // Nor when it is a repeat: of an event that is under way it may say other things than that.
  const base::EpochId any{std::numeric_limits<uint64_t>::max()};
  if (!sources_.follows || !sources_.follows(batch, timing, any)) return;
  push.ahead = std::make_shared<EventAhead>();
  push.ahead->event = {push.stream, batch.rows};
  // By its key: it may be in the state by the time that is read, sent by this push or another.
  push.ahead->is_absent = [follows = sources_.follows, timing, batch](base::EpochId epoch) {
    return follows(batch, timing, epoch);
  };
}

void Pushes::Push(PushRequest request, Done done) {
  Result<Begun> begun = Begin(std::move(request));
  if (!begun) {
    counters_.not_taken.fetch_add(1, std::memory_order_relaxed);
    return done(Fail(std::move(begun).error()));
  }
  const PushRef push = begun->push;
  push->done = std::move(done);
  counters_.pending.fetch_add(1, std::memory_order_relaxed);
  KeepDeadline(push);
  sources_.gate->Submit(std::move(begun->batch),
                        [self = shared_from_this(), push](Result<IngestOutcome> outcome) {
                          self->OnOutcome(push, std::move(outcome));
                        });
  if (push->ahead) AnswerAhead(push);
}

// Step 5.
void Pushes::AnswerAhead(const PushRef& push) {
  FeatureQuery query = push->query;
  query.ahead = push->ahead;
  auto features = ReadNow(query);
  if (!features) return;
  PushAnswer answer{.answered = PushAnswered::kProvisional, .features = std::move(*features)};
  Done done;
  {
    const std::lock_guard lock(push->mutex);
    if (push->outcome) return;  // it is known by now, and being answered
    done = std::exchange(push->done, Done());
    if (!done) return;
    push->provisional = true;
    push->token = answer.token = tokens_.New();
  }
  Send(*push, std::move(done), std::move(answer));
}

// Of an event that was not known when its push was answered.
void Pushes::NoteLater(const PushUnderWay& push, const Result<IngestOutcome>& outcome) {
  if (push.provisional) {
    if (!outcome || outcome->accepted == 0)
      counters_.provisional_not_in.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (outcome) counters_.late_known_after.fetch_add(1, std::memory_order_relaxed);
  const auto late = sources_.environment->clock().Now() - push.begin - push.deadline;
  late_by_us_.Record(static_cast<uint64_t>(std::max<int64_t>(0, late.count() / 1000)));
}

void Pushes::KeepDeadline(const PushRef& push) {
  const Deadline deadline{push->begin + push->deadline, push->number};
  const std::lock_guard lock(deadlines_mutex_);
  deadlines_.emplace(deadline, push);
  if (deadline.first < timer_) SetTimer(deadline.first);
}

void Pushes::ForgetDeadline(const PushUnderWay& push) {
  const std::lock_guard lock(deadlines_mutex_);
  deadlines_.erase({push.begin + push.deadline, push.number});
}

void Pushes::SetTimer(env::MonotonicTime at) {
  timer_ = at;
  sources_.timers->PostAt(at, [weak = weak_from_this(), at] {
    if (const auto self = weak.lock()) self->OnTimer(at);
  });
}

void Pushes::OnTimer(env::MonotonicTime at) {
  std::vector<PushRef> due;
  {
    const std::lock_guard lock(deadlines_mutex_);
    if (timer_ != at) return;  // an earlier one took its place, and has gone on
    const env::MonotonicTime now = sources_.environment->clock().Now();
    while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
      due.push_back(std::move(deadlines_.begin()->second));
      deadlines_.erase(deadlines_.begin());
    }
    timer_ = env::MonotonicTime::max();
    if (!deadlines_.empty()) SetTimer(deadlines_.begin()->first.first);
  }
  for (const PushRef& push : due) OnDeadline(push);
}

PushService::Done Pushes::Take(PushUnderWay& push) {
  const std::lock_guard lock(push.mutex);
  return std::exchange(push.done, Done());
}

// Step 2 is over.
void Pushes::OnOutcome(const PushRef& push, Result<IngestOutcome> outcome) {
  std::string token;
  Done done;
  {
    const std::lock_guard lock(push->mutex);
    push->charge.Release();
    token = push->token;
    if (outcome) push->outcome = *outcome;
    if (!outcome) done = std::exchange(push->done, Done());
  }
  if (!token.empty()) {
    NoteLater(*push, outcome);
    return tokens_.Settle(token, std::move(outcome));
  }
  if (!outcome) {
    if (!done) return;
    ForgetDeadline(*push);
    counters_.not_taken.fetch_add(1, std::memory_order_relaxed);
    counters_.pending.fetch_sub(1, std::memory_order_relaxed);
    return done(Fail(std::move(outcome).error()));
  }
  // Features are not read on the gate's thread, which has the next epoch to write. Where none are
  // read nobody waits for those that are.
  const bool told_only = outcome->all_refused() && push->refused == PushRequest::Refused::kToldOnly;
  const bool reads = !told_only && sources_.readers != nullptr;
  env::Executor& executor = reads ? *sources_.readers : *sources_.timers;
  executor.Post([self = shared_from_this(), push, outcome = std::move(*outcome)] {
    outcome.all_refused() ? self->OnRefused(push, outcome) : self->ReadWithEvent(push, outcome);
  });
}

void Pushes::OnRefused(const PushRef& push, const IngestOutcome& outcome) {
  Done done = Take(*push);
  if (!done) return;
  PushAnswer answer{.event = PushedEvent::kRefused, .outcome = outcome};
  if (push->refused == PushRequest::Refused::kAnswered) {
    FeatureQuery query = push->query;
    query.own = std::nullopt;
    auto features = ReadNow(query);
    if (features) {
      answer.answered = PushAnswered::kLastKnown;
      answer.features = std::move(*features);
    } else {
      answer.reason = features.error();
    }
  }
  Send(*push, std::move(done), std::move(answer));
}

// Step 3.
void Pushes::ReadWithEvent(const PushRef& push, const IngestOutcome& outcome) {
  FeatureQuery query = push->query;
  query.own = OwnOf(*push, outcome);
  query.min_epoch = outcome.epoch;
  query.deadline = FeatureQuery::kUntilVisible;
  auto answered = [self = shared_from_this(), push, outcome](Result<FeatureAnswer> features) {
    Done done = Take(*push);
    if (!done) return;
    PushAnswer answer{.event = PushedEvent::kDurable, .outcome = outcome};
    if (features) {
      answer.answered = PushAnswered::kWithEvent;
      answer.features = std::move(*features);
    } else {
      answer.reason = features.error();
    }
    self->Send(*push, std::move(done), std::move(answer));
  };
  const std::shared_lock lock(reading_);
  if (closed_) return answered(Fail(ErrorCode::kUnavailable, "the engine is stopping"));
  sources_.answers->AnswerWhenVisible(std::move(query), std::move(answered));
}

Result<FeatureAnswer> Pushes::ReadNow(const FeatureQuery& query) {
  const std::shared_lock lock(reading_);
  if (closed_) return Fail(ErrorCode::kUnavailable, "the engine is stopping");
  return sources_.answers->Answer(query);
}

// Step 4.
void Pushes::OnDeadline(const PushRef& push) {
  PushAnswer answer;
  Done done;
  {
    const std::lock_guard lock(push->mutex);
    done = std::exchange(push->done, Done());
    if (!done) return;
    answer.outcome = push->outcome;
    if (!answer.outcome) push->token = answer.token = tokens_.New();
  }
  if (answer.outcome && answer.outcome->all_refused()) {
    answer.event = PushedEvent::kRefused;
    return Send(*push, std::move(done), std::move(answer));
  }
  if (answer.outcome) answer.event = PushedEvent::kDurable;
  switch (push->at_deadline) {
    case AtDeadline::kRefuse: answer.reason = Late(push->deadline); break;
    case AtDeadline::kDefaults:
      answer.answered = PushAnswered::kDefaults;
      answer.features = DefaultsOf(*push);
      break;
    case AtDeadline::kLastKnown: {
      FeatureQuery query = push->query;
      query.own = std::nullopt;
      if (answer.outcome) query.own = OwnOf(*push, *answer.outcome);
      auto features = ReadNow(query);
      if (!features) {
        answer.reason = features.error();
        break;
      }
      const bool with_event = answer.outcome && features->epoch >= answer.outcome->epoch;
      answer.answered = with_event ? PushAnswered::kWithEvent : PushAnswered::kLastKnown;
      answer.features = std::move(*features);
      break;
    }
  }
  if (answer.answered == PushAnswered::kNone)
    counters_.refused_late.fetch_add(1, std::memory_order_relaxed);
  Send(*push, std::move(done), std::move(answer));
}

FeatureAnswer Pushes::DefaultsOf(const PushUnderWay& push) {
  FeatureAnswer features;
  features.service = push.query.service;
  features.rows = 1;
  features.columns = push.plan->columns;
  features.values = push.defaults;
  for (const PlanInput& input : push.plan->inputs) {
    const auto given = std::ranges::find(push.query.inputs, input.name, &InputColumn::name);
    if (given == push.query.inputs.end()) continue;
    auto value = ConvertInput(given->values.front(), input.type);
    if (value) features.inputs.push_back({input.name, {std::move(*value)}, input.use});
  }
  return features;
}

void Pushes::Send(const PushUnderWay& push, Done done, PushAnswer answer) {
  ForgetDeadline(push);
  answer.stream = push.stream;
  const auto took = sources_.environment->clock().Now() - push.begin;
  answered_us_.Record(static_cast<uint64_t>(std::max<int64_t>(0, took.count() / 1000)));
  counters_.pending.fetch_sub(1, std::memory_order_relaxed);
  Note(answer);
  done(std::move(answer));
}

void Pushes::Note(const PushAnswer& answer) {
  const auto count = [](std::atomic<uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
  };
  count(counters_.pushes);
  if (answer.outcome && answer.outcome->repeat == ingest::Repeat::kRepeated)
    count(counters_.repeats);
  if (answer.event == PushedEvent::kRefused) return count(counters_.refused_events);
  switch (answer.answered) {
    case PushAnswered::kWithEvent: return count(counters_.with_event);
    case PushAnswered::kProvisional: return count(counters_.provisional);
    case PushAnswered::kLastKnown: return count(counters_.last_known);
    case PushAnswered::kDefaults: return count(counters_.defaults);
    case PushAnswered::kNone:
      if (answer.reason && answer.reason->code() != ErrorCode::kDeadlineExceeded)
        count(counters_.unreadable);
      return;
  }
}

PushFigures Pushes::figures() const {
  const auto value = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return {.pushes = value(counters_.pushes),
          .pending = value(counters_.pending),
          .with_event = value(counters_.with_event),
          .provisional = value(counters_.provisional),
          .provisional_not_in = value(counters_.provisional_not_in),
          .last_known = value(counters_.last_known),
          .defaults = value(counters_.defaults),
          .refused_late = value(counters_.refused_late),
          .refused_events = value(counters_.refused_events),
          .repeats = value(counters_.repeats),
          .not_taken = value(counters_.not_taken),
          .unreadable = value(counters_.unreadable),
          .late_known_after = value(counters_.late_known_after),
          .answered_us = &answered_us_,
          .late_by_us = &late_by_us_};
}

// Callbacks that are still under way hold the pushes themselves.
class OwnedPushes final : public PushService {
 public:
  explicit OwnedPushes(std::shared_ptr<Pushes> pushes) : pushes_(std::move(pushes)) {}
  ~OwnedPushes() override { pushes_->Close(); }
  env::MonotonicTime Now() const override { return pushes_->Now(); }
  void Push(PushRequest request, Done done) override {
    pushes_->Push(std::move(request), std::move(done));
  }
  Result<PushedLater> Ask(std::string_view token) const override { return pushes_->Ask(token); }
  PushFigures figures() const override { return pushes_->figures(); }
  void Close() override { pushes_->Close(); }

 private:
  std::shared_ptr<Pushes> pushes_;
};

}  // namespace

std::string_view NameOf(PushedEvent event) {
  switch (event) {
    case PushedEvent::kDurable: return "durable";
    case PushedEvent::kRefused: return "refused";
    case PushedEvent::kUnknown: return "unknown";
  }
  return "unknown";
}

std::string_view NameOf(PushAnswered answered) {
  switch (answered) {
    case PushAnswered::kWithEvent: return "with_event";
    case PushAnswered::kProvisional: return "provisional";
    case PushAnswered::kLastKnown: return "last_known";
    case PushAnswered::kDefaults: return "defaults";
    case PushAnswered::kNone: return "none";
  }
  return "none";
}

std::optional<PushRequest::Wanted> WantedNamed(std::string_view name) {
  if (name == "durable") return PushRequest::Wanted::kDurable;
  if (name == "provisional") return PushRequest::Wanted::kProvisional;
  return std::nullopt;
}

std::unique_ptr<PushService> PushService::Make(PushSources sources, PushLimits limits) {
  HR_CHECK(sources.gate != nullptr && sources.answers != nullptr && sources.timers != nullptr &&
               sources.environment != nullptr && sources.budget != nullptr,
           "a push goes through a gate, and reads answers");
  return std::make_unique<OwnedPushes>(std::make_shared<Pushes>(std::move(sources), limits));
}

}  // namespace headrace::serving

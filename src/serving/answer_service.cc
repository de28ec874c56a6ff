// A request, step by step:
// 1. Its plan: compiled when the service was made, or kept from an earlier request for the same
// features.
// 2. Its input columns, each value converted to its column's type.
// 3. One pin; for each row the key of each view, one Get a view, then the on-request features.
// 4. If the pin was taken away meanwhile, all of it again under a new one. Where the keys' rows are
// is then looked up first, and the pin made a hold: the applier takes no version away any more, and
// does not free the memory meanwhile.
#include <algorithm>
#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "columns/key.h"
#include "serving/answer.h"
#include "serving/answer_plan.h"
#include "serving/caller_rights.h"
#include "serving/epoch_waiters.h"
#include "serving/input_values.h"
#include "serving/not_found.h"
#include "serving/on_request.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using pipeline::FeatureStatus;

constexpr std::string_view kMovedOn =
    "the state moved on faster than the answer was read: ask again";

base::Error InputError(std::string message, const std::string& field) {
  return base::Error(ErrorCode::kInvalidInput, std::move(message)).With("field", field);
}

// How far behind as_of the sources are of what is asked, PlanView or KeyQuestion each; of one that
// never said anything, since 1970.
template <typename Asked>
base::Duration LagOf(const pipeline::ViewSet& views, const pipeline::Pin& pin, const Asked& asked,
                     base::Timestamp as_of, const EventAhead* ahead = nullptr) {
  base::Timestamp progress = asked.empty() ? pin.clock() : base::Timestamp::Max();
  // A source is heard of by the event that it just sent.
  const auto just_heard = [&](size_t view) {
    const pipeline::PipelineDefinition& definition = *pin.definition();
    return definition.streams[definition.views[view].stream].name == ahead->event.stream;
  };
  for (const auto& of_view : asked) {
    if (ahead != nullptr && just_heard(of_view.view)) continue;
    progress = std::min(progress, views.ProgressOf(pin, of_view.view));
  }
  return std::max(base::Duration(0), as_of - std::max(progress, base::Timestamp{0}));
}

std::unexpected<base::Error> TooLongUnderHold(std::chrono::milliseconds most) {
  return base::Fail(
      ErrorCode::kUnavailable,
      fmt::format("the answer takes longer than {} ms to read while rows come: ask for "
                  "fewer keys at once",
                  most.count()));
}

// The plan's inputs, converted, in the plan's order.
struct BoundInputs {
  size_t rows = 0;
  std::vector<std::vector<columns::Value>> values;
};

// Rows whose keys are asked for together.
constexpr size_t kRowsAhead = 16;

// What the rows of a request use one after the other.
struct RowScratch {
  std::vector<pipeline::ViewAnswer> views;
  // Of kRowsAhead rows, those of a row for each view side by side.
  std::vector<columns::KeyBytes> keys;
  std::vector<pipeline::ViewSet::ViewKey> asked;
  std::vector<pipeline::ViewSet::FoundKey> found;  // of all rows, of a read under a hold
  base::MemoryCharge found_charge;
};

// A place among the reads under a hold, if there is one.
class HeldPlace {
 public:
  HeldPlace() = default;
  HeldPlace(std::atomic<size_t>& taken, size_t most) {
    if (taken.fetch_add(1, std::memory_order_relaxed) < most)
      taken_ = &taken;
    else
      taken.fetch_sub(1, std::memory_order_relaxed);
  }
  HeldPlace(HeldPlace&& other) noexcept : taken_(std::exchange(other.taken_, nullptr)) {}
  HeldPlace& operator=(HeldPlace&&) = delete;
  ~HeldPlace() {
    if (taken_ != nullptr) taken_->fetch_sub(1, std::memory_order_relaxed);
  }
  bool is_taken() const { return taken_ != nullptr; }

 private:
  std::atomic<size_t>* taken_ = nullptr;
};

// Whether a read looks its keys up first and then holds what it found.
enum class Under : uint8_t { kPin, kHold };

void KeepOnly(size_t output, pipeline::ViewAnswer& answer) {
  for (size_t i = 0; i < answer.values.size(); ++i)
    if (i != output) answer.values[i] = columns::Value();
}

// A row whose features are all outputs of one view.
void AppendRow(pipeline::ViewAnswer view, FeatureAnswer& answer) {
  if (answer.values.capacity() == 0) {
    answer.values = std::move(view.values);
    answer.statuses = std::move(view.statuses);
    return;
  }
  answer.values.insert(answer.values.end(), std::make_move_iterator(view.values.begin()),
                       std::make_move_iterator(view.values.end()));
  answer.statuses.insert(answer.statuses.end(), view.statuses.begin(), view.statuses.end());
}

std::unexpected<base::Error> TooManyRows(size_t rows_max, const std::string& field) {
  return base::Fail(InputError(TooManyRowsText(rows_max), field));
}

base::Result<BoundInputs> Bind(const AnswerPlan& plan, const FeatureQuery& query, size_t rows_max) {
  BoundInputs bound;
  if (plan.inputs.empty()) bound.rows = query.rows;
  if (bound.rows > rows_max) return TooManyRows(rows_max, "entities");
  for (const PlanInput& input : plan.inputs) {
    HR_TRY(const InputColumn* const given, InputNamed(query.inputs, input.name));
    if (given == nullptr) {
      const bool key = input.use == InputColumn::Use::kJoinKey;
      return base::Fail(
          InputError((key ? "missing join key `" : "missing request input `") + input.name + "`",
                     input.name)
              .With("missing", key ? "join_key" : "request_input"));
    }
    if (!bound.values.empty() && given->values.size() != bound.rows)
      return base::Fail(
          InputError("`" + input.name + "` has " + std::to_string(given->values.size()) +
                         " values, the columns before it " + std::to_string(bound.rows),
                     input.name));
    bound.rows = given->values.size();
    if (bound.rows > rows_max) return TooManyRows(rows_max, input.name);
    std::vector<columns::Value>& values = bound.values.emplace_back();
    values.reserve(bound.rows);
    for (const columns::Value& value : given->values) {
      auto converted = ConvertInput(value, input.type);
      if (!converted) return base::Fail(std::move(converted).error().With("field", input.name));
      values.push_back(std::move(*converted));
    }
  }
  return bound;
}

// What was compiled of one definition. Services at once, lists of features at first use.
class CompiledDefinition {
 public:
  CompiledDefinition(pipeline::PipelineRef definition, const AnswerLimits& limits)
      : definition_(std::move(definition)),
        restricted_(pipeline::FindRestricted(*definition_)),
        limits_(limits) {}

  base::Result<void> CompileServices() {
    for (const pipeline::ServiceDefinition& service : definition_->services) {
      HR_TRY(services_[service.name], CompileService(*definition_, service));
    }
    return {};
  }
  base::Result<AnswerPlanRef> PlanFor(const FeatureQuery& query);
  const pipeline::PipelineRef& definition() const { return definition_; }
  const pipeline::RestrictedFeatures& restricted() const { return restricted_; }

 private:
  base::Result<AnswerPlanRef> PlanForFeatures(const FeatureNames& features);

  const pipeline::PipelineRef definition_;
  const pipeline::RestrictedFeatures restricted_;
  const AnswerLimits& limits_;
  std::unordered_map<std::string, AnswerPlanRef> services_;  // filled before the first request
  std::shared_mutex plans_mutex_;
  std::unordered_map<FeatureNames, AnswerPlanRef, FeatureNames::Hash> plans_;
  size_t plan_columns_ = 0;  // of all plans_
};
using CompiledRef = std::shared_ptr<CompiledDefinition>;

class PinnedAnswerService final : public AnswerService {
 public:
  PinnedAnswerService(AnswerSources sources, AnswerLimits limits)
      : sources_(std::move(sources)),
        limits_(limits),
        waiters_(MakeWaiters(*sources_.waiting, BytesOfOthers())),
        waiting_pushes_(MakeWaiters(
            sources_.waiting_pushes != nullptr ? *sources_.waiting_pushes : *sources_.waiting, 0)) {
  }
  ~PinnedAnswerService() override {
    waiters_->Stop();
    waiting_pushes_->Stop();
  }

  base::Result<void> CompileServices() {
    HR_TRY(compiled_, Compile(sources_.views->current().definition));
    return {};
  }

  base::Result<FeatureAnswer> Answer(const FeatureQuery& query) override {
    if (query.min_epoch && sources_.views->visible() < *query.min_epoch)
      return base::Fail(base::Error(ErrorCode::kUnavailable, "the epoch is not visible yet")
                            .With("epoch", std::to_string(query.min_epoch->value)));
    return AnswerNow(query);
  }
  void AnswerWhenVisible(FeatureQuery query, Done done) override;
  base::Result<std::optional<KeyAnswers>> AnswerKeys(
      const pipeline::PipelineDefinition& definition,
      std::span<const KeyQuestion> questions) override;
  void Expect(const pipeline::PipelineDefinition& definition,
              std::span<const KeyQuestion> questions) override;
  void WhenVisible(base::EpochId epoch, std::chrono::milliseconds deadline,
                   std::optional<uint64_t> held_bytes, Visible done) override;
  base::Result<AnswerPlanRef> PlanOf(const FeatureQuery& query) override {
    HR_TRY(const CompiledRef compiled, CompiledNow());
    HR_TRY(const AnswerPlanRef plan, compiled->PlanFor(query));
    if (query.caller != nullptr)
      HR_TRY_VOID(CheckPlan(*query.caller, *compiled->definition(), compiled->restricted(), *plan));
    const auto held = std::make_shared<std::pair<CompiledRef, AnswerPlanRef>>(compiled, plan);
    return AnswerPlanRef(held, plan.get());
  }
  void MarkVisible(base::EpochId epoch) override {
    waiting_pushes_->MarkVisible(epoch);
    waiters_->MarkVisible(epoch);
  }
  const base::Histogram& serve_us() const override { return serve_us_; }
  uint64_t revoked_pins() const override { return revoked_.load(std::memory_order_relaxed); }
  pipeline::PipelineRef definition() const override { return sources_.views->current().definition; }

 private:
  // What is left to answers that wait for nothing.
  uint64_t BytesOfOthers() const {
    constexpr uint64_t kShare = 16;
    return sources_.budget == nullptr ? 0 : sources_.budget->limit_bytes() / kShare;
  }
  std::shared_ptr<EpochWaiters> MakeWaiters(env::Executor& executor, uint64_t left_bytes) const {
    return std::make_shared<EpochWaiters>(
        executor, *sources_.clock, sources_.budget,
        EpochWaiters::Limits{.waiters_max = limits_.waiters_max, .left_bytes = left_bytes});
  }
  base::Result<CompiledRef> Compile(pipeline::PipelineRef definition) const {
    auto compiled = std::make_shared<CompiledDefinition>(std::move(definition), limits_);
    HR_TRY_VOID(compiled->CompileServices());
    return compiled;
  }
  base::Result<CompiledRef> CompiledNow();
  base::Result<CompiledRef> CompiledFor(const pipeline::PipelineRef& definition);
  base::Result<FeatureAnswer> AnswerNow(const FeatureQuery& query);
  struct Read {
    bool held;                    // false: taken away, or
    pipeline::PipelineRef other;  // the definition that is visible instead
  };
  base::Result<Read> ReadOnce(const CompiledDefinition& compiled, const AnswerPlan& plan,
                              const BoundInputs& inputs, const FeatureQuery& query,
                              FeatureAnswer& answer, Under under);
  // For a read whose pins were taken away so often.
  HeldPlace PlaceAfter(int revoked) {
    if (revoked == 0) return {};
    return {held_reads_, limits_.held_reads_max};
  }
  bool TakesTooLong(const pipeline::Pin& pin) const {
    return pin.is_hold() && sources_.clock->Now() - pin.taken_at() > limits_.held_read_max;
  }
  void Finish(const CompiledDefinition& compiled, const AnswerPlan& plan, const FeatureQuery& query,
              BoundInputs inputs, FeatureAnswer& answer);
  base::Result<base::MemoryCharge> ChargeAnswer(size_t values);
  base::Result<base::MemoryCharge> ChargeFound(size_t keys) const;
  base::Result<void> CheckKeys(const pipeline::PipelineDefinition& definition,
                               std::span<const KeyQuestion> questions) const;
  base::Result<void> ChargeKeys(uint64_t bytes, KeyAnswers& answers) const;
  base::Result<bool> AnswerUnderPin(const AnswerPlan& plan, const BoundInputs& inputs,
                                    const FeatureQuery& query, pipeline::Pin& pin,
                                    FeatureAnswer& answer, Under under);
  void MakeKeys(const AnswerPlan& plan, const BoundInputs& inputs, const pipeline::Pin& pin,
                size_t first, RowScratch& scratch) const;
  base::Result<bool> FindAndHold(const AnswerPlan& plan, const BoundInputs& inputs,
                                 pipeline::Pin& pin, RowScratch& scratch) const;
  base::Result<void> AnswerRow(const AnswerPlan& plan, const BoundInputs& inputs,
                               const FeatureQuery& query, const pipeline::Pin& pin, size_t row,
                               RowScratch& scratch, FeatureAnswer& answer) const;
  void Prefetch(const pipeline::Pin& pin, std::span<const KeyQuestion> questions) const;
  // False when the pin was revoked.
  base::Result<bool> AnswerKeysUnderPin(pipeline::Pin& pin, std::span<const KeyQuestion> questions,
                                        KeyAnswers& answers, Under under) const;
  base::Result<void> LogKeys(CompiledDefinition& compiled, std::span<const KeyQuestion> questions,
                             const KeyAnswers& answers);
  base::Timestamp AsOf(const FeatureQuery& query, const pipeline::Pin& pin) const {
    if (query.as_of) return *query.as_of;
    return query.own ? std::max(NowOf(pin), query.own->time) : NowOf(pin);
  }
  base::Timestamp NowOf(const pipeline::Pin& pin) const {
    if (pin.definition()->clock == log::ClockMode::kEvents) return pin.clock();
    return std::max(pin.clock(), sources_.log_clock(pin.taken_at()));
  }

  AnswerSources sources_;
  AnswerLimits limits_;
  std::shared_ptr<EpochWaiters> waiters_;
  std::shared_ptr<EpochWaiters> waiting_pushes_;
  std::shared_mutex compiled_mutex_;
  CompiledRef compiled_;  // of the newest definition that was asked of; guarded
  base::Histogram serve_us_;
  std::atomic<uint64_t> revoked_{0};
  std::atomic<size_t> held_reads_{0};
};

base::Result<AnswerPlanRef> CompiledDefinition::PlanFor(const FeatureQuery& query) {
  if (query.service.empty()) return PlanForFeatures(query.features);
  const auto found = services_.find(query.service);
  if (found != services_.end()) return found->second;
  return NoSuchService(*definition_, query.service);
}

base::Result<AnswerPlanRef> CompiledDefinition::PlanForFeatures(const FeatureNames& features) {
  if (features.empty())
    return base::Fail(InputError("name a service or some features", "features"));
  {
    std::shared_lock lock(plans_mutex_);
    const auto found = plans_.find(features);
    if (found != plans_.end()) return found->second;
  }
  HR_TRY(AnswerPlanRef plan, CompileFeatures(*definition_, features.names(), limits_.features_max));
  std::unique_lock lock(plans_mutex_);
  const size_t columns = plan->columns->size();
  if (plans_.size() >= limits_.plans_max || plan_columns_ + columns > limits_.plan_columns_max) {
    plans_.clear();
    plan_columns_ = 0;
  }
  if (plans_.emplace(features, plan).second) plan_columns_ += columns;
  return plan;
}

// What the next reader will most likely see.
base::Result<CompiledRef> PinnedAnswerService::CompiledNow() {
  {
    std::shared_lock lock(compiled_mutex_);
    if (sources_.views->IsVisible(*compiled_->definition())) return compiled_;
  }
  return CompiledFor(sources_.views->current().definition);
}

base::Result<CompiledRef> PinnedAnswerService::CompiledFor(
    const pipeline::PipelineRef& definition) {
  {
    std::shared_lock lock(compiled_mutex_);
    if (compiled_->definition() == definition) return compiled_;
  }
  HR_TRY(CompiledRef compiled, Compile(definition));
  std::unique_lock lock(compiled_mutex_);
  compiled_ = compiled;
  return compiled;
}

base::Result<FeatureAnswer> PinnedAnswerService::AnswerNow(const FeatureQuery& query) {
  const env::MonotonicTime begin = sources_.clock->Now();
  HR_TRY(CompiledRef compiled, CompiledNow());
  int revoked = 0;
  while (revoked <= limits_.revoked_retries) {
    HR_TRY(const AnswerPlanRef plan, compiled->PlanFor(query));
    if (query.caller != nullptr)
      HR_TRY_VOID(CheckPlan(*query.caller, *compiled->definition(), compiled->restricted(), *plan));
    HR_TRY(BoundInputs inputs, Bind(*plan, query, limits_.rows_max));
    HR_TRY(const base::MemoryCharge charge, ChargeAnswer(inputs.rows * plan->row_values));
    FeatureAnswer answer;
    const HeldPlace place = PlaceAfter(revoked);
    const Under under = place.is_taken() ? Under::kHold : Under::kPin;
    HR_TRY(const Read read, ReadOnce(*compiled, *plan, inputs, query, answer, under));
    if (read.held) {
      if (query.ahead && !query.ahead->is_absent(answer.epoch))
        return base::Fail(ErrorCode::kConflict, "the event is in the state by now, or a repeat");
      Finish(*compiled, *plan, query, std::move(inputs), answer);
      serve_us_.Record(static_cast<uint64_t>((sources_.clock->Now() - begin).count() / 1000));
      return answer;
    }
    if (read.other != nullptr) {  // the cut-over was just now
      HR_TRY(compiled, CompiledFor(read.other));
      continue;
    }
    ++revoked;
    revoked_.fetch_add(1, std::memory_order_relaxed);
  }
  return base::Fail(ErrorCode::kUnavailable, std::string(kMovedOn));
}

// Under one pin, which is given back before anything else is done.
base::Result<PinnedAnswerService::Read> PinnedAnswerService::ReadOnce(
    const CompiledDefinition& compiled, const AnswerPlan& plan, const BoundInputs& inputs,
    const FeatureQuery& query, FeatureAnswer& answer, Under under) {
  HR_TRY(pipeline::Pin pin, sources_.views->PinNewest());
  if (pin.definition() != compiled.definition()) return Read{false, pin.definition()};
  HR_TRY(const bool held, AnswerUnderPin(plan, inputs, query, pin, answer, under));
  return Read{held, nullptr};
}

void PinnedAnswerService::Finish(const CompiledDefinition& compiled, const AnswerPlan& plan,
                                 const FeatureQuery& query, BoundInputs inputs,
                                 FeatureAnswer& answer) {
  answer.log = sources_.log;
  answer.definition = compiled.definition()->id;
  answer.clock = compiled.definition()->clock;
  answer.service = plan.service;
  answer.own = query.own;
  answer.provisional = query.ahead != nullptr;
  answer.rows = inputs.rows;
  answer.columns = plan.columns;
  for (const InputColumn& column : query.inputs)
    for (size_t i = 0; i < plan.inputs.size(); ++i)
      if (plan.inputs[i].name == column.name)
        answer.inputs.push_back({column.name, std::move(inputs.values[i]), plan.inputs[i].use});
  if (sources_.on_answer) sources_.on_answer(answer);
}

// An answer's values and then its text; requests of one thread follow each other, so that the
// values are gone when the next one asks.
base::Result<base::MemoryCharge> PinnedAnswerService::ChargeAnswer(size_t values) {
  constexpr uint64_t kValueBytes = 256;
  if (values > limits_.values_max)
    return base::Fail(InputError(
        fmt::format("{} values are asked for at once, more than {}: ask for fewer rows or features",
                    values, limits_.values_max),
        "entities"));
  if (sources_.budget == nullptr) return base::MemoryCharge();
  return sources_.budget->TryCharge(base::MemoryAccount::kReplies, values * kValueBytes);
}

// Of keys that a read under a hold looks up before it answers.
base::Result<base::MemoryCharge> PinnedAnswerService::ChargeFound(size_t keys) const {
  if (sources_.budget == nullptr) return base::MemoryCharge();
  return sources_.budget->TryCharge(base::MemoryAccount::kReplies,
                                    keys * sizeof(pipeline::ViewSet::FoundKey));
}

// False when the pin was revoked, so that nothing of the answer may be used.
base::Result<bool> PinnedAnswerService::AnswerUnderPin(const AnswerPlan& plan,
                                                       const BoundInputs& inputs,
                                                       const FeatureQuery& query,
                                                       pipeline::Pin& pin, FeatureAnswer& answer,
                                                       Under under) {
  answer.epoch = pin.epoch();
  answer.as_of = AsOf(query, pin);
  answer.lag = LagOf(*sources_.views, pin, plan.views, answer.as_of, query.ahead.get());
  answer.view_lags.clear();
  if (query.lags == FeatureQuery::Lags::kOfEachView)
    for (const PlanView& view : plan.views)
      answer.view_lags.push_back(LagOf(*sources_.views, pin, std::span(&view, 1), answer.as_of));
  const size_t cells = inputs.rows * plan.columns->size();
  answer.values.clear();
  answer.statuses.clear();
  answer.event_times.clear();
  if (inputs.rows > 1 || !plan.whole_view) {  // else they are the view's own
    answer.values.reserve(cells);
    answer.statuses.reserve(cells);
  }
  answer.event_times.reserve(plan.one_view ? inputs.rows : cells);
  RowScratch scratch;
  if (under == Under::kHold) {
    HR_TRY(const bool held, FindAndHold(plan, inputs, pin, scratch));
    if (!held) return false;
  }
  for (size_t row = 0; row < inputs.rows; ++row) {
    if (TakesTooLong(pin)) return TooLongUnderHold(limits_.held_read_max);
    if (row % kRowsAhead == 0) MakeKeys(plan, inputs, pin, row, scratch);
    const auto answered = AnswerRow(plan, inputs, query, pin, row, scratch, answer);
    if (pin.revoked()) return false;
    if (!answered) return base::Fail(answered.error());
  }
  if (pin.revoked()) return false;
  if (plan.max_lag && answer.lag > *plan.max_lag)
    for (FeatureStatus& status : answer.statuses)
      if (status == FeatureStatus::kPresent || status == FeatureStatus::kNullValue)
        status = FeatureStatus::kOutsideMaxAge;
  return true;
}

// Of up to kRowsAhead rows from `first` on, which are asked for if there are several.
void PinnedAnswerService::MakeKeys(const AnswerPlan& plan, const BoundInputs& inputs,
                                   const pipeline::Pin& pin, size_t first,
                                   RowScratch& scratch) const {
  const size_t rows = std::min(kRowsAhead, inputs.rows - first);
  const size_t keys = rows * plan.views.size();
  if (scratch.keys.size() < keys) scratch.keys.resize(keys);
  scratch.asked.clear();
  columns::KeyBytes* key = scratch.keys.data();
  for (size_t row = first; row < first + rows; ++row) {
    for (const PlanView& view : plan.views) {
      key->clear();
      for (const size_t input : view.key_inputs)
        columns::AppendKeyValue(*key, inputs.values[input][row]);
      scratch.asked.push_back({view.view, *key++});
    }
  }
  if (scratch.asked.size() > 1 && !pin.is_hold()) sources_.views->Prefetch(pin, scratch.asked);
}

// False when the pin was revoked.
base::Result<bool> PinnedAnswerService::FindAndHold(const AnswerPlan& plan,
                                                    const BoundInputs& inputs, pipeline::Pin& pin,
                                                    RowScratch& scratch) const {
  const size_t keys = inputs.rows * plan.views.size();
  HR_TRY(scratch.found_charge, ChargeFound(keys));
  scratch.found.reserve(keys);
  for (size_t row = 0; row < inputs.rows; row += kRowsAhead) {
    MakeKeys(plan, inputs, pin, row, scratch);
    for (const auto& [view, key] : scratch.asked)
      scratch.found.push_back(sources_.views->Find(pin, view, key));
  }
  return pin.TurnIntoHold();
}

base::Result<void> PinnedAnswerService::AnswerRow(const AnswerPlan& plan, const BoundInputs& inputs,
                                                  const FeatureQuery& query,
                                                  const pipeline::Pin& pin, size_t row,
                                                  RowScratch& scratch,
                                                  FeatureAnswer& answer) const {
  std::vector<pipeline::ViewAnswer>& views = scratch.views;
  views.clear();
  const size_t first_key = row % kRowsAhead * plan.views.size();
  for (size_t i = 0; i < plan.views.size(); ++i) {
    const size_t view = plan.views[i].view;
    const columns::KeyBytes& key = scratch.keys[first_key + i];
    const auto found = pin.is_hold() ? scratch.found[row * plan.views.size() + i]
                                     : sources_.views->Find(pin, view, key);
    HR_TRY(pipeline::ViewAnswer got,
           query.ahead ? sources_.views->AnswerAhead(pin, view, key, found, answer.as_of,
                                                     query.ahead->event)
                       : sources_.views->Answer(pin, view, found, answer.as_of, query.own));
    views.push_back(std::move(got));
  }
  if (plan.one_view) answer.event_times.push_back(views[0].event_time);
  if (plan.whole_view) {
    AppendRow(std::move(views[0]), answer);
    return {};
  }
  const auto read = [&](const PlanSource& source) -> FeatureValue {
    if (source.kind == PlanSource::Kind::kInput) {
      const columns::Value& value = inputs.values[source.slot][row];
      return {value, value.is_null() ? FeatureStatus::kNullValue : FeatureStatus::kPresent,
              std::nullopt};
    }
    if (source.kind == PlanSource::Kind::kOnRequest)
      return {};  // a field that the expression does not read
    const pipeline::ViewAnswer& view = views[source.slot];
    return {view.values[source.output], view.statuses[source.output], view.event_time};
  };
  std::vector<FeatureValue> on_request;
  std::vector<FeatureValue> arguments;
  for (const PlanOnRequest& planned : plan.on_request) {
    arguments.clear();
    for (const PlanSource& source : planned.sources) arguments.push_back(read(source));
    on_request.push_back(
        EvaluateOnRequest(pin.definition()->on_request[planned.feature], arguments));
  }
  for (const PlanSource& source : plan.sources) {
    if (source.kind == PlanSource::Kind::kView) {
      pipeline::ViewAnswer& view = views[source.slot];
      columns::Value& value = view.values[source.output];
      if (plan.outputs_once)
        answer.values.push_back(std::move(value));
      else
        answer.values.push_back(value);
      answer.statuses.push_back(view.statuses[source.output]);
      if (!plan.one_view) answer.event_times.push_back(view.event_time);
      continue;
    }
    const FeatureValue& value = on_request[source.slot];
    answer.values.push_back(value.value);
    answer.statuses.push_back(value.status);
    answer.event_times.push_back(value.event_time);
  }
  return {};
}

void PinnedAnswerService::Prefetch(const pipeline::Pin& pin,
                                   std::span<const KeyQuestion> questions) const {
  std::vector<pipeline::ViewSet::ViewKey> keys;
  keys.reserve(questions.size());
  for (const KeyQuestion& question : questions) keys.push_back({question.view, question.key});
  sources_.views->Prefetch(pin, keys);
}

void PinnedAnswerService::Expect(const pipeline::PipelineDefinition& definition,
                                 std::span<const KeyQuestion> questions) {
  const auto pin = sources_.views->PinNewest();
  if (pin && pin->definition().get() == &definition) Prefetch(*pin, questions);
}

base::Result<bool> PinnedAnswerService::AnswerKeysUnderPin(pipeline::Pin& pin,
                                                           std::span<const KeyQuestion> questions,
                                                           KeyAnswers& answers, Under under) const {
  answers.epoch = pin.epoch();
  answers.as_of = NowOf(pin);
  answers.lag = LagOf(*sources_.views, pin, questions, answers.as_of);
  if (questions.size() > 1) Prefetch(pin, questions);
  std::vector<pipeline::ViewSet::FoundKey> held;
  base::MemoryCharge held_charge;
  if (under == Under::kHold) {
    HR_TRY(held_charge, ChargeFound(questions.size()));
    held.reserve(questions.size());
    for (const KeyQuestion& question : questions)
      held.push_back(sources_.views->Find(pin, question.view, question.key));
    if (!pin.TurnIntoHold()) return false;
  }
  answers.views.clear();
  answers.views.reserve(questions.size());
  uint64_t bytes = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    const KeyQuestion& question = questions[i];
    if (TakesTooLong(pin)) return TooLongUnderHold(limits_.held_read_max);
    const auto found =
        pin.is_hold() ? held[i] : sources_.views->Find(pin, question.view, question.key);
    auto got = sources_.views->Answer(pin, question.view, found, answers.as_of);
    if (pin.revoked()) return false;
    if (!got) return base::Fail(std::move(got).error());
    if (question.only && !sources_.on_answer) KeepOnly(*question.only, *got);
    answers.views.push_back(std::move(*got));
    if (questions.size() == 1) continue;
    bytes += HeldBytes(answers.views.back());
    HR_TRY_VOID(ChargeKeys(bytes, answers));
  }
  return !pin.revoked();
}

// All outputs of a view are computed for a key, whatever is looked at. Lists are counted by what
// they have (ChargeKeys).
base::Result<void> PinnedAnswerService::CheckKeys(const pipeline::PipelineDefinition& definition,
                                                  std::span<const KeyQuestion> questions) const {
  if (questions.size() <= 1) return {};
  size_t values = 0;
  for (const KeyQuestion& question : questions)
    values += definition.views[question.view].outputs.size();
  if (values <= limits_.values_max) return {};
  return base::Fail(InputError(
      fmt::format("{} features of {} keys are computed at once, more than {}: ask for fewer keys",
                  values, questions.size(), limits_.values_max),
      "keys"));
}

// Charges for the answers so far in steps that double.
base::Result<void> PinnedAnswerService::ChargeKeys(uint64_t bytes, KeyAnswers& answers) const {
  constexpr uint64_t kUncharged = 64U << 10;
  if (sources_.budget == nullptr || bytes <= std::max(kUncharged, answers.charge.bytes()))
    return {};
  answers.charge.Release();
  HR_TRY(answers.charge, sources_.budget->TryCharge(base::MemoryAccount::kReplies, 2 * bytes));
  return {};
}

base::Result<std::optional<KeyAnswers>> PinnedAnswerService::AnswerKeys(
    const pipeline::PipelineDefinition& definition, std::span<const KeyQuestion> questions) {
  HR_TRY_VOID(CheckKeys(definition, questions));
  std::optional<env::MonotonicTime> begin;
  KeyAnswers answers;
  for (int revoked = 0; revoked <= limits_.revoked_retries; ++revoked) {
    {
      const HeldPlace place = PlaceAfter(revoked);
      const Under under = place.is_taken() ? Under::kHold : Under::kPin;
      HR_TRY(pipeline::Pin pin, sources_.views->PinNewest());
      if (!begin) begin = pin.taken_at();
      if (pin.definition().get() != &definition) return std::nullopt;
      HR_TRY(const bool held, AnswerKeysUnderPin(pin, questions, answers, under));
      if (!held) {
        revoked_.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
    }
    if (sources_.on_answer) {
      HR_TRY(const CompiledRef compiled, CompiledNow());
      if (compiled->definition().get() != &definition) return std::nullopt;
      HR_TRY_VOID(LogKeys(*compiled, questions, answers));
    }
    serve_us_.Record(static_cast<uint64_t>((sources_.clock->Now() - *begin).count() / 1000));
    return answers;
  }
  return base::Fail(ErrorCode::kUnavailable, std::string(kMovedOn));
}

// An answer of its own for each key, as if `view.*` had been asked for.
base::Result<void> PinnedAnswerService::LogKeys(CompiledDefinition& compiled,
                                                std::span<const KeyQuestion> questions,
                                                const KeyAnswers& answers) {
  for (size_t i = 0; i < questions.size(); ++i) {
    const pipeline::ViewDefinition& view = compiled.definition()->views[questions[i].view];
    FeatureQuery query;
    query.features = {view.name + ".*"};
    HR_TRY(const AnswerPlanRef plan, compiled.PlanFor(query));
    std::vector<columns::Type> types;
    for (const PlanInput& input : plan->inputs) types.push_back(input.type);
    HR_TRY(std::vector<columns::Value> key, columns::DecodeKey(types, questions[i].key));
    BoundInputs inputs;
    inputs.rows = 1;
    for (size_t part = 0; part < key.size(); ++part) {
      query.inputs.push_back({plan->inputs[part].name, {}});
      inputs.values.push_back({std::move(key[part])});
    }
    FeatureAnswer answer;
    answer.epoch = answers.epoch;
    answer.as_of = answers.as_of;
    answer.lag = answers.lag;
    answer.values = answers.views[i].values;
    answer.statuses = answers.views[i].statuses;
    answer.event_times = {answers.views[i].event_time};
    Finish(compiled, *plan, query, std::move(inputs), answer);
  }
  return {};
}

void PinnedAnswerService::AnswerWhenVisible(FeatureQuery query, Done done) {
  if (!query.min_epoch) return done(AnswerNow(query));
  const base::EpochId epoch = *query.min_epoch;
  const auto deadline = query.deadline;
  const uint64_t held_bytes = HeldBytes(query.service, query.features.names(), query.inputs);
  WhenVisible(epoch, deadline, held_bytes,
              [this, query = std::move(query),
               done = std::move(done)](const base::Result<void>& visible) mutable {
                if (visible) return done(AnswerNow(query));
                done(base::Fail(visible.error()));
              });
}

void PinnedAnswerService::WhenVisible(base::EpochId epoch, std::chrono::milliseconds deadline,
                                      std::optional<uint64_t> held_bytes, Visible done) {
  if (sources_.views->visible() >= epoch) return done({});
  const bool pushed = deadline == FeatureQuery::kUntilVisible;
  if (!pushed) deadline = std::min(deadline, limits_.wait_max);
  auto shared_done = std::make_shared<Visible>(std::move(done));
  auto woken = [epoch, shared_done](EpochWaiters::Outcome outcome) {
    if (outcome == EpochWaiters::Outcome::kVisible) return (*shared_done)({});
    if (outcome == EpochWaiters::Outcome::kStopped)
      return (*shared_done)(base::Fail(ErrorCode::kUnavailable, "the engine is stopping"));
    (*shared_done)(base::Fail(
        base::Error(ErrorCode::kDeadlineExceeded, "the epoch did not become visible in time")
            .With("epoch", std::to_string(epoch.value))));
  };
  EpochWaiters& waiters = pushed ? *waiting_pushes_ : *waiters_;
  if (auto waits = waiters.Wait(epoch, deadline, held_bytes, std::move(woken)); !waits)
    (*shared_done)(base::Fail(std::move(waits).error()));
}

}  // namespace

std::string TooManyRowsText(size_t rows_max) {
  return fmt::format("more than {} rows in one request: ask in parts", rows_max);
}

base::Result<std::unique_ptr<AnswerService>> AnswerService::Make(AnswerSources sources,
                                                                 AnswerLimits limits) {
  HR_CHECK(sources.views != nullptr && sources.waiting != nullptr && sources.clock != nullptr,
           "an answer service reads views");
  auto service = std::make_unique<PinnedAnswerService>(std::move(sources), limits);
  HR_TRY_VOID(service->CompileServices());
  return service;
}

}  // namespace headrace::serving

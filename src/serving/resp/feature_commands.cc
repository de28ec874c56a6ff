#include "serving/resp/feature_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "serving/caller_rights.h"
#include "serving/resp/key_text.h"
#include "serving/resp/service_answer.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using pipeline::FeatureStatus;
using pipeline::ViewAnswer;
using protocols::RespCall;
using protocols::RespWriter;

constexpr std::string_view kStatusOf = "_status:";
constexpr AnswerLimits kLimits;
// Of a command, for the next one.
constexpr size_t kFieldsKept = 256;
constexpr size_t kKeysKept = 64;

// How far from a value: what stands for several features is the worst.
int Badness(FeatureStatus status) {
  switch (status) {
    case FeatureStatus::kPresent: return 0;
    case FeatureStatus::kNullValue: return 1;
    case FeatureStatus::kOutsideMaxAge: return 2;
    case FeatureStatus::kInvalid: return 3;
    case FeatureStatus::kNotFound: return 4;
  }
  return 4;
}

FeatureStatus Worse(FeatureStatus a, FeatureStatus b) { return Badness(a) < Badness(b) ? b : a; }

// Of the key: it is there, and young enough. A feature of it may still be null.
FeatureStatus KeyStatus(const ViewAnswer& answer) {
  if (!answer.event_time) return FeatureStatus::kNotFound;
  const bool old = std::any_of(answer.statuses.begin(), answer.statuses.end(),
                               [](auto s) { return s == FeatureStatus::kOutsideMaxAge; });
  return old ? FeatureStatus::kOutsideMaxAge : FeatureStatus::kPresent;
}

// Of an answer, before it is written: a value may be asked for many times. Beyond the most values
// nothing is added.
struct AnswerSize {
  size_t values = 0;  // each element of a list counts
  uint64_t bytes = 0;
};

void AddSize(const columns::Value& value, AnswerSize& size) {
  constexpr uint64_t kNumberBytes = 24;
  ++size.values;
  size.bytes += kNumberBytes;
  if (value.is_null()) return;
  if (columns::IsVariable(value.type())) size.bytes += value.as_text().size();
  if (!columns::IsList(value.type())) return;
  for (const columns::Value& element : value.as_list()) {
    if (size.values > kLimits.values_max) return;
    AddSize(element, size);
  }
}

void WriteLag(const KeyAnswers& answers, RespWriter& out) {
  const auto lag = LagSinceHeard(answers.lag, answers.as_of);
  if (!lag) return out.Null();
  out.Bulk(fmt::format("{}", static_cast<double>(lag->count()) / 1000));
}

// What stands between the service's name and KEY, and the inputs behind it.
struct ServiceQuestion {
  FeatureQuery query;
  std::optional<base::EpochId> as_of_epoch;
  std::optional<std::chrono::milliseconds> deadline;  // as it was said
};
base::Result<ServiceQuestion> ReadServiceQuery(std::span<const std::string_view> arguments) {
  const auto wrong = [](std::string message) {
    return base::Fail(ErrorCode::kInvalidInput, std::move(message));
  };
  ServiceQuestion question;
  FeatureQuery& query = question.query;
  query.service = arguments[1];
  size_t i = 2;
  for (; i + 1 < arguments.size() && !SameWord(arguments[i], "key"); i += 2) {
    const std::string_view value = arguments[i + 1];
    const auto count = ReadCount(value);
    if (SameWord(arguments[i], "min_epoch")) {
      if (!count) return wrong("MIN_EPOCH wants a whole number: the epoch of an acknowledgement");
      query.min_epoch = base::EpochId{*count};
    } else if (SameWord(arguments[i], "deadline")) {
      if (!count) return wrong("DEADLINE wants milliseconds, a whole number");
      // A day is past every limit of a wait already.
      query.deadline = std::chrono::milliseconds(std::min<uint64_t>(*count, 86'400'000));
      question.deadline = query.deadline;
    } else if (SameWord(arguments[i], "as_of_epoch")) {
      if (!count) return wrong("AS_OF_EPOCH wants a whole number: the epoch of an answer");
      question.as_of_epoch = base::EpochId{*count};
    } else if (SameWord(arguments[i], "as_of")) {
      HR_TRY(query.as_of, base::ParseTimestamp(value));
    } else {
      return wrong(fmt::format("`{}` is no option: features.get {}", arguments[i].substr(0, 64),
                               CommandNamed("features.get")->syntax));
    }
  }
  const auto inputs = arguments.subspan(std::min(i + 1, arguments.size()));
  if (i >= arguments.size() || inputs.empty() || inputs.size() % 2 != 0)
    return wrong(fmt::format("KEY is followed by names and values: features.get {}",
                             CommandNamed("features.get")->syntax));
  for (size_t at = 0; at < inputs.size(); at += 2)
    query.inputs.push_back({std::string(inputs[at]),
                            {columns::Value(columns::Type::kBytes, std::string(inputs[at + 1]))}});
  if (question.as_of_epoch && query.min_epoch)
    return wrong("AS_OF_EPOCH is an epoch of before, MIN_EPOCH one to wait for: give one of them");
  return question;
}

}  // namespace

void FeatureCommands::Run(RespCall& call) {
  const RespCommandRow* command = CheckCommand(call);
  if (command == nullptr) return transactions_.NoteRefused(command, call);
  NoteCaller();
  if (!connection_.Admit(*command, call)) {
    transactions_.NoteRefused(command, call);
  } else if (!transactions_.Take(*command, call)) {
    Dispatch(*command, call);
  }
  if (answers_.charge.bytes() > 0) answers_ = {};
  if (fields_.names.size() > kFieldsKept) fields_ = {};
  if (questions_.capacity() > kKeysKept) questions_ = std::vector<KeyQuestion>();
  NoteCaller();
}

// Of one command nothing is gained; of several, what each would wait for comes at once.
void FeatureCommands::Expect(std::span<const std::span<const std::string_view>> commands) {
  expected_.clear();
  if (commands.size() < 2 || definition_ == nullptr) return;
  questions_.clear();
  for (const auto& arguments : commands) {
    const bool begins_with_key = arguments.size() > 1 && (SameWord(arguments[0], "hmget") ||
                                                          SameWord(arguments[0], "hgetall") ||
                                                          SameWord(arguments[0], "hget"));
    if (!begins_with_key) continue;
    auto question = ReadKey(definition(), arguments[1]);
    if (!question) continue;
    questions_.push_back(*question);
    expected_.push_back({arguments[1], std::move(*question)});
  }
  if (questions_.size() > 1) verbs_.answers->Expect(definition(), questions_);
}

void FeatureCommands::NoteCaller() {
  if (verbs_.access == nullptr) return;
  access::CallerRef now = connection_.caller();
  if (now == nullptr) now = access::Nobody();
  if (now == caller_) return;
  caller_ = std::move(now);
  fields_ = {};  // another one may not read them
}

base::Result<void> FeatureCommands::MayRead(size_t view, size_t output) const {
  if (caller_ == nullptr) return {};
  return CheckOutput(*caller_, definition(), restricted_, view, output);
}

template <typename Read>
void FeatureCommands::Answer(RespCall& call, Read read) {
  constexpr int kChangesMax = 3;
  for (int i = 0; i < kChangesMax; ++i) {
    if (definition_ == nullptr) {
      definition_ = verbs_.answers->definition();
      if (verbs_.access != nullptr) restricted_ = pipeline::FindRestricted(*definition_);
    }
    const base::Result<bool> written = (this->*read)(call);
    if (!written) return WriteAnswerError(written.error(), call.out());
    if (*written) return;
    definition_ = nullptr;
    expected_.clear();
    fields_ = {};
  }
  call.out().Error("TRYAGAIN", "the definition is being changed: ask again");
}

void FeatureCommands::Dispatch(const RespCommandRow& command, RespCall& call) {
  const std::string_view name = command.name;
  if (name == "hmget") return Answer(call, &FeatureCommands::Hmget);
  if (name == "hget") return Answer(call, &FeatureCommands::Hget);
  if (name == "hgetall") return Answer(call, &FeatureCommands::Hgetall);
  if (name == "hexists") return Answer(call, &FeatureCommands::Hexists);
  if (name == "exists") return Answer(call, &FeatureCommands::Exists);
  if (name == "type") return Answer(call, &FeatureCommands::Type);
  if (name == "get") return Answer(call, &FeatureCommands::Get);
  if (name == "mget") return Answer(call, &FeatureCommands::Mget);
  if (connection_.Run(command, call) || pushes_.Run(command, caller_, call) ||
      past_.Run(command, caller_, call))
    return;
  if (name == "features.list") return ListServices(call);
  if (const auto got = GetService(call); !got) WriteAnswerError(got.error(), call.out());
}

base::Result<bool> FeatureCommands::Ask() {
  if (caller_ != nullptr)
    for (const KeyQuestion& question : questions_)
      HR_TRY_VOID(CheckView(*caller_, definition().views[question.view]));
  HR_TRY(std::optional<KeyAnswers> answers, verbs_.answers->AnswerKeys(definition(), questions_));
  if (!answers) return false;
  answers_ = std::move(*answers);
  return true;
}

base::Result<bool> FeatureCommands::AskKey(std::string_view key) {
  questions_.resize(1);
  const auto expected = std::ranges::find_if(
      expected_, [&](const ExpectedKey& each) { return each.text.data() == key.data(); });
  if (expected != expected_.end()) {
    questions_[0] = std::move(expected->question);
  } else {
    HR_TRY(questions_[0], ReadKey(definition(), key));
  }
  return Ask();
}

base::Result<FeatureCommands::Field> FeatureCommands::FieldNamed(size_t number,
                                                                 std::string_view name) const {
  const pipeline::ViewDefinition& view = definition().views[number];
  if (!name.starts_with('_')) {
    HR_TRY(const size_t output, OutputNamed(view, name));
    HR_TRY_VOID(MayRead(number, output));
    return Field{Field::Kind::kFeature, output};
  }
  if (name == "_status") return Field{Field::Kind::kStatus};
  if (name == "_epoch") return Field{Field::Kind::kEpoch};
  if (name == "_lag") return Field{Field::Kind::kLag};
  if (name == "_as_of") return Field{Field::Kind::kAsOf};
  if (name == "_event_time") return Field{Field::Kind::kEventTime};
  const bool status = name.starts_with(kStatusOf);
  HR_TRY(const size_t output, OutputNamed(view, status ? name.substr(kStatusOf.size()) : name));
  HR_TRY_VOID(MayRead(number, output));
  return Field{status ? Field::Kind::kStatusOf : Field::Kind::kFeature, output};
}

base::Result<const FeatureCommands::FieldList*> FeatureCommands::FieldsOf(
    size_t view, std::span<const std::string_view> names) {
  if (fields_.view == view &&
      std::equal(names.begin(), names.end(), fields_.names.begin(), fields_.names.end()))
    return &fields_;
  FieldList list;
  list.view = view;
  for (const std::string_view name : names) {
    HR_TRY(list.fields.emplace_back(), FieldNamed(view, name));
    list.names.emplace_back(name);
  }
  fields_ = std::move(list);
  return &fields_;
}

void FeatureCommands::WriteValue(const ViewAnswer& answer, size_t output, RespWriter& out) {
  if (answer.statuses[output] != FeatureStatus::kPresent) return out.Null();
  const columns::Value& value = answer.values[output];
  std::optional<uint64_t> number;
  if (columns::IsFloating(value.type())) number = std::bit_cast<uint64_t>(value.as_double());
  // Windows of a quiet key say the same one after the other.
  if (!number || number != number_) {
    text_.clear();
    AppendValueText(value, text_);
  }
  number_ = number;
  out.Bulk(text_);
}

void FeatureCommands::WriteField(const FieldList& list, const Field& field, RespWriter& out) {
  const ViewAnswer& answer = answers_.views[0];
  switch (field.kind) {
    case Field::Kind::kFeature: return WriteValue(answer, field.output, out);
    case Field::Kind::kStatusOf: return out.Bulk(NameOf(answer.statuses[field.output]));
    case Field::Kind::kEpoch: return out.Bulk(std::to_string(answers_.epoch.value));
    case Field::Kind::kLag: return WriteLag(answers_, out);
    case Field::Kind::kAsOf: return out.Bulk(base::FormatTimestamp(answers_.as_of));
    case Field::Kind::kEventTime:
      return answer.event_time ? out.Bulk(base::FormatTimestamp(*answer.event_time)) : out.Null();
    case Field::Kind::kStatus: break;
  }
  FeatureStatus status = KeyStatus(answer);
  for (const Field& asked : list.fields)
    if (asked.kind == Field::Kind::kFeature) status = Worse(status, answer.statuses[asked.output]);
  out.Bulk(NameOf(status));
}

template <typename ValueOf>
base::Result<base::MemoryCharge> FeatureCommands::ChargeAnswer(size_t fields,
                                                               ValueOf value_of) const {
  constexpr size_t kFewFields = 16;  // no more than the state has of a key
  if (fields <= kFewFields) return base::MemoryCharge();
  AnswerSize size;
  for (size_t i = 0; i < fields && size.values <= kLimits.values_max; ++i)
    if (const columns::Value* const value = value_of(i)) AddSize(*value, size);
  if (size.values > kLimits.values_max)
    return base::Fail(
        ErrorCode::kInvalidInput,
        fmt::format("more than {} values are asked for at once: ask for fewer of them",
                    kLimits.values_max));
  if (verbs_.budget == nullptr) return base::MemoryCharge();
  return verbs_.budget->TryCharge(base::MemoryAccount::kReplies, size.bytes);
}

base::Result<bool> FeatureCommands::Hmget(RespCall& call) {
  HR_TRY(const bool same, AskKey(call.arguments()[1]));
  if (!same) return false;
  HR_TRY(const FieldList* list, FieldsOf(questions_[0].view, call.arguments().subspan(2)));
  HR_TRY(const base::MemoryCharge charge, ChargeAnswer(list->fields.size(), [&](size_t i) {
           const Field& field = list->fields[i];
           return field.kind == Field::Kind::kFeature ? &answers_.views[0].values[field.output]
                                                      : nullptr;
         }));
  call.out().Array(list->fields.size());
  for (const Field& field : list->fields) WriteField(*list, field, call.out());
  return true;
}

base::Result<bool> FeatureCommands::Hget(RespCall& call) {
  HR_TRY(const bool same, AskKey(call.arguments()[1]));
  if (!same) return false;
  HR_TRY(const FieldList* list, FieldsOf(questions_[0].view, call.arguments().subspan(2)));
  WriteField(*list, list->fields[0], call.out());
  return true;
}

base::Result<bool> FeatureCommands::Hgetall(RespCall& call) {
  HR_TRY(const bool same, AskKey(call.arguments()[1]));
  if (!same) return false;
  const ViewAnswer& answer = answers_.views[0];
  const auto& outputs = definition().views[questions_[0].view].outputs;
  for (size_t i = 0; i < outputs.size(); ++i) HR_TRY_VOID(MayRead(questions_[0].view, i));
  RespWriter& out = call.out();
  if (!answer.event_time) {
    out.Map(0);
    return true;
  }
  const auto present = static_cast<size_t>(
      std::count(answer.statuses.begin(), answer.statuses.end(), FeatureStatus::kPresent));
  out.Map(present + 3);
  FeatureStatus status = FeatureStatus::kPresent;
  for (size_t i = 0; i < outputs.size(); ++i) {
    status = Worse(status, answer.statuses[i]);
    if (answer.statuses[i] != FeatureStatus::kPresent) continue;
    out.Bulk(outputs[i].name);
    WriteValue(answer, i, out);
  }
  out.Bulk("_epoch");
  out.Bulk(std::to_string(answers_.epoch.value));
  out.Bulk("_lag");
  WriteLag(answers_, out);
  out.Bulk("_status");
  out.Bulk(NameOf(status));
  return true;
}

base::Result<bool> FeatureCommands::Hexists(RespCall& call) {
  HR_TRY(const bool same, AskKey(call.arguments()[1]));
  if (!same) return false;
  HR_TRY(const size_t output,
         OutputNamed(definition().views[questions_[0].view], call.arguments()[2]));
  HR_TRY_VOID(MayRead(questions_[0].view, output));
  call.out().Integer(answers_.views[0].statuses[output] == FeatureStatus::kPresent ? 1 : 0);
  return true;
}

base::Result<bool> FeatureCommands::Exists(RespCall& call) {
  questions_.clear();
  for (const std::string_view key : call.arguments().subspan(1)) {
    HR_TRY(questions_.emplace_back(), ReadKey(definition(), key));
    questions_.back().only = KeyQuestion::kNoOutput;
  }
  HR_TRY(const bool same, Ask());
  if (same)
    call.out().Integer(std::count_if(answers_.views.begin(), answers_.views.end(),
                                     [](const ViewAnswer& v) { return v.event_time.has_value(); }));
  return same;
}

base::Result<bool> FeatureCommands::Type(RespCall& call) {
  HR_TRY(const bool same, AskKey(call.arguments()[1]));
  if (same) call.out().Simple(answers_.views[0].event_time ? "hash" : "none");
  return same;
}

base::Result<bool> FeatureCommands::Get(RespCall& call) {
  size_t output = 0;
  questions_.resize(1);
  HR_TRY(questions_[0], ReadFeatureKey(definition(), call.arguments()[1], output));
  HR_TRY_VOID(MayRead(questions_[0].view, output));
  HR_TRY(const bool same, Ask());
  if (same) WriteValue(answers_.views[0], output, call.out());
  return same;
}

base::Result<bool> FeatureCommands::Mget(RespCall& call) {
  const auto keys = call.arguments().subspan(1);
  std::vector<size_t> outputs(keys.size());
  questions_.clear();
  for (size_t i = 0; i < keys.size(); ++i) {
    HR_TRY(questions_.emplace_back(), ReadFeatureKey(definition(), keys[i], outputs[i]));
    HR_TRY_VOID(MayRead(questions_.back().view, outputs[i]));
    questions_.back().only = outputs[i];
  }
  HR_TRY(const bool same, Ask());
  if (!same) return false;
  HR_TRY(const base::MemoryCharge charge, ChargeAnswer(keys.size(), [&](size_t i) {
           return &answers_.views[i].values[outputs[i]];
         }));
  call.out().Array(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) WriteValue(answers_.views[i], outputs[i], call.out());
  return true;
}

base::Result<void> FeatureCommands::GetService(RespCall& call) {
  HR_TRY(ServiceQuestion question, ReadServiceQuery(call.arguments()));
  question.query.caller = caller_;
  if (question.as_of_epoch) {
    past_.FeaturesAt({std::move(question.query), *question.as_of_epoch, question.deadline}, call);
    return {};
  }
  verbs_.answers->AnswerWhenVisible(
      std::move(question.query),
      [reply = call.Later()](base::Result<FeatureAnswer> answer) mutable {
        reply.Send([answer = std::move(answer)](RespWriter& out) {
          if (!answer) return WriteAnswerError(answer.error(), out);
          out.Map(kServicePairs);
          WriteServicePairs(*answer, Statuses::kAnswered, out);
        });
      });
  return {};
}

void FeatureCommands::ListServices(RespCall& call) {
  const pipeline::PipelineRef now = verbs_.answers->definition();
  RespWriter& out = call.out();
  out.Map(now->services.size());
  for (const pipeline::ServiceDefinition& service : now->services) {
    out.Bulk(service.name);
    out.Array(service.features.size());
    for (const pipeline::FeatureReference& feature : service.features)
      out.Bulk(now->NameOf(feature) + (feature.alias.empty() ? "" : " as " + feature.alias));
  }
}

namespace {

// Until the start is over.
class StartingCommands final : public protocols::RespHandler {
 public:
  StartingCommands(uint64_t connection, const RespVerbs& verbs,
                   const std::function<std::string()>& why)
      : controlled_(verbs.access != nullptr), connection_(connection, verbs), why_(why) {}
  void Run(RespCall& call) override {
    const RespCommandRow* command = CheckCommand(call);
    if (command == nullptr || !connection_.Admit(*command, call)) return;
    // As from Redis: a client that only wants to know whether it may ask is told that it may not.
    if (command->name != "ping" && connection_.Run(*command, call)) return;
    call.out().Error("LOADING", why_());
  }
  bool authenticated() const override { return !controlled_ || connection_.caller() != nullptr; }

 private:
  const bool controlled_;
  mutable ConnectionCommands connection_;
  const std::function<std::string()>& why_;
};

}  // namespace

protocols::RespHandlers RespCommandHandlers(RespVerbs verbs) {
  return [verbs = std::make_shared<const RespVerbs>(std::move(verbs))](uint64_t connection) {
    return std::make_unique<FeatureCommands>(connection, *verbs);
  };
}

protocols::RespHandlers RespStartingHandlers(RespVerbs verbs, std::function<std::string()> why) {
  struct Starting {
    RespVerbs verbs;
    std::function<std::string()> why;
  };
  auto starting = std::make_shared<Starting>();
  starting->verbs = std::move(verbs);
  starting->why = std::move(why);
  return [starting = std::move(starting)](uint64_t connection) {
    return std::make_unique<StartingCommands>(connection, starting->verbs, starting->why);
  };
}

}  // namespace headrace::serving

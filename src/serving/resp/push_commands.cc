#include "serving/resp/push_commands.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ingest/http/events_endpoint.h"
#include "ingest/scoped_gate.h"
#include "serving/resp/connection_commands.h"
#include "serving/resp/service_answer.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using ingest::IngestOutcome;
using protocols::RespCall;
using protocols::RespReply;
using protocols::RespWriter;

constexpr std::string_view kPush = "features.push";
constexpr std::string_view kPushGet = "features.pushget";
constexpr std::string_view kPushed = "features.pushed";
constexpr size_t kRefusedListedMax = 1000;  // of a command; all are counted

std::unexpected<base::Error> Wrong(std::string message) {
  return base::Fail(ErrorCode::kInvalidInput, std::move(message));
}

// Options that say who sends, of both commands.
base::Result<bool> TakeSource(std::string_view option, std::string_view value,
                              ingest::EventsRequest& event) {
  if (SameWord(option, "key")) {
    event.idempotency_key = std::string(value);
  } else if (SameWord(option, "producer")) {
    event.producer = std::string(value);
  } else if (SameWord(option, "sequence")) {
    event.sequence = std::string(value);
  } else {
    return false;
  }
  return true;
}

bool IsOption(std::string_view word) {
  return SameWord(word, "key") || SameWord(word, "producer") || SameWord(word, "sequence") ||
         SameWord(word, "atomic");
}

// What follows the stream: events, then options. The events stay where they were read.
base::Result<ingest::EventsRequest> ReadPush(std::span<const std::string_view> arguments) {
  ingest::EventsRequest request;
  request.stream = std::string(arguments[1]);
  size_t at = 2;
  while (at < arguments.size() && !IsOption(arguments[at])) ++at;
  request.rows = arguments.subspan(2, at - 2);
  if (request.rows.empty())
    return Wrong("FEATURES.PUSH wants at least one event behind the stream");
  while (at < arguments.size()) {
    if (SameWord(arguments[at], "atomic")) {
      request.atomicity = columns::Atomicity::kAllOrNone;
      ++at;
      continue;
    }
    const bool has_value = at + 1 < arguments.size();
    HR_TRY(const bool taken, has_value ? TakeSource(arguments[at], arguments[at + 1], request)
                                       : base::Result<bool>(false));
    if (!taken)
      return Wrong(fmt::format("`{}` is no option, or lacks its value: features.push {}",
                               arguments[at].substr(0, 64), CommandNamed(kPush)->syntax));
    at += 2;
  }
  return request;
}

base::Result<void> TakeOption(std::string_view option, std::string_view value,
                              PushRequest& request) {
  HR_TRY(const bool source, TakeSource(option, value, request.event));
  if (source) return {};
  if (SameWord(option, "deadline")) {
    const auto count = ReadCount(value);
    if (!count) return Wrong("DEADLINE wants milliseconds, a whole number");
    request.deadline = std::chrono::milliseconds(std::min<uint64_t>(*count, UINT32_MAX));
    return {};
  }
  if (SameWord(option, "at_deadline")) {
    for (const auto rule : {pipeline::AtDeadline::kRefuse, pipeline::AtDeadline::kLastKnown,
                            pipeline::AtDeadline::kDefaults})
      if (SameWord(value, pipeline::NameOf(rule))) request.at_deadline = rule;
    if (!request.at_deadline) return Wrong("AT_DEADLINE wants one of last_known, defaults, refuse");
    return {};
  }
  if (SameWord(option, "refused")) {
    if (!SameWord(value, "answered") && !SameWord(value, "told"))
      return Wrong("REFUSED wants one of told, answered");
    if (SameWord(value, "answered")) request.refused = PushRequest::Refused::kAnswered;
    return {};
  }
  if (SameWord(option, "answer")) {
    for (const std::string_view name : {"durable", "provisional"})
      if (SameWord(value, name)) {
        request.answer = *WantedNamed(name);
        return {};
      }
    return Wrong("ANSWER wants one of durable, provisional");
  }
  return Wrong(fmt::format("`{}` is no option: features.pushget {}", option.substr(0, 64),
                           CommandNamed(kPushGet)->syntax));
}

base::Result<PushRequest> ReadPushGet(std::span<const std::string_view> arguments) {
  PushRequest request;
  request.service = std::string(arguments[1]);
  request.event.stream = std::string(arguments[2]);
  request.event.rows = arguments.subspan(3, 1);
  size_t at = 4;
  for (; at + 1 < arguments.size() && !SameWord(arguments[at], "with"); at += 2)
    HR_TRY_VOID(TakeOption(arguments[at], arguments[at + 1], request));
  if (at == arguments.size()) return request;
  const auto inputs = arguments.subspan(at + 1);
  if (!SameWord(arguments[at], "with") || inputs.empty() || inputs.size() % 2 != 0)
    return Wrong(fmt::format("WITH is followed by names and values: features.pushget {}",
                             CommandNamed(kPushGet)->syntax));
  for (size_t i = 0; i < inputs.size(); i += 2)
    request.inputs.push_back({std::string(inputs[i]),
                              {columns::Value(columns::Type::kBytes, std::string(inputs[i + 1]))}});
  return request;
}

std::string RefusedText(const IngestOutcome& outcome, std::string_view stream) {
  std::string text = "the event was refused";  // of a repeat it may not be known why
  if (!outcome.refused.empty()) {
    const columns::RejectedRow& row = outcome.refused.front();
    text = fmt::format("{}: {} (rule {})", row.field.empty() ? "the event" : row.field, row.reason,
                       row.rule);
  }
  return fmt::format("{}. Kept in the dead letters of epoch {}: GET /deadletters?stream={}", text,
                     outcome.epoch.value, stream);
}

// Of a push: how many pairs, and these.
size_t OutcomePairs(const IngestOutcome& outcome) { return outcome.refused.empty() ? 5 : 6; }

void WriteRefused(const IngestOutcome& outcome, RespWriter& out) {
  const size_t listed = std::min(kRefusedListedMax, outcome.refused.size());
  out.Bulk("refused");
  out.Array(listed);
  for (size_t i = 0; i < listed; ++i) {
    const columns::RejectedRow& row = outcome.refused[i];
    out.Map(4);
    out.Bulk("row");
    out.Integer(row.row);
    out.Bulk("field");
    out.Bulk(row.field);
    out.Bulk("rule");
    out.Bulk(row.rule);
    out.Bulk("reason");
    out.Bulk(row.reason);
  }
}

void WriteOutcomePairs(const IngestOutcome& outcome, RespWriter& out) {
  out.Bulk("accepted");
  out.Integer(static_cast<int64_t>(outcome.accepted));
  out.Bulk("refused_rows");
  out.Integer(static_cast<int64_t>(outcome.refused_rows));
  out.Bulk("event_epoch");
  out.Integer(static_cast<int64_t>(outcome.epoch.value));
  out.Bulk("durability");
  out.Bulk(NameOf(outcome.durability));
  out.Bulk("repeated");
  out.Boolean(outcome.repeat == ingest::Repeat::kRepeated);
  if (!outcome.refused.empty()) WriteRefused(outcome, out);
}

void WriteOutcome(const base::Result<IngestOutcome>& outcome, std::string_view stream,
                  RespWriter& out) {
  if (!outcome) return WriteAnswerError(outcome.error(), out);
  if (outcome->all_refused()) return out.Error("REFUSED", RefusedText(*outcome, stream));
  out.Map(OutcomePairs(*outcome));
  WriteOutcomePairs(*outcome, out);
}

// An error can't carry a map, so that its text says what is known of the event.
void WriteWithoutFeatures(const PushAnswer& answer, RespWriter& out) {
  std::string text = answer.reason->message();
  if (answer.event == PushedEvent::kUnknown) {
    text += fmt::format(". The event may still be in: FEATURES.PUSHED {}", answer.token);
  } else {
    text += fmt::format(". The event is in, in epoch {}", answer.outcome->epoch.value);
  }
  const bool late = answer.reason->code() == ErrorCode::kDeadlineExceeded;
  if (late) return out.Error("LATE", text);
  WriteAnswerError(base::Error(answer.reason->code(), std::move(text)), out);
}

void WritePushAnswer(const PushAnswer& answer, RespWriter& out) {
  if (answer.event == PushedEvent::kRefused && !answer.features)
    return out.Error("REFUSED", RefusedText(*answer.outcome, answer.stream));
  if (!answer.features) return WriteWithoutFeatures(answer, out);
  const bool provisional = answer.answered == PushAnswered::kProvisional;
  out.Map(2 + (answer.outcome ? OutcomePairs(*answer.outcome) : 1) + (provisional ? 2 : 0) +
          kServicePairs);
  out.Bulk("answered");
  out.Bulk(NameOf(answer.answered));
  out.Bulk("event");
  out.Bulk(NameOf(answer.event));
  if (answer.outcome) {
    WriteOutcomePairs(*answer.outcome, out);
  } else {
    out.Bulk("token");
    out.Bulk(answer.token);
  }
  if (provisional) {
    out.Bulk("provisional");
    out.Boolean(true);
    out.Bulk("after_epoch");
    out.Integer(static_cast<int64_t>(answer.features->epoch.value));
  }
  WriteServicePairs(
      *answer.features,
      answer.answered == PushAnswered::kDefaults ? Statuses::kDefaults : Statuses::kAnswered, out);
}

// A request whose events are to be typed later: they must not point into what was read.
class KeptEvents {
 public:
  // Errors: kResourceExhausted.
  static base::Result<KeptEvents> Make(std::span<const std::string_view> rows,
                                       base::MemoryBudget& budget) {
    uint64_t bytes = rows.size() * (sizeof(std::string) + sizeof(std::string_view));
    for (const std::string_view row : rows) bytes += row.size();
    HR_TRY(base::MemoryCharge charge, budget.TryCharge(base::MemoryAccount::kIngest, bytes));
    return KeptEvents(rows, std::move(charge));
  }
  KeptEvents(KeptEvents&&) = default;  // the texts stay where they are
  KeptEvents& operator=(KeptEvents&&) = delete;
  std::span<const std::string_view> rows() const { return rows_; }

 private:
  KeptEvents(std::span<const std::string_view> rows, base::MemoryCharge charge)
      : charge_(std::move(charge)), texts_(rows.begin(), rows.end()) {
    for (const std::string& text : texts_) rows_.emplace_back(text);
  }

  base::MemoryCharge charge_;
  std::vector<std::string> texts_;
  std::vector<std::string_view> rows_;
};

}  // namespace

bool IsPush(std::string_view name) {
  return SameWord(name, kPush) || SameWord(name, kPushGet) || SameWord(name, kPushed);
}

bool PushCommands::Run(const RespCommandRow& command, const access::CallerRef& caller,
                       RespCall& call) {
  if (command.name != kPush && command.name != kPushGet && command.name != kPushed) return false;
  if (verbs_.gate == nullptr || verbs_.pushes == nullptr || verbs_.budget == nullptr) {
    call.out().Error("ERR", "events are not taken in here");
  } else if (command.name == kPush) {
    Push(caller, call);
  } else if (command.name == kPushGet) {
    PushGet(caller, call);
  } else if (caller != nullptr && !caller->scope.AllowsSome(access::Verb::kPush)) {
    // Who has the token of a push, and may push something, is who sent it.
    call.out().Error("NOPERM", "the scopes of this token do not allow to push");
  } else {
    Pushed(call);
  }
  return true;
}

void PushCommands::Push(const access::CallerRef& caller, RespCall& call) {
  auto read = ReadPush(call.arguments());
  if (!read) return WriteAnswerError(read.error(), call.out());
  const auto submit = [gate = verbs_.gate, budget = verbs_.budget, caller](
                          ingest::EventsRequest request, RespReply reply) {
    std::string stream = request.stream;
    ingest::ScopedGate allowed(*gate, caller);
    ingest::SubmitEvents(std::move(request), allowed, *budget, {},
                         [stream = std::move(stream),
                          reply = std::move(reply)](base::Result<IngestOutcome> outcome) mutable {
                           reply.Send([stream = std::move(stream), outcome = std::move(outcome)](
                                          RespWriter& out) { WriteOutcome(outcome, stream, out); });
                         });
  };
  if (verbs_.typing == nullptr || verbs_.typing->AtOnce(ingest::BytesOf(*read)))
    return submit(std::move(*read), call.Later());
  auto kept = KeptEvents::Make(read->rows, *verbs_.budget);
  if (!kept) return WriteAnswerError(kept.error(), call.out());
  verbs_.typing->Post([submit, kept = std::move(*kept), request = std::move(*read),
                       reply = call.Later()]() mutable {
    request.rows = kept.rows();
    submit(std::move(request), std::move(reply));
  });
}

void PushCommands::PushGet(const access::CallerRef& caller, RespCall& call) {
  auto read = ReadPushGet(call.arguments());
  if (!read) return WriteAnswerError(read.error(), call.out());
  read->caller = caller;
  read->whole_at = verbs_.pushes->Now();
  const auto push = [pushes = verbs_.pushes](PushRequest request, RespReply reply) {
    pushes->Push(std::move(request),
                 [reply = std::move(reply)](base::Result<PushAnswer> answer) mutable {
                   reply.Send([answer = std::move(answer)](RespWriter& out) {
                     answer ? WritePushAnswer(*answer, out) : WriteAnswerError(answer.error(), out);
                   });
                 });
  };
  if (verbs_.typing == nullptr || verbs_.typing->AtOnce(ingest::BytesOf(read->event)))
    return push(std::move(*read), call.Later());
  auto kept = KeptEvents::Make(read->event.rows, *verbs_.budget);
  if (!kept) return WriteAnswerError(kept.error(), call.out());
  verbs_.typing->Post(
      [push, kept = std::move(*kept), request = std::move(*read), reply = call.Later()]() mutable {
        request.event.rows = kept.rows();
        push(std::move(request), std::move(reply));
      });
}

void PushCommands::Pushed(RespCall& call) {
  const auto later = verbs_.pushes->Ask(call.arguments()[1]);
  if (!later) return WriteAnswerError(later.error(), call.out());
  if (!later->pending && !*later->outcome)
    return WriteAnswerError(later->outcome->error(), call.out());
  RespWriter& out = call.out();
  out.Map(1 + (later->pending ? 0 : OutcomePairs(**later->outcome)));
  out.Bulk("event");
  if (later->pending) return out.Bulk(NameOf(PushedEvent::kUnknown));
  out.Bulk(
      NameOf((*later->outcome)->all_refused() ? PushedEvent::kRefused : PushedEvent::kDurable));
  WriteOutcomePairs(**later->outcome, out);
}

}  // namespace headrace::serving

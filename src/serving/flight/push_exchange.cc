#include "serving/flight/push_exchange.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"
#include "ingest/scoped_gate.h"
#include "serving/input_values.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using Json = nlohmann::json;

constexpr std::string_view kInput = "input.";
constexpr std::string_view kKey = "idempotency_key";
constexpr size_t kCommandBytesMax = 64U << 10;

std::unexpected<base::Error> Wrong(const std::string& what) {
  return Fail(ErrorCode::kInvalidInput,
              what + R"(: a push is {"push":"STREAM","service":"NAME"}, and may have )"
                     R"("deadline_ms":N, "at_deadline":"last_known", "defaults" or "refuse", )"
                     R"("refused":"told" or "answered", and "answer":"durable" or "provisional")");
}

Result<void> Take(const std::string& name, const Json& value, PushRequest& request) {
  if (name == "deadline_ms") {
    if (!value.is_number_unsigned()) return Wrong("`deadline_ms` is no whole number");
    const uint64_t most = static_cast<uint64_t>(PushLimits().wait_max.count());
    request.deadline = std::chrono::milliseconds(std::min(value.get<uint64_t>(), most));
    return {};
  }
  if (!value.is_string()) return Wrong(fmt::format("`{}` is no text, or not known", name));
  const auto text = value.get<std::string>();
  if (name == "push") {
    request.event.stream = text;
  } else if (name == "service") {
    request.service = text;
  } else if (name == "at_deadline") {
    request.at_deadline = pipeline::AtDeadlineNamed(text);
    if (!request.at_deadline) return Wrong("`at_deadline` is none of these");
  } else if (name == "refused") {
    if (text != "answered" && text != "told") return Wrong("`refused` is none of these");
    if (text == "answered") request.refused = PushRequest::Refused::kAnswered;
  } else if (name == "answer") {
    const auto wanted = WantedNamed(text);
    if (!wanted) return Wrong("`answer` is none of these");
    request.answer = *wanted;
  } else {
    return Wrong(fmt::format("`{}` is not known", name));
  }
  return {};
}

Result<PushRequest> Parse(std::string_view json) {
  if (json.size() > kCommandBytesMax)
    return Wrong(fmt::format("{} bytes, and {} are the most", json.size(), kCommandBytesMax));
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Wrong("no JSON object");
  PushRequest request;
  for (const auto& [name, value] : document.items()) HR_TRY_VOID(Take(name, value, request));
  if (request.event.stream.empty() || request.service.empty())
    return Wrong("it names a stream and a service");
  return request;
}

// What is said of each event, before its keys and features.
const columns::SchemaRef& EventSchema() {
  static const columns::SchemaRef kSchema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "_event", Type::kString},
                                  {2, "_answered", Type::kString},
                                  {3, "_event_epoch", Type::kInt64},
                                  {4, "_repeated", Type::kBool},
                                  {5, "_epoch", Type::kInt64},
                                  {6, "_as_of", Type::kTimestamp},
                                  {7, "_lag_ms", Type::kInt64},
                                  {8, "_token", Type::kString},
                                  {9, "_code", Type::kString},
                                  {10, "_reason", Type::kString}});
  return kSchema;
}

std::shared_ptr<arrow::Schema> ReplySchema(const FeatureLayout& layout) {
  arrow::FieldVector fields = columns::ToArrowSchema(*EventSchema())->fields();
  const arrow::FieldVector& features = layout.schema()->fields();
  fields.insert(fields.end(), features.begin(), features.end());
  return std::make_shared<arrow::Schema>(std::move(fields), layout.schema()->metadata());
}

void AppendText(columns::ColumnBuilder& column, std::string_view text) {
  text.empty() ? column.AppendNull() : column.AppendText(text);
}

void AppendReason(columns::BatchBuilder& events, const base::Error& error) {
  AppendText(events.column(8), base::RowOf(error.code()).name);
  AppendText(events.column(9), error.message());
}

void AppendEvent(columns::BatchBuilder& events, const Result<PushAnswer>& pushed) {
  if (!pushed) {
    events.column(0).AppendText("not_taken");
    events.column(1).AppendText(NameOf(PushAnswered::kNone));
    for (size_t i = 2; i < 8; ++i) events.column(i).AppendNull();
    return AppendReason(events, pushed.error());
  }
  const PushAnswer& answer = *pushed;
  events.column(0).AppendText(NameOf(answer.event));
  events.column(1).AppendText(NameOf(answer.answered));
  if (answer.outcome) {
    events.column(2).AppendInt(static_cast<int64_t>(answer.outcome->epoch.value));
    events.column(3).AppendBool(answer.outcome->repeat == ingest::Repeat::kRepeated);
  } else {
    events.column(2).AppendNull();
    events.column(3).AppendNull();
  }
  if (answer.features && answer.answered != PushAnswered::kDefaults) {
    events.column(4).AppendInt(static_cast<int64_t>(answer.features->epoch.value));
    events.column(5).AppendInt(answer.features->as_of.us);
    if (const auto lag = LagSinceHeard(answer.features->lag, answer.features->as_of))
      events.column(6).AppendInt(lag->count() / 1000);
    else
      events.column(6).AppendNull();
  } else {
    for (size_t i = 4; i < 7; ++i) events.column(i).AppendNull();
  }
  AppendText(events.column(7), answer.token);
  if (answer.event == PushedEvent::kRefused && !answer.outcome->refused.empty()) {
    const columns::RejectedRow& refused = answer.outcome->refused.front();
    events.column(8).AppendText(refused.rule);
    events.column(9).AppendText(refused.field.empty()
                                    ? refused.reason
                                    : fmt::format("{}: {}", refused.field, refused.reason));
  } else if (answer.reason) {
    AppendReason(events, *answer.reason);
  } else {
    events.column(8).AppendNull();
    events.column(9).AppendNull();
  }
}

// Answers of one row each as one of many; rows that have none are shown as such.
struct Gathered {
  FeatureAnswer features;
  std::vector<ShownStatus> statuses;
  columns::ColumnBatch inputs;
};

Gathered Gather(const FeatureLayout& layout, const std::vector<Result<PushAnswer>>& pushed) {
  Gathered all;
  const size_t width = layout.plan().columns->size();
  all.features.rows = pushed.size();
  all.features.columns = layout.plan().columns;
  columns::BatchBuilder inputs(layout.inputs());
  for (const Result<PushAnswer>& each : pushed) {
    const FeatureAnswer* features = each && each->features ? &*each->features : nullptr;
    // Of another definition: what there is does not fit these columns.
    if (features != nullptr && !layout.Fits(*features)) features = nullptr;
    for (size_t i = 0; i < layout.inputs()->size(); ++i) {
      const columns::Value* value = nullptr;
      if (features != nullptr)
        for (const InputColumn& input : features->inputs)
          if (input.name == layout.inputs()->field(i).name) value = &input.values[0];
      value == nullptr ? inputs.column(i).AppendNull() : inputs.column(i).AppendValue(*value);
    }
    for (size_t i = 0; i < width; ++i) {
      if (features == nullptr) {
        all.features.values.emplace_back();
        all.statuses.push_back(ShownStatus::kNotAnswered);
        continue;
      }
      all.features.values.push_back(features->values[i]);
      all.statuses.push_back(each->answered == PushAnswered::kDefaults
                                 ? ShownStatus::kDefault
                                 : static_cast<ShownStatus>(features->statuses[i]));
    }
  }
  all.inputs = inputs.Finish();
  return all;
}

}  // namespace

struct PushExchange::Given {
  columns::ColumnBatch events;
  std::vector<std::vector<InputColumn>> inputs;              // of each event
  std::vector<std::optional<std::string>> idempotency_keys;  // of each event
};

PushExchange::PushExchange(const FlightPushSources& sources, PushRequest request,
                           FeatureLayout layout, ingest::StreamHandle stream)
    : sources_(sources),
      request_(std::move(request)),
      layout_(std::move(layout)),
      stream_(std::move(stream)),
      schema_(ReplySchema(layout_)) {}

Result<std::unique_ptr<PushExchange>> PushExchange::Open(const FlightPushSources& sources,
                                                         std::string_view command,
                                                         const arrow::Schema& schema,
                                                         const ingest::FlightCaller& caller) {
  HR_TRY(PushRequest request, Parse(command));
  request.caller = caller.who;
  const ingest::ScopedGate allowed(*sources.gate, caller.who);
  HR_TRY(ingest::StreamHandle stream, allowed.Find(request.event.stream));
  HR_TRY(auto plan, sources.answers->PlanOf({.service = request.service, .caller = caller.who}));
  HR_TRY(FeatureLayout layout, FeatureLayout::Make(std::move(plan)));
  for (const auto& field : layout.schema()->fields())
    if (EventSchema()->IndexOf(field->name()))
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("`{}` is what a push says of itself, and a feature's name: push over "
                              "HTTP, or make a service without it",
                              field->name()));
  std::unique_ptr<PushExchange> exchange(
      new PushExchange(sources, std::move(request), std::move(layout), std::move(stream)));
  const auto empty =
      arrow::RecordBatch::MakeEmpty(std::make_shared<arrow::Schema>(schema.fields()));
  if (!empty.ok()) return Fail(base::Error(ErrorCode::kInvalidInput, empty.status().message()));
  HR_TRY_VOID(exchange->Import(**empty));
  return exchange;
}

// The stream's columns are the event; beside them, what is given for it.
Result<PushExchange::Given> PushExchange::Import(const arrow::RecordBatch& rows) const {
  const auto count = static_cast<size_t>(rows.num_rows());
  Given given;
  given.inputs.resize(count);
  given.idempotency_keys.resize(count);
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (int i = 0; i < rows.num_columns(); ++i) {
    const std::shared_ptr<arrow::Field>& field = rows.schema()->field(i);
    const std::string& name = field->name();
    const bool of_event = stream_.contract->schema()->IndexOf(name).has_value();
    if (of_event || (!name.starts_with(kInput) && name != kKey)) {
      fields.push_back(field);
      arrays.push_back(rows.column(i));
      continue;
    }
    const bool key = name == kKey;
    const std::string wanted_name = key ? name : name.substr(kInput.size());
    const auto wanted = layout_.inputs()->IndexOf(wanted_name);
    if (!key && !wanted)
      return Fail(base::Error(ErrorCode::kInvalidInput,
                              fmt::format("`{}` is no key and no input of service {}", name,
                                          request_.service))
                      .With("field", name));
    const auto schema = std::make_shared<const columns::Schema>(std::vector<columns::Field>{
        {1, wanted_name, key ? Type::kString : layout_.inputs()->field(*wanted).type}});
    const auto alone =
        arrow::RecordBatch::Make(arrow::schema({arrow::field(wanted_name, field->type())}),
                                 rows.num_rows(), {rows.column(i)});
    HR_TRY(const columns::ColumnBatch column, columns::FromArrow(*alone, schema));
    for (size_t row = 0; row < count; ++row) {
      if (column.column(0).IsNull(row)) continue;
      if (key)
        given.idempotency_keys[row] = std::string(column.column(0).Text(row));
      else
        given.inputs[row].push_back({wanted_name, {column.column(0).At(row)}});
    }
  }
  const auto events = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(),
                                               std::move(arrays));
  HR_TRY(given.events, columns::FromArrow(*events, stream_.contract->schema()));
  return given;
}

std::vector<Result<PushAnswer>> PushExchange::PushAll(Given given) {
  const size_t count = given.events.rows();
  std::vector<Result<PushAnswer>> answers(
      count, Result<PushAnswer>(Fail(ErrorCode::kInternal, "not answered")));
  if (count == 0) return answers;
  std::atomic<size_t> left{count};
  sources_.environment->Await([&](const std::function<void()>& done) {
    for (size_t row = 0; row < count; ++row) {
      PushRequest request = request_;
      request.inputs = std::move(given.inputs[row]);
      request.typed = stream_.contract->Enforce(given.events.Slice(row, row + 1));
      request.typed->source.idempotency_key = std::move(given.idempotency_keys[row]);
      sources_.pushes->Push(std::move(request),
                            [&answers, &left, row, done](Result<PushAnswer> answer) {
                              answers[row] = std::move(answer);
                              if (left.fetch_sub(1) == 1) done();
                            });
    }
  });
  return answers;
}

Result<ingest::FlightBatch> PushExchange::Answer(const arrow::RecordBatch& rows,
                                                 std::string_view metadata) {
  if (!metadata.empty())
    return Fail(ErrorCode::kInvalidInput,
                "a batch of events has no app_metadata: keys of idempotency are a column");
  HR_TRY(Given given, Import(rows));
  HR_TRY(const base::MemoryCharge charge,
         sources_.budget->TryCharge(base::MemoryAccount::kIngest, 2 * given.events.ByteSize()));
  const std::vector<Result<PushAnswer>> pushed = PushAll(std::move(given));
  columns::BatchBuilder events(EventSchema());
  for (const Result<PushAnswer>& each : pushed) AppendEvent(events, each);
  const Gathered gathered = Gather(layout_, pushed);
  HR_TRY(const auto features,
         layout_.ToArrow(gathered.inputs, gathered.features, gathered.statuses));
  HR_TRY(const auto told, columns::ToArrow(events.Finish()));
  arrow::ArrayVector arrays = told->columns();
  const arrow::ArrayVector& more = features->columns();
  arrays.insert(arrays.end(), more.begin(), more.end());
  ingest::FlightBatch reply;
  reply.rows = arrow::RecordBatch::Make(schema_, features->num_rows(), std::move(arrays));
  HR_TRY(reply.charge, ChargeReply(*sources_.budget, *reply.rows));
  reply.metadata = fmt::format(R"({{"log":"{}"}})", sources_.gate->LogName());
  return reply;
}

}  // namespace headrace::serving

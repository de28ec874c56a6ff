#include "ingest/flight/batch_metadata.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "columns/value.h"
#include "ingest/outcome_json.h"

namespace headrace::ingest {
namespace {

using base::ErrorCode;
using base::Fail;
using nlohmann::json;

// An object, or an error that names the document.
base::Result<json> ParseObject(std::string_view text, std::string_view document) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) return parsed;
  return Fail(ErrorCode::kInvalidInput, fmt::format("the {} is no JSON object", document));
}

uint64_t NumberOr0(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

std::string TextOrEmpty(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The error that a refusal names; an unknown code (of a newer server) is kInternal.
base::Error ErrorOf(const json& refusal) {
  const std::string name = TextOrEmpty(refusal, "code");
  ErrorCode code = ErrorCode::kInternal;
  for (const base::ErrorCodeRow& row : base::ErrorCodes())
    if (row.name == name) code = row.code;
  return {code, TextOrEmpty(refusal, "message")};
}

}  // namespace

std::string WriteBatchMetadata(uint64_t sequence) {
  return fmt::format(R"({{"sequence":{}}})", sequence);
}

base::Result<uint64_t> ReadBatchMetadata(std::string_view text) {
  HR_TRY(const json object, ParseObject(text, "batch's app_metadata"));
  const uint64_t sequence = NumberOr0(object, "sequence");
  if (sequence > 0) return sequence;
  return Fail(ErrorCode::kInvalidInput,
              "the batch's app_metadata has no sequence: send {\"sequence\":1}, then 2, 3 ... with "
              "each batch");
}

base::Result<ProducerName> ReadProducerName(std::string_view text) {
  HR_TRY(const json object, ParseObject(text, "action's body"));
  ProducerName name{TextOrEmpty(object, "stream"), TextOrEmpty(object, "producer")};
  if (!name.stream.empty() && !name.producer.empty()) return name;
  return Fail(ErrorCode::kInvalidInput,
              "sequences are counted by stream and producer: send {\"stream\":..,\"producer\":..}");
}

std::string WriteGreeting(const Greeting& greeting) {
  std::string out = R"({"log":)";
  columns::AppendJsonString(out, greeting.log);
  out += R"(,"stream":)";
  columns::AppendJsonString(out, greeting.stream);
  out +=
      fmt::format(R"(,"last_sequence":{},"window":{}}})", greeting.last_sequence, greeting.window);
  return out;
}

base::Result<Greeting> ReadGreeting(std::string_view text) {
  HR_TRY(const json object, ParseObject(text, "server's greeting"));
  Greeting greeting{.log = TextOrEmpty(object, "log"),
                    .stream = TextOrEmpty(object, "stream"),
                    .last_sequence = NumberOr0(object, "last_sequence"),
                    .window = NumberOr0(object, "window")};
  if (greeting.log.empty() || greeting.window == 0)
    return Fail(ErrorCode::kInvalidInput,
                "the server's greeting has no log or no window: is it a headrace server?");
  return greeting;
}

std::string WriteAcknowledgement(uint64_t batch, uint64_t sequence, const IngestOutcome& outcome,
                                 size_t refused_max) {
  std::string out = fmt::format(R"({{"batch":{},"sequence":{},)", batch, sequence);
  AppendOutcomeMembers(out, outcome, refused_max);
  out += '}';
  return out;
}

std::string WriteRefusal(const base::Error& error) {
  const std::string_view name = RowOf(error.code()).name;
  std::string out = fmt::format(R"({{"error":{{"code":"{}","message":)", name);
  columns::AppendJsonString(out, error.ToString().substr(name.size() + 2));
  out += "}}";
  return out;
}

base::Result<BatchAcknowledgement> ReadAcknowledgement(std::string_view text) {
  HR_TRY(const json object, ParseObject(text, "server's acknowledgement"));
  if (const auto refusal = object.find("error"); refusal != object.end() && refusal->is_object())
    return Fail(ErrorOf(*refusal));
  BatchAcknowledgement ack{.batch = NumberOr0(object, "batch"),
                           .sequence = NumberOr0(object, "sequence"),
                           .accepted = NumberOr0(object, "accepted"),
                           .refused_rows = NumberOr0(object, "refused_rows"),
                           .epoch = NumberOr0(object, "epoch")};
  const auto repeated = object.find("repeated");
  if (repeated != object.end() && repeated->is_boolean() && repeated->get<bool>())
    ack.repeat = Repeat::kRepeated;
  const auto refused = object.find("refused");
  if (refused != object.end() && refused->is_array() && !refused->empty() &&
      refused->front().is_object()) {
    const json& first = refused->front();
    const std::string field = TextOrEmpty(first, "field");  // empty: it is about the whole row
    ack.first_refusal = fmt::format("row {}{}{}: {}", NumberOr0(first, "row"),
                                    field.empty() ? "" : ", ", field, TextOrEmpty(first, "reason"));
  }
  if (ack.batch == 0)
    return Fail(ErrorCode::kInvalidInput, "the server's acknowledgement names no batch");
  return ack;
}

}  // namespace headrace::ingest

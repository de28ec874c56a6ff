#include "serving/resp/past_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "columns/key.h"
#include "serving/resp/connection_commands.h"
#include "serving/resp/key_text.h"
#include "serving/resp/service_answer.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Result;
using protocols::RespCall;
using protocols::RespReply;
using protocols::RespWriter;
using Json = nlohmann::ordered_json;

constexpr std::string_view kExplain = "features.explain";
constexpr std::string_view kLast = "features.last";

// An option of a command, and the member of the question's body that it becomes.
struct Option {
  std::string_view word;
  std::string_view member;
  enum class Value : uint8_t { kCount, kText, kJson } value = Value::kCount;
};
constexpr Option kExplainOptions[] = {{"epoch", "epoch"},
                                      {"as_of", "as_of", Option::Value::kText},
                                      {"limit", "limit"},
                                      {"source", "source", Option::Value::kText},
                                      {"served", "served", Option::Value::kJson},
                                      {"deadline", "deadline_ms"}};
constexpr Option kLastOptions[] = {{"count", "last"},
                                   {"epoch", "epoch"},
                                   {"source", "source", Option::Value::kText},
                                   {"deadline", "deadline_ms"}};

std::unexpected<base::Error> Wrong(std::string message) {
  return base::Fail(ErrorCode::kInvalidInput, std::move(message));
}

// Whether it is more than a value, or a list of values. Copying and writing JSON take stack for
// each level of it.
bool IsNested(const Json& value) {
  if (value.is_object()) return true;
  return value.is_array() && std::ranges::any_of(value, &Json::is_structured);
}

Result<Json> ValueOf(const Option& option, std::string_view text) {
  if (option.value == Option::Value::kText) return Json(std::string(text));
  if (option.value == Option::Value::kJson) {
    Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) return Json(std::string(text));
    if (IsNested(value))
      return Wrong(fmt::format("{} wants a value, or a list of values", option.word));
    return value;
  }
  const auto count = ReadCount(text);
  if (!count) return Wrong(fmt::format("{} wants a whole number", option.word));
  return Json(*count);
}

Result<void> TakeOptions(std::span<const std::string_view> arguments,
                         std::span<const Option> options, std::string_view command, Json& body) {
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const auto option = std::ranges::find_if(
        options, [&](const Option& each) { return SameWord(arguments[i], each.word); });
    if (option == options.end() || i + 1 == arguments.size())
      return Wrong(fmt::format("`{}` is no option, or lacks its value: {} {}",
                               arguments[i].substr(0, 64), command, CommandNamed(command)->syntax));
    HR_TRY(body[std::string(option->member)], ValueOf(*option, arguments[i + 1]));
  }
  return {};
}

// The key's columns and their values.
Result<Json> KeyOf(const pipeline::PipelineDefinition& definition, const KeyQuestion& question) {
  const pipeline::ViewDefinition& view = definition.views[question.view];
  const columns::Schema& schema = *definition.streams[view.stream].schema();
  std::vector<columns::Type> types;
  for (const size_t field : view.by) types.push_back(schema.field(field).type);
  HR_TRY(const std::vector<columns::Value> values, columns::DecodeKey(types, question.key));
  Json key = Json::object();
  for (size_t i = 0; i < values.size(); ++i)
    key[schema.field(view.by[i]).name] =
        Json::parse(values[i].ToJson(), nullptr, /*allow_exceptions=*/false);
  return key;
}

Result<std::string> BodyOf(const pipeline::PipelineDefinition& definition, std::string_view command,
                           std::span<const std::string_view> arguments) {
  const bool explain = command == kExplain;
  size_t output = 0;
  KeyQuestion question;
  if (explain) {
    HR_TRY(question, ReadFeatureKey(definition, arguments[1], output));
  } else {
    HR_TRY(question, ReadKey(definition, arguments[1]));
  }
  const pipeline::ViewDefinition& view = definition.views[question.view];
  Json body = {{"view", view.name}};
  if (explain) body["feature"] = view.outputs[output].name;
  HR_TRY(body["key"], KeyOf(definition, question));
  const auto options =
      explain ? std::span<const Option>(kExplainOptions) : std::span<const Option>(kLastOptions);
  HR_TRY_VOID(TakeOptions(arguments.subspan(2), options, command, body));
  return base::JsonText(body);
}

// A document as clients of either version read it: objects are maps.
void WriteJson(const Json& json, RespWriter& out) {
  switch (json.type()) {
    case Json::value_t::object:
      out.Map(json.size());
      for (const auto& [name, value] : json.items()) {
        out.Bulk(name);
        WriteJson(value, out);
      }
      return;
    case Json::value_t::array:
      out.Array(json.size());
      for (const Json& element : json) WriteJson(element, out);
      return;
    case Json::value_t::string: return out.Bulk(json.get_ref<const std::string&>());
    case Json::value_t::boolean: return out.Boolean(json.get<bool>());
    case Json::value_t::number_integer: return out.Integer(json.get<int64_t>());
    case Json::value_t::number_unsigned: return out.Integer(json.get<int64_t>());
    case Json::value_t::number_float: return out.Double(json.get<double>());
    default: return out.Null();
  }
}

PastQuestions::Document WriteLater(RespReply reply) {
  return [reply = std::move(reply)](Result<std::string> document) mutable {
    reply.Send([document = std::move(document)](RespWriter& out) {
      if (!document) return WriteAnswerError(document.error(), out);
      WriteJson(Json::parse(*document, nullptr, /*allow_exceptions=*/false), out);
    });
  };
}

}  // namespace

bool PastCommands::Run(const RespCommandRow& command, const access::CallerRef& caller,
                       RespCall& call) {
  if (command.name != kExplain && command.name != kLast) return false;
  if (verbs_.past == nullptr) {
    call.out().Error("ERR", "the past is not asked of here");
    return true;
  }
  auto body = BodyOf(*verbs_.answers->definition(), command.name, call.arguments());
  if (!body) {
    WriteAnswerError(body.error(), call.out());
  } else if (command.name == kExplain) {
    verbs_.past->Explain(std::move(*body), caller, WriteLater(call.Later()));
  } else {
    verbs_.past->LastEvents(std::move(*body), caller, WriteLater(call.Later()));
  }
  return true;
}

void PastCommands::FeaturesAt(PastQuestions::At at, RespCall& call) {
  if (verbs_.past == nullptr) return call.out().Error("ERR", "the past is not asked of here");
  verbs_.past->FeaturesAt(std::move(at), [reply = call.Later()](Result<PastFeatures> past) mutable {
    reply.Send([past = std::move(past)](RespWriter& out) {
      if (!past) return WriteAnswerError(past.error(), out);
      out.Map(kServicePairs + 2);
      WriteServicePairs(past->answer, Statuses::kAnswered, out);
      out.Bulk("source");
      out.Bulk(past->source);
      out.Bulk("because");
      past->because.empty() ? out.Null() : out.Bulk(past->because);
    });
  });
}

}  // namespace headrace::serving

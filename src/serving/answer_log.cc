#include "serving/answer_log.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <iterator>

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
namespace ondemand = simdjson::ondemand;

constexpr int kStatusMax = static_cast<int>(pipeline::FeatureStatus::kOutsideMaxAge);

// What is the same for every row of an answer.
std::string HeadOf(const FeatureAnswer& answer) {
  std::string head =
      fmt::format(R"({{"log":"{}","definition":"{}","epoch":{},"as_of_us":{},"lag_us":{})",
                  answer.log.ToString(), answer.definition.ToString(), answer.epoch.value,
                  answer.as_of.us, answer.lag.value_or(base::Duration(0)).count());
  if (answer.own) {
    head += R"(,"own":{"stream":)";
    columns::AppendJsonString(head, answer.own->stream);
    fmt::format_to(std::back_inserter(head), R"(,"epoch":{},"time_us":{})", answer.own->epoch.value,
                   answer.own->time.us);
    if (answer.own->row) fmt::format_to(std::back_inserter(head), R"(,"row":{})", *answer.own->row);
    head += '}';
  }
  if (answer.provisional) head += R"(,"provisional":true)";
  if (!answer.service.empty()) {
    head += R"(,"service":)";
    columns::AppendJsonString(head, answer.service);
    return head;
  }
  head += R"(,"features":[)";
  for (size_t i = 0; i < answer.columns->size(); ++i) {
    if (i > 0) head += ',';
    columns::AppendJsonString(head, (*answer.columns)[i].Reference());
  }
  head += ']';
  return head;
}

std::string_view Trimmed(std::string_view token) {
  const size_t end = token.find_last_not_of(" \t\r\n");
  return token.substr(0, end + 1);
}

// Any simdjson exception inside becomes kInvalidInput.
template <typename Read>
auto Guarded(Read read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const simdjson::simdjson_error& e) {
    return Fail(ErrorCode::kInvalidInput, fmt::format("no line of an answers file: {}", e.what()));
  }
}

Result<base::DefinitionId> ParseDefinition(std::string_view hex) {
  base::DefinitionId id;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), id.value, 16);
  if (error != std::errc() || end != hex.data() + hex.size() || hex.size() != 16)
    return Fail(ErrorCode::kInvalidInput, "no line of an answers file: definition");
  return id;
}

void ReadLists(ondemand::object& object, ServedAnswer& answer) {
  if (auto features = object.find_field_unordered("features"); !features.error()) {
    for (auto name : features.get_array())
      answer.features.emplace_back(std::string_view(name.get_string()));
  }
  for (auto input : object.find_field_unordered("inputs").get_object()) {
    std::string name(std::string_view(input.unescaped_key()));
    const std::string_view token = input.value().raw_json_token();
    answer.inputs.emplace_back(std::move(name), Trimmed(token));
  }
  for (auto element : object.find_field_unordered("values").get_array()) {
    ondemand::value value = element.value();
    if (ondemand::json_type(value.type()) == ondemand::json_type::array) {
      ondemand::array list = value.get_array();
      answer.values.emplace_back(std::string_view(list.raw_json()));
    } else {
      const std::string_view token = value.raw_json_token();
      answer.values.emplace_back(Trimmed(token));
    }
  }
  for (auto status : object.find_field_unordered("statuses").get_array()) {
    const auto number = static_cast<int>(status.get_int64());
    answer.statuses.push_back(
        static_cast<pipeline::FeatureStatus>(std::min(std::max(number, 0), kStatusMax)));
  }
}

void ReadOwn(ondemand::object& object, ServedAnswer& answer) {
  auto found = object.find_field_unordered("own");
  if (found.error() == simdjson::NO_SUCH_FIELD) return;  // any other error is thrown
  ondemand::object own = found.get_object();
  pipeline::OwnRow row;
  row.stream = std::string_view(own.find_field_unordered("stream").get_string());
  row.epoch = {own.find_field_unordered("epoch").get_uint64()};
  row.time = {own.find_field_unordered("time_us").get_int64()};
  // The last one, if it is there.
  if (auto number = own.find_field("row"); !number.error())
    row.row = static_cast<uint32_t>(uint64_t{number.get_uint64()});
  answer.own = std::move(row);
}

}  // namespace

void AppendAnswerLines(const FeatureAnswer& answer, std::string& out) {
  const std::string head = HeadOf(answer);
  const size_t width = answer.columns->size();
  for (size_t row = 0; row < answer.rows; ++row) {
    out += head;
    out += R"(,"inputs":{)";
    for (size_t i = 0; i < answer.inputs.size(); ++i) {
      if (i > 0) out += ',';
      columns::AppendJsonString(out, answer.inputs[i].name);
      out += ':';
      answer.inputs[i].values[row].AppendJson(out);
    }
    out += R"(},"values":[)";
    for (size_t column = 0; column < width; ++column) {
      if (column > 0) out += ',';
      answer.values[answer.At(row, column)].AppendJson(out);
    }
    out += R"(],"statuses":[)";
    for (size_t column = 0; column < width; ++column) {
      if (column > 0) out += ',';
      out += static_cast<char>('0' + static_cast<int>(answer.statuses[answer.At(row, column)]));
    }
    out += "]}\n";
  }
}

Result<ServedAnswer> ParseAnswerLine(std::string_view line) {
  // To look in a torn line for what it need not have would break the parser.
  if (!line.ends_with("]}"))
    return Fail(ErrorCode::kInvalidInput, "no line of an answers file: it has no end");
  thread_local ondemand::parser parser;
  const simdjson::padded_string padded(line);
  std::string log;
  std::string definition;
  ServedAnswer answer;
  HR_TRY_VOID(Guarded([&] {
    ondemand::document document = parser.iterate(padded);
    ondemand::object object = document.get_object();
    log = std::string_view(object.find_field_unordered("log").get_string());
    definition = std::string_view(object.find_field_unordered("definition").get_string());
    answer.epoch = {object.find_field_unordered("epoch").get_uint64()};
    answer.as_of = {object.find_field_unordered("as_of_us").get_int64()};
    answer.lag = base::Duration(int64_t{object.find_field_unordered("lag_us").get_int64()});
    if (auto service = object.find_field_unordered("service"); !service.error())
      answer.service = std::string_view(service.get_string());
    ReadOwn(object, answer);
    if (auto provisional = object.find_field_unordered("provisional"); !provisional.error())
      answer.provisional = provisional.get_bool();
    ReadLists(object, answer);
    return true;
  }));
  HR_TRY(answer.log, base::LogId::Parse(log));
  HR_TRY(answer.definition, ParseDefinition(definition));
  if (answer.values.size() != answer.statuses.size())
    return Fail(ErrorCode::kInvalidInput, "no line of an answers file: a status for each value");
  return answer;
}

Result<columns::Value> ScalarFromJson(std::string_view json) {
  thread_local ondemand::parser parser;
  const simdjson::padded_string padded(json);
  return Guarded([&]() -> columns::Value {
    ondemand::document document = parser.iterate(padded);
    switch (ondemand::json_type(document.type())) {
      case ondemand::json_type::null: return columns::Value::Null(columns::Type::kString);
      case ondemand::json_type::boolean: return columns::Value::Bool(document.get_bool());
      case ondemand::json_type::number: {
        int64_t integer = 0;
        if (document.get_int64().get(integer) == simdjson::SUCCESS)
          return columns::Value::Int64(integer);
        return columns::Value::Float64(document.get_double());
      }
      default: return columns::Value::String(std::string(std::string_view(document.get_string())));
    }
  });
}

}  // namespace headrace::serving

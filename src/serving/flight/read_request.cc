#include "serving/flight/read_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::json;

constexpr auto kDeadlineMaxMs = static_cast<uint64_t>(AnswerLimits().wait_max.count());

std::unexpected<base::Error> Wrong(const std::string& what) {
  return Fail(
      ErrorCode::kInvalidInput,
      what + R"(: a read is {"service":"NAME"} or {"features":["VIEW:FEATURE",...]}, and it or a )"
             R"(batch's app_metadata may have "min_epoch":N, "deadline_ms":N and "as_of":"TIME")");
}

Result<bool> TakeOfBatch(const std::string& name, const Json& value, FeatureQuery& query) {
  if (name == "as_of") {
    if (!value.is_string()) return Wrong("`as_of` is no text");
    HR_TRY(query.as_of, base::ParseTimestamp(value.get<std::string>()));
    return true;
  }
  if (name != "min_epoch" && name != "deadline_ms") return false;
  if (!value.is_number_unsigned()) return Wrong(fmt::format("`{}` is no whole number", name));
  const auto count = value.get<uint64_t>();
  if (name == "min_epoch")
    query.min_epoch = base::EpochId{count};
  else
    query.deadline = std::chrono::milliseconds(std::min(count, kDeadlineMaxMs));
  return true;
}

Result<void> TakeFeatures(const Json& value, FeatureQuery& query) {
  if (!value.is_array() || value.empty()) return Wrong("`features` is no list of names");
  std::vector<std::string> names;
  for (const Json& feature : value) {
    if (!feature.is_string()) return Wrong("a feature's name is no text");
    names.push_back(feature.get<std::string>());
  }
  query.features = std::move(names);
  return {};
}

Result<Json> ParseObject(std::string_view json) {
  if (json.size() > kReadCommandBytesMax)
    return Wrong(fmt::format("{} bytes, and {} are the most", json.size(), kReadCommandBytesMax));
  Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Wrong("no JSON object");
  return document;
}

}  // namespace

Result<FeatureQuery> ParseReadCommand(std::string_view json) {
  HR_TRY(const Json document, ParseObject(json));
  FeatureQuery query;
  for (const auto& [name, value] : document.items()) {
    HR_TRY(const bool taken, TakeOfBatch(name, value, query));
    if (taken) continue;
    if (name == "features") {
      HR_TRY_VOID(TakeFeatures(value, query));
    } else if (name == "service") {
      if (!value.is_string()) return Wrong("`service` is no text");
      query.service = value.get<std::string>();
    } else {
      return Wrong(fmt::format("`{}` is not known", name));
    }
  }
  if (query.service.empty() == query.features.empty())
    return Wrong("it names a service or features, one of the two");
  return query;
}

Result<void> ReadBatchRequest(std::string_view json, FeatureQuery& query) {
  if (json.empty()) return {};
  HR_TRY(const Json document, ParseObject(json));
  for (const auto& [name, value] : document.items()) {
    HR_TRY(const bool taken, TakeOfBatch(name, value, query));
    if (!taken) return Wrong(fmt::format("`{}` is not known of a batch", name));
  }
  return {};
}

}  // namespace headrace::serving

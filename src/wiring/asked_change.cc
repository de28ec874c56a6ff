#include "wiring/asked_change.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace headrace::wiring {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::ordered_json;

}  // namespace

Result<void> AskedChangeFile::Put(const AskedChange& asked) const {
  Json json = {{"by", asked.by}, {"from", asked.from.value}, {"begun", asked.begun}};
  json["since"] = Json::object();
  for (const auto& [view, since] : asked.request.since) json["since"][view] = since.value;
  json["request"] = Json::parse(ChangeRequestJson(asked.request));
  const std::string text = base::JsonText(json);
  return env::PutAtomically(files_, path_,
                            {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Result<std::optional<AskedChange>> AskedChangeFile::Read() const {
  HR_TRY(const bool there, files_.Exists(path_));
  if (!there) return std::nullopt;
  HR_TRY(const std::vector<uint8_t> bytes, files_.ReadAll(path_));
  const Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, /*allow_exceptions=*/false);
  const auto is = [&](const char* name, bool (Json::*type)() const noexcept) {
    return json.is_object() && json.contains(name) && (json[name].*type)();
  };
  if (!is("by", &Json::is_string) || !is("from", &Json::is_number_unsigned) ||
      !is("begun", &Json::is_number_unsigned) || !is("since", &Json::is_object) ||
      !is("request", &Json::is_object))
    return Fail(base::Error(ErrorCode::kCorruption, "what was asked for can't be read")
                    .With("file", path_));
  AskedChange asked;
  HR_TRY(asked.request, ParseChangeRequest(base::JsonText(json["request"])));
  asked.by = json["by"].get<std::string>();
  asked.request.back = asked.by == "rollback";
  asked.from = {json["from"].get<uint64_t>()};
  asked.begun = json["begun"].get<uint32_t>();
  for (const auto& [view, since] : json["since"].items())
    if (since.is_number_unsigned()) asked.request.since[view] = {since.get<uint64_t>()};
  return asked;
}

Result<void> AskedChangeFile::Remove() const {
  HR_TRY(const bool there, files_.Exists(path_));
  if (!there) return {};
  HR_TRY_VOID(files_.Remove(path_));
  return files_.SyncFolder(path_.substr(0, path_.rfind('/')));
}

}  // namespace headrace::wiring

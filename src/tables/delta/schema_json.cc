#include "tables/delta/schema_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/time.h"
#include "tables/delta/schema_document.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using columns::Value;
using Json = nlohmann::ordered_json;

constexpr size_t kTextBytesMax = 32;
constexpr std::string_view kLargestCharacter = "\xF4\x8F\xBF\xBF";  // U+10FFFF
constexpr const char* kTypeChanges = "delta.typeChanges";
constexpr int64_t kUsPerMs = 1000;
constexpr int64_t kUsPerDay = 86'400'000'000;
// Outside the years 0001 to 9999 readers differ: no bound is told.
constexpr int64_t kYear1Days = -719'162;
constexpr int64_t kYear10000Days = 2'932'897;

std::optional<Type> TypeNamedByDelta(std::string_view name) {
  for (const columns::TypeRow& row : columns::TypeTable())
    if (row.delta == name) return row.type;
  return std::nullopt;
}

int64_t FloorTo(int64_t us, int64_t step) {
  const int64_t rest = us % step;
  return us - (rest < 0 ? rest + step : rest);
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::optional<Json> TextBound(const std::string& text, bool upper) {
  if (text.size() <= kTextBytesMax) return text;
  size_t cut = kTextBytesMax;
  while (cut > 0 && IsContinuation(text[cut])) --cut;
  if (!upper) return text.substr(0, cut);
  if (text.compare(cut, kLargestCharacter.size(), kLargestCharacter) == 0) return std::nullopt;
  return text.substr(0, cut) + std::string(kLargestCharacter);
}

std::optional<Json> TimeBound(int64_t us, bool upper, bool zoned) {
  int64_t ms_us = FloorTo(us, kUsPerMs);
  if (upper && ms_us != us) ms_us += kUsPerMs;
  const int64_t day = FloorTo(ms_us, kUsPerDay) / kUsPerDay;
  if (day < kYear1Days || day >= kYear10000Days) return std::nullopt;
  const base::CivilDate date = base::CivilFromDays(day);
  const int64_t ms = (ms_us - day * kUsPerDay) / kUsPerMs;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}", date.year, date.month, date.day,
                     ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000, zoned ? "Z" : "");
}

std::optional<Json> DateBound(int64_t day) {
  if (day < kYear1Days || day >= kYear10000Days) return std::nullopt;
  const base::CivilDate date = base::CivilFromDays(day);
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

std::optional<Json> Bound(const Value& value, bool upper) {
  switch (value.type()) {
    case Type::kInt32:
    case Type::kInt64: return value.as_int();
    case Type::kFloat32:
    case Type::kFloat64: return value.as_double();
    case Type::kString: return TextBound(value.as_text(), upper);
    case Type::kDate: return DateBound(value.as_int());
    case Type::kTimestamp: return TimeBound(value.as_int(), upper, /*zoned=*/true);
    case Type::kTimestampNtz: return TimeBound(value.as_int(), upper, /*zoned=*/false);
    default: return std::nullopt;
  }
}

Json SchemaJson(const columns::Schema& schema) {
  Json fields = Json::array();
  for (const columns::Field& field : schema.fields()) {
    fields.push_back({{"name", field.name},
                      {"type", std::string(columns::RowOf(field.type).delta)},
                      {"nullable", field.nullable == columns::Nullable::kYes},
                      {"metadata", Json::object()}});
  }
  return {{"type", "struct"}, {"fields", std::move(fields)}};
}

// What was said of a column before goes on to be said.
void CarryOver(const Json& was, Json& field) {
  if (was.contains("metadata")) field["metadata"] = was["metadata"];
  if (was.at("type") == field["type"]) return;
  Json& changes = field["metadata"][kTypeChanges];
  changes.push_back({{"fromType", was.at("type")}, {"toType", field["type"]}});
}

// Nothing when it never had another, or one that has no counterpart.
std::optional<Type> FirstType(const Json& field) {
  if (!field.contains("metadata") || !field["metadata"].contains(kTypeChanges)) return std::nullopt;
  const Json& changes = field["metadata"][kTypeChanges];
  if (changes.empty()) return std::nullopt;
  return TypeNamedByDelta(changes.at(0).at("fromType").get<std::string>());
}

}  // namespace

std::string RenderSchema(const columns::Schema& schema) {
  return base::JsonText(SchemaJson(schema));
}

Result<std::string> RenderEvolved(std::string_view known, const columns::Schema& wanted) {
  Json after = SchemaJson(wanted);
  try {
    const Json before = ParseSchemaDocument(known);
    for (Json& field : after["fields"])
      for (const Json& was : before.at("fields"))
        if (was.at("name") == field["name"]) CarryOver(was, field);
    return base::JsonText(after);
  } catch (const Json::exception& e) {
    return Fail(ErrorCode::kCorruption, fmt::format("broken schemaString: {}", e.what()));
  }
}

Result<columns::SchemaRef> ParseSchema(std::string_view schema_string, ColumnTypes types) {
  std::vector<columns::Field> fields;
  try {
    const Json json = ParseSchemaDocument(schema_string);
    for (const Json& field : json.at("fields")) {
      const auto name = field.at("name").get<std::string>();
      const Json& type = field.at("type");
      const auto known =
          type.is_string() ? TypeNamedByDelta(type.get<std::string>()) : std::nullopt;
      if (!known) {
        return Fail(
            base::Error(ErrorCode::kUnsupported,
                        fmt::format("column `{}` has type {}, which this version does not read",
                                    name, base::JsonText(type)))
                .With("column", name));
      }
      fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                        .name = name,
                        .type = *known,
                        .nullable = field.value("nullable", true) ? columns::Nullable::kYes
                                                                  : columns::Nullable::kNo});
      if (types == ColumnTypes::kFirst)
        fields.back().type = FirstType(field).value_or(fields.back().type);
    }
  } catch (const Json::exception& e) {
    return Fail(ErrorCode::kCorruption, fmt::format("broken schemaString: {}", e.what()));
  }
  return std::make_shared<const columns::Schema>(std::move(fields));
}

std::string RenderStats(const columns::Schema& schema, uint64_t rows,
                        std::span<const ColumnStats> stats) {
  Json min = Json::object();
  Json max = Json::object();
  Json nulls = Json::object();
  for (size_t i = 0; i < stats.size(); ++i) {
    const std::string& name = schema.field(i).name;
    nulls[name] = stats[i].nulls;
    if (!stats[i].bounded) continue;
    if (auto bound = Bound(stats[i].min, /*upper=*/false)) min[name] = std::move(*bound);
    if (auto bound = Bound(stats[i].max, /*upper=*/true)) max[name] = std::move(*bound);
  }
  const Json json = {{"numRecords", rows},
                     {"minValues", std::move(min)},
                     {"maxValues", std::move(max)},
                     {"nullCount", std::move(nulls)}};
  return base::JsonText(json);
}

}  // namespace headrace::tables::delta

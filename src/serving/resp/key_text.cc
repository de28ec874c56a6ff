#include "serving/resp/key_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/hex.h"
#include "columns/key.h"
#include "serving/not_found.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;

base::Result<size_t> ViewNamed(const pipeline::PipelineDefinition& definition,
                               std::string_view name) {
  if (const auto view = definition.ViewNamed(name)) return *view;
  return NoSuchView(definition, name);
}

// %3A and %25 and the like; other bytes are themselves.
std::string Unescaped(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '%' && i + 2 < part.size()) {
      const int high = base::HexDigit(part[i + 1]);
      const int low = base::HexDigit(part[i + 2]);
      if (high >= 0 && low >= 0) {
        text += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    text += part[i];
  }
  return text;
}

std::vector<std::string> Parts(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(':', begin);
    parts.push_back(Unescaped(text.substr(begin, end - begin)));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

base::Result<void> AppendPart(const columns::Field& field, std::string_view text,
                              columns::KeyBytes& key) {
  if (field.type == columns::Type::kBytes) {  // as they are, like the bytes of answers
    columns::AppendKeyValue(key, columns::Value(field.type, std::string(text)));
    return {};
  }
  auto value = columns::Value::FromText(field.type, text);
  if (!value) return base::Fail(std::move(value).error().With("field", field.name));
  columns::AppendKeyValue(key, *value);
  return {};
}

base::Result<columns::KeyBytes> KeyOf(const pipeline::PipelineDefinition& definition,
                                      const pipeline::ViewDefinition& view, std::string_view text) {
  const columns::Schema& schema = *definition.streams[view.stream].schema();
  columns::KeyBytes key;
  if (view.by.size() == 1) {
    HR_TRY_VOID(AppendPart(schema.field(view.by[0]), text, key));
    return key;
  }
  const std::vector<std::string> parts = Parts(text);
  if (parts.size() != view.by.size())
    return base::Fail(
        ErrorCode::kInvalidInput,
        fmt::format("the key of view `{}` is {}, so {} parts with colons between (%3A is a colon "
                    "inside a part), not {}",
                    view.name, view.entity, view.by.size(), parts.size()));
  for (size_t i = 0; i < parts.size(); ++i)
    HR_TRY_VOID(AppendPart(schema.field(view.by[i]), parts[i], key));
  return key;
}

// What is before the first colon, and what is behind it.
base::Result<std::pair<std::string_view, std::string_view>> Cut(std::string_view text,
                                                                std::string_view form) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return base::Fail(ErrorCode::kInvalidInput,
                      fmt::format("`{}` names no key: keys are {}", text.substr(0, 64), form));
  return std::pair{text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

base::Result<size_t> OutputNamed(const pipeline::ViewDefinition& view, std::string_view name) {
  for (size_t i = 0; i < view.outputs.size(); ++i)
    if (view.outputs[i].name == name) return i;
  return NoSuchFeature(view, name);
}

base::Result<KeyQuestion> ReadKey(const pipeline::PipelineDefinition& definition,
                                  std::string_view text) {
  HR_TRY(const auto cut, Cut(text, "view:key"));
  HR_TRY(const size_t view, ViewNamed(definition, cut.first));
  HR_TRY(columns::KeyBytes key, KeyOf(definition, definition.views[view], cut.second));
  return KeyQuestion{view, std::move(key)};
}

base::Result<KeyQuestion> ReadFeatureKey(const pipeline::PipelineDefinition& definition,
                                         std::string_view text, size_t& output) {
  HR_TRY(const auto cut, Cut(text, "view.feature:key"));
  const size_t dot = cut.first.find('.');
  if (dot == std::string_view::npos)
    return base::Fail(ErrorCode::kInvalidInput,
                      fmt::format("`{}` names no feature: these keys are view.feature:key; HMGET "
                                  "and HGETALL take view:key",
                                  cut.first));
  HR_TRY(const size_t view, ViewNamed(definition, cut.first.substr(0, dot)));
  HR_TRY(output, OutputNamed(definition.views[view], cut.first.substr(dot + 1)));
  HR_TRY(columns::KeyBytes key, KeyOf(definition, definition.views[view], cut.second));
  return KeyQuestion{view, std::move(key)};
}

void AppendValueText(const columns::Value& value, std::string& out) {
  switch (value.type()) {
    case columns::Type::kString:
    case columns::Type::kBytes: out += value.as_text(); return;
    case columns::Type::kInt32:
    case columns::Type::kInt64: {
      std::array<char, 24> digits{};
      const char* end =
          std::to_chars(digits.data(), digits.data() + digits.size(), value.as_int()).ptr;
      out.append(digits.data(), static_cast<size_t>(end - digits.data()));
      return;
    }
    case columns::Type::kFloat32:
    case columns::Type::kFloat64:
      if (std::isfinite(value.as_double())) return columns::AppendShortest(out, value.as_double());
      break;
    default: break;
  }
  const size_t begin = out.size();
  value.AppendJson(out);
  // Times, and what JSON has no numbers for, are texts there.
  if (out.size() > begin && out[begin] == '"') {
    out.pop_back();
    out.erase(begin, 1);
  }
}

}  // namespace headrace::serving

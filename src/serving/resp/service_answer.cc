#include "serving/resp/service_answer.h"

#include <charconv>
#include <string>

#include "serving/resp/key_text.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using pipeline::FeatureStatus;
using protocols::RespWriter;

// A value as version 3 has it; a text in version 2.
void WriteTyped(const columns::Value& value, std::string& text, RespWriter& out) {
  if (value.is_null()) return out.Null();
  if (out.version() == protocols::RespVersion::k3) {
    if (columns::IsList(value.type())) {
      out.Array(value.as_list().size());
      for (const columns::Value& element : value.as_list()) WriteTyped(element, text, out);
      return;
    }
    if (columns::IsInteger(value.type())) return out.Integer(value.as_int());
    if (columns::IsFloating(value.type())) return out.Double(value.as_double());
    if (value.type() == columns::Type::kBool) return out.Boolean(value.as_bool());
  }
  text.clear();
  AppendValueText(value, text);
  out.Bulk(text);
}

std::string_view CodeOf(ErrorCode code) {
  if (code == ErrorCode::kStorageFull) return "FULL";
  if (code == ErrorCode::kUnauthorized) return "NOPERM";
  const bool again = code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted ||
                     code == ErrorCode::kDeadlineExceeded;
  return again ? "TRYAGAIN" : "ERR";
}

}  // namespace

void WriteServicePairs(const FeatureAnswer& answer, Statuses statuses, RespWriter& out) {
  const bool defaults = statuses == Statuses::kDefaults;
  std::string text;
  out.Bulk("epoch");
  defaults ? out.Null() : out.Integer(static_cast<int64_t>(answer.epoch.value));
  out.Bulk("as_of");
  defaults ? out.Null() : out.Bulk(base::FormatTimestamp(answer.as_of));
  out.Bulk("lag");
  const auto lag = LagSinceHeard(answer.lag, answer.as_of);
  defaults || !lag ? out.Null() : out.Double(static_cast<double>(lag->count()) / 1000);
  out.Bulk("features");
  out.Map(answer.columns->size());
  for (size_t i = 0; i < answer.columns->size(); ++i) {
    out.Bulk((*answer.columns)[i].shown);
    defaults || answer.statuses[i] == FeatureStatus::kPresent
        ? WriteTyped(answer.values[i], text, out)
        : out.Null();
  }
  out.Bulk("statuses");
  out.Map(answer.columns->size());
  for (size_t i = 0; i < answer.columns->size(); ++i) {
    out.Bulk((*answer.columns)[i].shown);
    out.Bulk(defaults ? "DEFAULT" : NameOf(answer.statuses[i]));
  }
}

void WriteAnswerError(const base::Error& error, RespWriter& out) {
  out.Error(CodeOf(error.code()), error.message());
}

std::optional<uint64_t> ReadCount(std::string_view text) {
  uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

}  // namespace headrace::serving

// headrace explain VIEW KEY FEATURE: the rows behind one value, over HTTP.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "aligned_lines.h"
#include "base/counts.h"
#include "base/json_text.h"
#include "clock_text.h"
#include "columns/value.h"
#include "commands.h"
#include "http_calls.h"
#include "served_names.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kBitsDiffer = 1;

Result<json> KeyOf(std::span<const std::string> words, const InputTypes& columns) {
  json key = json::object();
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    auto column = columns.begin();
    std::string text = word;
    if (equals != std::string::npos) {
      const auto named = columns.find(word.substr(0, equals));
      if (named != columns.end()) {
        column = named;
        text = word.substr(equals + 1);
      }
    }
    const bool named = text.size() != word.size();
    if (!named && columns.size() != 1) {
      std::string names;
      for (const auto& [name, type] : columns) names += (names.empty() ? "" : ", ") + name;
      return Fail(
          ErrorCode::kInvalidInput,
          fmt::format("`{}` is no part of the key: write NAME=VALUE for each of {}", word, names));
    }
    const auto type = columns::TypeNamed(column->second);
    if (!type)
      return Fail(ErrorCode::kInternal, fmt::format("the engine has no type `{}`", column->second));
    HR_TRY(const columns::Value value, columns::Value::FromText(*type, text));
    key[column->first] = json::parse(value.ToJson());
  }
  return key;
}

Result<std::string> Ask(const ExplainOptions& options) {
  HttpCalls calls(options.http, kLookbackTimeout);
  HR_TRY(const ServedNames names, ServedNames::Ask(calls));
  HR_TRY_VOID(names.CheckFeature(options.words.front(), options.words.back()));
  const InputTypes columns = names.InputsOfView(options.words.front());
  const std::span<const std::string> words(options.words);
  HR_TRY(json key, KeyOf(words.subspan(1, words.size() - 2), columns));
  json question = {{"view", words.front()},
                   {"feature", words.back()},
                   {"key", std::move(key)},
                   {"limit", options.limit}};
  if (options.epoch) question["epoch"] = *options.epoch;
  if (!options.as_of.empty()) question["as_of"] = options.as_of;
  if (!options.source.empty()) question["source"] = options.source;
  if (!options.served.empty()) {
    question["served"] = json::parse(options.served, nullptr, /*allow_exceptions=*/false);
    if (question["served"].is_discarded()) question["served"] = options.served;
  }
  return calls.PostJson("/explain", base::JsonText(question));
}

std::string WhyOf(const ordered_json& row) {
  std::string why = row["why"].get<std::string>();
  if (row.contains("late_by_us"))
    why += fmt::format(", late by {}",
                       base::FormatDuration(base::Duration(row["late_by_us"].get<int64_t>())));
  return why;
}

// The texts do not order as the times do: those of whole seconds have no fraction.
base::Timestamp TimeOf(const std::string& text) {
  return base::ParseTimestamp(text).value_or(base::Timestamp::Min());
}

// Rows most recent first, with a line where the window ends and where it begins.
void PrintRows(const CommandContext& context, const ordered_json& answer) {
  const ordered_json& rows = answer["rows"];
  const ordered_json& window = answer["window"];
  if (rows.empty()) return fmt::print(context.out, "\n  no rows of this key\n");
  const bool valued = !answer["computed"]["argument"].is_null();
  std::vector<std::string> header = {
      "", "event time", "position in " + answer["positions_of"].get<std::string>(), "known at"};
  if (valued) header.push_back(answer["computed"]["argument"].get<std::string>());
  header.emplace_back("");
  AlignedLines lines(std::move(header));
  const std::string until = window["until"].get<std::string>();
  const std::string after = window["after"].is_null() ? "" : window["after"].get<std::string>();
  bool ended = false;
  bool begun = after.empty();
  const auto mark = [&](std::optional<base::Timestamp> time) {
    if (!ended && (!time || *time <= TimeOf(until))) {
      lines.AddEdge(1, fmt::format("{}  the window ends (with this instant)", until));
      ended = true;
    }
    if (!begun && (!time || *time <= TimeOf(after))) {
      lines.AddEdge(1, fmt::format("{}  the window begins (after this instant)", after));
      begun = true;
    }
  };
  for (const ordered_json& row : rows) {
    mark(TimeOf(row["event_time"].get<std::string>()));
    const bool counts = row["counts"].get<bool>();
    std::vector<std::string> cells = {
        counts ? "*" : "", row["event_time"].get<std::string>(),
        fmt::format("({}, {})", row["epoch"].get<uint64_t>(), row["row"].get<uint64_t>()),
        row["known_at"].is_null() ? "-" : row["known_at"].get<std::string>()};
    if (valued) cells.push_back(TextOf(row["value"]));
    cells.push_back(WhyOf(row));
    lines.Add(std::move(cells));
  }
  const uint64_t left = answer["rows_left_out"].get<uint64_t>();
  if (left == 0) mark(std::nullopt);
  fmt::print(context.out, "\n");
  lines.Print(context.out);
  if (left > 0)
    fmt::print(context.out, "  ... and {} (--limit)\n", base::Counted(left, "older row"));
}

void PrintVerdict(const CommandContext& context, const ordered_json& answer) {
  const ordered_json& recomputed = answer["recomputed"];
  const std::string value =
      fmt::format("{} {}", TextOf(recomputed["value"]), recomputed["status"].get<std::string>());
  const auto counts = answer["counts"].value("counts", uint64_t{0});
  fmt::print(context.out, "  computed again from the {} that count{}: {}\n",
             base::Counted(counts, "row"), counts == 1 ? "s" : "", value);
  const ordered_json& same = answer["same_bits"];
  if (same.is_null())
    fmt::print(context.out, "  nothing to compare it with: --served VALUE compares an answer\n");
  if (same.is_boolean() && same.get<bool>())
    fmt::print(context.out, "  every bit as {}\n",
               answer["told"].is_null() ? "it is served" : "it was served");
  if (same.is_boolean() && !same.get<bool>()) {
    const std::string served = answer["told"].is_null()
                                   ? fmt::format("{} {}", TextOf(answer["served"]["value"]),
                                                 answer["served"]["status"].get<std::string>())
                                   : TextOf(answer["told"]);
    fmt::print(context.out,
               "  !! NOT THE SAME BITS: served is {}. State and rows disagree, or the value is of "
               "another epoch, as_of or definition: `headrace verify` looks at all answers\n",
               served);
  }
}

void PrintText(const CommandContext& context, const ordered_json& answer) {
  const ordered_json& computed = answer["computed"];
  std::string key;
  for (const auto& [name, value] : answer["key"].items())
    key += fmt::format("{}{}={}", key.empty() ? "" : ", ", name, TextOf(value));
  fmt::print(context.out, "{}.{} of {}\n", answer["view"].get<std::string>(),
             answer["feature"].get<std::string>(), key);
  fmt::print(context.out, "  {}({}){}{} over {}\n", computed["aggregate"].get<std::string>(),
             computed["argument"].is_null() ? "*" : computed["argument"].get<std::string>(),
             computed["condition"].is_null()
                 ? ""
                 : fmt::format(" where {}", computed["condition"].get<std::string>()),
             computed["where"].is_null()
                 ? ""
                 : fmt::format(", of rows with {}", computed["where"].get<std::string>()),
             answer["window"]["says"].get<std::string>());
  fmt::print(context.out, "  epoch {}, as of {}\n", answer["epoch"].get<uint64_t>(),
             ClockText(answer["as_of"].get<std::string>()));
  if (answer["source"] == "state") {
    fmt::print(context.out,
               "  rows from the state, which has none that the view's `where` keeps out\n");
  } else {
    fmt::print(context.out, "  rows from table and log, since {}\n",
               answer["because"].get<std::string>());
  }
  if (!answer["tiles"].is_null())
    fmt::print(context.out, "  {}\n", answer["tiles"]["says"].get<std::string>());
  PrintVerdict(context, answer);
  PrintRows(context, answer);
}

}  // namespace

int RunExplain(const ExplainOptions& options, CommandContext& context) {
  if (options.words.size() == 1) return RunExplainCode(options.words.front(), context);
  if (options.words.size() < 3)
    return ReportError(context, Error(ErrorCode::kInvalidInput,
                                      "say which value: headrace explain VIEW KEY FEATURE, such as "
                                      "`headrace explain card card_id=42 spend_1h`"));
  const auto text = Ask(options);
  if (!text) return ReportError(context, text.error());
  try {
    const ordered_json answer = ordered_json::parse(*text);
    if (context.json()) {
      fmt::print(context.out, "{}\n", *text);
    } else {
      PrintText(context, answer);
    }
    const ordered_json& same = answer.at("same_bits");
    return same.is_boolean() && !same.get<bool>() ? kBitsDiffer : 0;
  } catch (const ordered_json::exception& exception) {
    return ReportError(
        context,
        Error(ErrorCode::kInternal, fmt::format("the answer can't be read: {}", exception.what())));
  }
}

}  // namespace headrace::app

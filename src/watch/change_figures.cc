#include "watch/change_figures.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace headrace::watch {
namespace {

using Json = nlohmann::ordered_json;
using State = ChangeFigures::State;

double Seconds(base::Duration span) { return static_cast<double>(span.count()) / 1e6; }

Json ErrorJson(const base::Error& error) {
  Json context = Json::object();
  for (const auto& [name, value] : error.context()) context[name] = value;
  return {{"name", base::RowOf(error.code()).name},
          {"message", error.message()},
          {"context", std::move(context)}};
}

}  // namespace

std::string_view NameOf(State state) {
  switch (state) {
    case State::kNone: return "none";
    case State::kBuilding: return "building";
    case State::kCuttingOver: return "cutting_over";
    case State::kDone: return "done";
    case State::kFailed: return "failed";
  }
  return "none";
}

std::optional<double> ChangeFigures::SecondsLeft() const {
  if (state != State::kBuilding || rows_done == 0) return std::nullopt;
  const uint64_t left = rows_total - std::min(rows_total, rows_done);
  return Seconds(took) * static_cast<double>(left) / static_cast<double>(rows_done);
}

std::string ChangeJson(const ChangeFigures& change) {
  if (change.state == State::kNone) return "null";
  Json json = {{"number", change.number},
               {"by", change.by},
               {"state", NameOf(change.state)},
               {"from", change.from.ToString()},
               {"to", change.to.ToString()},
               {"begun", change.begun},
               {"began", base::FormatTimestamp(change.began)},
               {"rows_done", change.rows_done},
               {"rows_total", change.rows_total},
               {"state_bytes", change.bytes},
               {"seconds", Seconds(change.took)}};
  if (const auto left = change.SecondsLeft()) json["seconds_left"] = *left;
  if (change.cut_over.value != 0) json["cut_over_epoch"] = change.cut_over.value;
  json["kept_for_rollback"] = change.kept;
  if (change.error) json["error"] = ErrorJson(*change.error);
  return base::JsonText(json);
}

void AddChange(const ChangeFigures& change, MetricsText& text) {
  const bool under_way = change.state == State::kBuilding || change.state == State::kCuttingOver;
  text.Counter("headrace_wiring_changes_done_total", "Changes of definition since the start.",
               change.done);
  text.Counter("headrace_wiring_changes_failed_total",
               "Changes of definition that were given up since the start.", change.failed);
  text.Gauge("headrace_wiring_change_under_way", "1 while a change of definition is under way.",
             under_way ? 1 : 0);
  text.Gauge("headrace_wiring_change_rows_read",
             "Rows of history that the change under way, or the last one, has read.",
             static_cast<double>(change.rows_done));
  text.Gauge("headrace_wiring_change_rows", "Rows of history that it reads, about.",
             static_cast<double>(change.rows_total));
  text.Gauge("headrace_wiring_change_seconds", "How long it has taken, or took.",
             Seconds(change.took));
  text.Gauge("headrace_wiring_change_left_seconds",
             "How long it will still read at the pace so far; 0 when none is building.",
             change.SecondsLeft().value_or(0));
}

}  // namespace headrace::watch

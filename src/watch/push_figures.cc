#include "watch/push_figures.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace headrace::watch {
namespace {

using Json = nlohmann::ordered_json;

Json TimesJson(const base::Histogram& us) {
  const auto ms = [&](double quantile) {
    return static_cast<double>(us.Quantile(quantile)) / 1000;
  };
  return {{"count", us.count()},
          {"p50_ms", ms(0.5)},
          {"p99_ms", ms(0.99)},
          {"p999_ms", ms(0.999)},
          {"worst_ms", static_cast<double>(us.max()) / 1000}};
}

}  // namespace

std::string PushesJson(const serving::PushFigures& figures) {
  const Json json = {
      {"answered", figures.pushes},
      {"pending", figures.pending},
      {"with_event", figures.with_event},
      {"provisional", {{"answered", figures.provisional}, {"not_in", figures.provisional_not_in}}},
      {"late",
       {{"last_known", figures.last_known},
        {"defaults", figures.defaults},
        {"refused", figures.refused_late},
        {"known_after", figures.late_known_after},
        {"by", TimesJson(*figures.late_by_us)}}},
      {"refused_events", figures.refused_events},
      {"repeats", figures.repeats},
      {"not_taken", figures.not_taken},
      {"unreadable", figures.unreadable},
      {"took", TimesJson(*figures.answered_us)}};
  return base::JsonText(json);
}

void AppendPushMetrics(const serving::PushFigures& figures, MetricsText& text) {
  text.Summary("headrace_serving_push_seconds",
               "From a pushed event to its answer, late ones included.", *figures.answered_us);
  text.Summary("headrace_serving_push_late_seconds",
               "From the deadline of a late push until its event was known.", *figures.late_by_us);
  text.Gauge("headrace_serving_pushes_pending", "Pushed events that wait for their answer.",
             static_cast<double>(figures.pending));
  const std::array<std::pair<std::string_view, uint64_t>, 9> answers = {{
      {"with_event", figures.with_event},
      {"provisional", figures.provisional},
      {"last_known", figures.last_known},
      {"defaults", figures.defaults},
      {"late_refused", figures.refused_late},
      {"event_refused", figures.refused_events},
      {"unreadable", figures.unreadable},
      {"not_taken", figures.not_taken},
      {"repeat", figures.repeats},
  }};
  for (const auto& [answer, count] : answers)
    text.Counter("headrace_serving_pushes_total",
                 "Pushed events by what they were answered; a repeat counts there, too.", count,
                 {{"answer", answer}});
}

}  // namespace headrace::watch

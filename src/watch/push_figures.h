#pragma once
// What became of events that were pushed for an answer, in status and metrics: each answer is
// paired with its event, so lateness is counted by event.

#include <string>

#include "serving/push/push.h"
#include "watch/metrics_text.h"

namespace headrace::watch {

// {"answered":..,"pending":..,"with_event":..,"provisional":{..},"late":{"last_known":..,"defaults":..,"refused":..,"known_after":..},..}
std::string PushesJson(const serving::PushFigures& figures);
void AppendPushMetrics(const serving::PushFigures& figures, MetricsText& text);

}  // namespace headrace::watch

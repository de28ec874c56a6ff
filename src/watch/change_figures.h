#pragma once
// A change of definition, for people: how far it is, or how it ended. One shape for GET
// /definition, GET /status and GET /metrics (docs/reference/http.md).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "watch/metrics_text.h"

namespace headrace::watch {

// The one under way, or the last one since the start.
struct ChangeFigures {
  enum class State : uint8_t { kNone, kBuilding, kCuttingOver, kDone, kFailed };
  State state = State::kNone;
  uint64_t number = 0;  // since the start
  std::string by;       // "apply" or "rollback"
  base::DefinitionId from, to;
  uint32_t begun = 1;      // in so many lives: more than one after a death or a stop
  base::Timestamp began;   // in this life; wall time
  base::Duration took{0};  // until now, or its end
  uint64_t rows_done = 0, rows_total = 0;
  uint64_t bytes = 0;  // of the state that is built
  base::EpochId cut_over;
  bool kept = false;  // what it took away is still kept up
  std::optional<base::Error> error;
  uint64_t done = 0, failed = 0;  // since the start

  // At the pace so far; nothing before the first row, and when it is over.
  std::optional<double> SecondsLeft() const;
};
std::string_view NameOf(ChangeFigures::State state);  // "building" ...

// A JSON object; "null" when there was none.
std::string ChangeJson(const ChangeFigures& change);
void AddChange(const ChangeFigures& change, MetricsText& text);

}  // namespace headrace::watch

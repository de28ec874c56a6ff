#pragma once
// Which of a key's rows a feature is over, as of a time t. Every kind is a function of t and of the
// rows with event times up to it: a late row is in the windows in which it would have been, had it
// come in time.

#include <chrono>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "base/zones/time_zone.h"

namespace headrace::pipeline {

struct Window {
  enum class Kind : uint8_t {
    kSliding,           // (t - length, t], or from the first multiple of `precision` in it
    kLastRows,          // the newest `rows` up to t
    kTumbling,          // the span that t is in, as far as it has come: [start, t]
    kPreviousTumbling,  // the whole span before that one: [start before, start)
    kHopping,           // the last whole one of [end - length, end), where `step` divides end
    kSession,      // the newest rows in (t - length, t] with no gap of more than `step` between
                   // two of them, or between the last one and t
    kLastSession,  // the same, however long ago the last one was
  };

  Window() = default;
  // A span of time is a sliding window.
  template <typename Rep, typename Period>
  Window(std::chrono::duration<Rep, Period> sliding)  // NOLINT(google-explicit-constructor)
      : length(sliding) {}

  Kind kind = Kind::kSliding;
  // Of tumbling windows with whole days: that many days of `zone`.
  base::Duration length{0};
  base::Duration step{0};
  base::Duration ending{0};     // t is this much before the time that was asked for
  base::Duration precision{0};  // of sliding windows; 0: exact
  uint32_t rows = 0;
  const base::TimeZone* zone = nullptr;  // whose midnights begin days; null: UTC
  std::string zone_name;

  bool operator==(const Window&) const = default;
  bool is_session() const { return kind == Kind::kSession || kind == Kind::kLastSession; }
  bool is_time_span() const { return kind != Kind::kLastRows; }
  // Its length in time is the same whenever it is asked for.
  bool has_fixed_length() const { return kind == Kind::kSliding || kind == Kind::kHopping; }
};

// The rows that a window may have, as of a question: those with event times in (after, until].
// Sessions and the last rows are the newest of them.
struct WindowBounds {
  int64_t after;
  int64_t until;
};
WindowBounds BoundsOf(const Window& window, base::Timestamp as_of);

// How far behind as_of the rows of a window may be; of the last rows, how far behind it they end.
base::Duration ReachOf(const Window& window);

// For people and for the state's layout: "1h", "last 50 rows", "previous 1d in Europe/Berlin".
std::string TextOf(const Window& window);

}  // namespace headrace::pipeline

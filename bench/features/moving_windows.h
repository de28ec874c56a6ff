#pragma once
// The oracle: trailing counts and sums as of every event, from a queue of events a card and window,
// in whole cents. Shares nothing with the engine. Events in order of time only.

#include <cstdint>
#include <vector>

#include "card_events.h"

namespace headrace::bench {

class MovingWindows {
 public:
  // Windows begin at multiples of `precision_ms`; 0: exactly.
  MovingWindows(uint64_t cards, std::vector<int64_t> windows_ms, int64_t precision_ms = 0);

  // Per window, what the card's events in (event's time - window, event's time] are, with this one;
  // with a precision, those from its first multiple in there on.
  struct Totals {
    uint64_t events = 0;
    int64_t cents = 0;
  };
  const std::vector<Totals>& Add(const CardEvent& event);

 private:
  struct Card {
    std::vector<CardEvent> events;
    std::vector<size_t> first;  // by window
    std::vector<Totals> totals;
  };
  // Events up to this time are outside of the window.
  int64_t Edge(int64_t begin_ms) const;

  const std::vector<int64_t> windows_ms_;
  const int64_t precision_ms_;
  std::vector<Card> cards_;
};

// One number for all answers, in whatever order they come: the sum over events of a mix of the
// event's time, which no other has, the window's number, and what is in it. Peers compute it, too.
uint64_t AnswerDigest(int64_t at_ms, size_t window, uint64_t events, int64_t cents);

}  // namespace headrace::bench

#include "moving_windows.h"

#include <utility>

namespace headrace::bench {

MovingWindows::MovingWindows(uint64_t cards, std::vector<int64_t> windows_ms, int64_t precision_ms)
    : windows_ms_(std::move(windows_ms)), precision_ms_(precision_ms), cards_(cards) {}

int64_t MovingWindows::Edge(int64_t begin_ms) const {
  if (precision_ms_ == 0) return begin_ms;
  const int64_t pane = begin_ms / precision_ms_ - (begin_ms % precision_ms_ < 0 ? 1 : 0);
  return (pane + 1) * precision_ms_ - 1;
}

const std::vector<MovingWindows::Totals>& MovingWindows::Add(const CardEvent& event) {
  Card& card = cards_[event.card];
  card.first.resize(windows_ms_.size(), 0);
  card.totals.resize(windows_ms_.size());
  card.events.push_back(event);
  for (size_t w = 0; w < windows_ms_.size(); ++w) {
    Totals& totals = card.totals[w];
    ++totals.events;
    totals.cents += event.cents;
    const int64_t edge = Edge(event.at_ms - windows_ms_[w]);
    for (; card.events[card.first[w]].at_ms <= edge; ++card.first[w]) {
      --totals.events;
      totals.cents -= card.events[card.first[w]].cents;
    }
  }
  return card.totals;
}

uint64_t AnswerDigest(int64_t at_ms, size_t window, uint64_t events, int64_t cents) {
  uint64_t mixed = static_cast<uint64_t>(at_ms) * 0x9e3779b97f4a7c15ULL + window;
  for (const uint64_t next : {events, static_cast<uint64_t>(cents)}) {
    mixed = (mixed ^ next) * 0xbf58476d1ce4e5b9ULL;
    mixed ^= mixed >> 29;
  }
  return mixed;
}

}  // namespace headrace::bench

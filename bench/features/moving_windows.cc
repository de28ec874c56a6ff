#include "moving_windows.h"

#include <utility>

namespace headrace::bench {

MovingWindows::MovingWindows(uint64_t cards, std::vector<int64_t> windows_ms)
    : windows_ms_(std::move(windows_ms)), cards_(cards) {}

const std::vector<MovingWindows::Totals>& MovingWindows::Add(const CardEvent& event) {
  Card& card = cards_[event.card];
  card.first.resize(windows_ms_.size(), 0);
  card.totals.resize(windows_ms_.size());
  card.events.push_back(event);
  for (size_t w = 0; w < windows_ms_.size(); ++w) {
    Totals& totals = card.totals[w];
    ++totals.events;
    totals.cents += event.cents;
    for (; card.events[card.first[w]].at_ms <= event.at_ms - windows_ms_[w]; ++card.first[w]) {
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

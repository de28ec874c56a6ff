#pragma once
// Card payments in order of time, no two of one millisecond: keys by a Zipf law, amounts in cents,
// gaps between events uniform around a mean. The same seed gives the same events.

#include <cstdint>
#include <random>
#include <vector>

#include "settings.h"

namespace headrace::bench {

struct CardEvent {
  uint64_t card;
  int64_t at_ms;
  int64_t cents;
};

struct CardEventSettings {
  uint64_t seed = 1;
  uint64_t cards = 100'000;
  double skew = 1.1;
  int64_t mean_gap_us = 60'480;  // 10 M events in 7 days; more than 1,000
  double late_share = 0;         // of events, anywhere in the last `late_by_ms`
  int64_t late_by_ms = 3'600'000;
  // What a program was told.
  static CardEventSettings Of(const Settings& settings);
};

class CardEvents {
 public:
  explicit CardEvents(const CardEventSettings& settings);
  CardEvent Next();

 private:
  uint64_t Card();

  const CardEventSettings settings_;
  std::mt19937_64 random_;
  int64_t at_us_ = 1'750'032'000'000'000;
  // Walker's alias method: a card, or the one that stands in for it.
  std::vector<float> own_;
  std::vector<uint32_t> other_;
};

}  // namespace headrace::bench

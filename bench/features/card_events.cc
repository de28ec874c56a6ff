#include "card_events.h"

#include <cmath>

namespace headrace::bench {

CardEventSettings CardEventSettings::Of(const Settings& settings) {
  return {.seed = settings.Count("seed", 1),
          .cards = settings.Count("cards", 100'000),
          .skew = settings.Number("skew", 1.1),
          .mean_gap_us = static_cast<int64_t>(settings.Count("gap-us", 60'480)),
          .late_share = settings.Number("late", 0)};
}

CardEvents::CardEvents(const CardEventSettings& settings)
    : settings_(settings),
      random_(settings.seed),
      own_(settings.cards, 1.0F),
      other_(settings.cards, 0) {
  std::vector<double> weights(settings.cards);
  double total = 0;
  for (uint64_t i = 0; i < settings.cards; ++i)
    total += weights[i] = std::pow(static_cast<double>(i + 1), -settings.skew);
  std::vector<uint32_t> poor;
  std::vector<uint32_t> rich;
  for (uint64_t i = 0; i < settings.cards; ++i) {
    weights[i] *= static_cast<double>(settings.cards) / total;
    (weights[i] < 1 ? poor : rich).push_back(static_cast<uint32_t>(i));
  }
  while (!poor.empty() && !rich.empty()) {
    const uint32_t from = poor.back();
    const uint32_t to = rich.back();
    poor.pop_back();
    own_[from] = static_cast<float>(weights[from]);
    other_[from] = to;
    weights[to] -= 1 - weights[from];
    if (weights[to] >= 1) continue;
    rich.pop_back();
    poor.push_back(to);
  }
}

uint64_t CardEvents::Card() {
  const uint64_t bits = random_();
  const uint64_t card = (bits >> 32) * settings_.cards >> 32;
  const float share = static_cast<float>(bits & 0xffffff) * 0x1p-24F;
  return share < own_[card] ? card : other_[card];
}

CardEvent CardEvents::Next() {
  // At least a millisecond, so that no two events are of one time.
  at_us_ += 1000 + static_cast<int64_t>(random_() %
                                        static_cast<uint64_t>(2 * settings_.mean_gap_us - 1999));
  CardEvent event{.card = Card(), .at_ms = at_us_ / 1000, .cents = 0};
  const uint64_t bits = random_();
  event.cents = static_cast<int64_t>(bits % 10'000);
  if (settings_.late_share > 0 && static_cast<double>(bits >> 11) * 0x1p-53 < settings_.late_share)
    event.at_ms -= static_cast<int64_t>(random_() % static_cast<uint64_t>(settings_.late_by_ms));
  return event;
}

}  // namespace headrace::bench

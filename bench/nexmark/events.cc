#include "events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

namespace headrace::bench {
namespace {

constexpr int64_t kBeginMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
constexpr uint64_t kPersons = 1, kAuctions = 3, kRound = 50;
constexpr uint64_t kFirstId = 1000;
constexpr uint64_t kFirstCategory = 10, kCategories = 5;
constexpr uint64_t kHotEvery = 100;  // one id in so many is hot
constexpr uint64_t kActivePeople = 1000, kInFlightAuctions = 100, kUnborn = 10;
constexpr uint64_t kChannels = 10'000;
constexpr uint64_t kPersonBytes = 200, kAuctionBytes = 500, kBidBytes = 100;

constexpr std::array<std::string_view, 11> kFirstNames = {
    "peter", "paul", "luke", "john", "saul", "vicky", "kate", "julie", "sarah", "deiter", "walter"};
constexpr std::array<std::string_view, 9> kLastNames = {
    "shultz", "abrams", "spencer", "white", "bartels", "walton", "smith", "jones", "noris"};
constexpr std::array<std::string_view, 10> kCities = {
    "phoenix", "palo alto", "los angeles", "boise", "portland",
    "bend",    "redmond",   "seattle",     "kent",  "cheyenne"};
constexpr std::array<std::string_view, 6> kStates = {"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array<std::string_view, 4> kHotChannels = {"Google", "Facebook", "Baidu", "Apple"};

uint64_t Mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Counted from 0: of the newest person, and of the newest auction, up to event `number`.
uint64_t LastPerson(uint64_t number) { return number / kRound; }
uint64_t LastAuction(uint64_t number) {
  const uint64_t round = number / kRound;
  const uint64_t in_round = number % kRound;
  if (in_round < kPersons) return round == 0 ? 0 : round * kAuctions - 1;
  return round * kAuctions + std::min(in_round - kPersons, kAuctions - 1);
}

}  // namespace

// The random numbers of one event, or of whatever else has a number.
class NexmarkEvents::Draw {
 public:
  Draw(uint64_t seed, uint64_t number) : state_(Mixed(seed) ^ Mixed(number)) {}
  uint64_t Bits() { return Mixed(state_++); }
  uint64_t Below(uint64_t end) { return Bits() % end; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename List>
  std::string_view Of(const List& list) {
    return list[Below(list.size())];
  }
  // Log-uniform, 100 to 100,000,000.
  uint64_t Price() {
    const double share = static_cast<double>(Bits() >> 11) * 0x1p-53;
    return static_cast<uint64_t>(std::llround(std::pow(10.0, share * 6) * 100));
  }
  void AppendLetters(uint64_t length, std::string& out) {
    for (; length > 0; --length) out += static_cast<char>('a' + Below(26));
  }
  // Words of 3 characters at least, `most` at most; the gap is a blank, in a URL `_`.
  void AppendWords(uint64_t most, char gap, std::string& out) {
    const uint64_t length = 3 + Below(most - 3);
    for (uint64_t i = 0; i < length; ++i) {
      const bool inside = i > 0 && i + 1 < length;
      out += inside && OneIn(13) ? gap : static_cast<char>('a' + Below(26));
    }
  }
  // The event is to have about `wanted` bytes, within a fifth.
  void AppendExtra(uint64_t bytes, uint64_t wanted, std::string& out) {
    if (bytes >= wanted) return;
    const uint64_t missing = wanted - bytes;
    const uint64_t spread = std::max<uint64_t>(1, missing / 5);
    AppendLetters(missing - spread + Below(2 * spread), out);
  }
  // A person by their number, mostly one of those that are there.
  uint64_t Person(uint64_t last) {
    const uint64_t active = std::min(last + 1, kActivePeople);
    return last + 1 - active + Below(active + kUnborn);
  }

 private:
  uint64_t state_;
};

NexmarkKind NexmarkEvents::KindOf(uint64_t number) {
  const uint64_t in_round = number % kRound;
  if (in_round < kPersons) return NexmarkKind::kPerson;
  return in_round < kPersons + kAuctions ? NexmarkKind::kAuction : NexmarkKind::kBid;
}

int64_t NexmarkEvents::TimeMs(uint64_t number) const {
  return kBeginMs + static_cast<int64_t>(number * 1000 / settings_.events_per_s);
}

void NexmarkEvents::Append(uint64_t number, std::string& out) const {
  Draw draw(settings_.seed, number);
  switch (KindOf(number)) {
    case NexmarkKind::kPerson: return AppendPerson(number, draw, out);
    case NexmarkKind::kAuction: return AppendAuction(number, draw, out);
    case NexmarkKind::kBid: return AppendBid(number, draw, out);
  }
}

namespace {

void AppendTime(int64_t ms, std::string& out) {
  const auto day = static_cast<int>((ms - kBeginMs) / 86'400'000);
  const int64_t of_day = (ms - kBeginMs) % 86'400'000;
  // January has 31 days: the stream is not longer.
  fmt::format_to(std::back_inserter(out), "\"2026-01-{:02}T{:02}:{:02}:{:02}.{:03}Z\"", 1 + day,
                 of_day / 3'600'000, of_day / 60'000 % 60, of_day / 1000 % 60, of_day % 1000);
}

}  // namespace

void NexmarkEvents::AppendPerson(uint64_t number, Draw& draw, std::string& out) const {
  const size_t begin = out.size();
  const auto add = std::back_inserter(out);
  fmt::format_to(add, R"({{"id":{},"name":"{} {}","email":")", kFirstId + LastPerson(number),
                 draw.Of(kFirstNames), draw.Of(kLastNames));
  draw.AppendLetters(7, out);
  out += '@';
  draw.AppendLetters(5, out);
  fmt::format_to(add, R"(.com","credit_card":"{:04} {:04} {:04} {:04}","city":"{}","state":"{}")",
                 draw.Below(10'000), draw.Below(10'000), draw.Below(10'000), draw.Below(10'000),
                 draw.Of(kCities), draw.Of(kStates));
  out += R"(,"at":)";
  AppendTime(TimeMs(number), out);
  out += R"(,"extra":")";
  draw.AppendExtra(out.size() - begin, kPersonBytes, out);
  out += "\"}\n";
}

void NexmarkEvents::AppendAuction(uint64_t number, Draw& draw, std::string& out) const {
  const size_t begin = out.size();
  const auto add = std::back_inserter(out);
  const uint64_t last_person = LastPerson(number);
  const uint64_t seller =
      draw.OneIn(4) ? draw.Person(last_person) : last_person / kHotEvery * kHotEvery;
  const uint64_t first_bid = draw.Price();
  // As long as the auctions that are open together: 100, and the events around them.
  const uint64_t horizon_ms =
      kInFlightAuctions * kRound / kAuctions * 1000 / settings_.events_per_s;
  const auto length_ms =
      static_cast<int64_t>(1 + draw.Below(std::max<uint64_t>(2 * horizon_ms, 1)));
  fmt::format_to(add, R"({{"id":{},"item_name":")", kFirstId + LastAuction(number));
  draw.AppendWords(20, ' ', out);
  out += R"(","description":")";
  draw.AppendWords(100, ' ', out);
  fmt::format_to(add, R"(","initial_bid":{},"reserve":{},"at":)", first_bid,
                 first_bid + draw.Price());
  AppendTime(TimeMs(number), out);
  out += R"(,"expires":)";
  AppendTime(TimeMs(number) + length_ms, out);
  fmt::format_to(add, R"(,"seller":{},"category":{},"extra":")", kFirstId + seller,
                 kFirstCategory + draw.Below(kCategories));
  draw.AppendExtra(out.size() - begin, kAuctionBytes, out);
  out += "\"}\n";
}

void NexmarkEvents::AppendBid(uint64_t number, Draw& draw, std::string& out) const {
  const auto add = std::back_inserter(out);
  const uint64_t last_auction = LastAuction(number);
  const uint64_t oldest = last_auction < kInFlightAuctions ? 0 : last_auction - kInFlightAuctions;
  const uint64_t auction = draw.OneIn(2) ? last_auction / kHotEvery * kHotEvery
                                         : oldest + draw.Below(last_auction - oldest + 1 + kUnborn);
  const uint64_t last_person = LastPerson(number);
  const uint64_t bidder =
      draw.OneIn(4) ? draw.Person(last_person) : last_person / kHotEvery * kHotEvery + 1;
  fmt::format_to(add, R"({{"auction":{},"bidder":{},"price":{},"channel":")", kFirstId + auction,
                 kFirstId + bidder, draw.Price());
  // A channel has one URL for ever: drawn by the channel's number.
  const bool hot = draw.OneIn(2);
  const uint64_t channel = hot ? draw.Below(kHotChannels.size()) : draw.Below(kChannels);
  if (hot) {
    out += kHotChannels[channel];
  } else {
    fmt::format_to(add, "channel-{}", channel);
  }
  out += R"(","url":"https://www.nexmark.com/)";
  Draw of_channel(~settings_.seed, hot ? kChannels + channel : channel);
  for (int part = 0; part < 3; ++part) {
    of_channel.AppendWords(5, '_', out);
    out += '/';
  }
  out += "item.htm?query=1";
  if (!hot && !of_channel.OneIn(10))
    fmt::format_to(add, "&channel_id={}", of_channel.Below(1ULL << 31));
  out += R"(","at":)";
  AppendTime(TimeMs(number), out);
  out += R"(,"extra":")";
  draw.AppendExtra(32, kBidBytes, out);  // the rules count four numbers
  out += "\"}\n";
}

}  // namespace headrace::bench

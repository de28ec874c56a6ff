#pragma once
// Nexmark's persons, auctions and bids as JSON lines, after the rules of its generator: of 50
// events one is a person, three are auctions, the rest bids. Each event is a function of the seed
// and its number, so that any part of the stream can be made again.

#include <cstdint>
#include <string>

namespace headrace::bench {

struct NexmarkSettings {
  uint64_t seed = 1;
  uint64_t events_per_s = 10'000;  // of event time
};

enum class NexmarkKind : uint8_t { kPerson, kAuction, kBid };

class NexmarkEvents {
 public:
  explicit NexmarkEvents(const NexmarkSettings& settings) : settings_(settings) {}

  static NexmarkKind KindOf(uint64_t number);
  // Appends event `number` as one line.
  void Append(uint64_t number, std::string& out) const;

 private:
  class Draw;
  int64_t TimeMs(uint64_t number) const;
  void AppendPerson(uint64_t number, Draw& draw, std::string& out) const;
  void AppendAuction(uint64_t number, Draw& draw, std::string& out) const;
  void AppendBid(uint64_t number, Draw& draw, std::string& out) const;

  const NexmarkSettings settings_;
};

}  // namespace headrace::bench

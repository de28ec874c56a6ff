#include "event.h"

#include <array>
#include <chrono>
#include <ctime>
#include <random>

namespace headrace::bench {

size_t ColumnTextBytes(size_t event_bytes) {
  constexpr size_t kNumberAndTime = 16;
  return event_bytes - kNumberAndTime;
}

std::string EventText(size_t bytes, uint64_t seed) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz012345";
  std::mt19937_64 dice(seed);
  std::string text(bytes, ' ');
  for (char& letter : text) letter = kLetters[dice() % 32];
  return text;
}

int64_t EventTimeUs() {
  static const int64_t kNow = std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
  return kNow;
}

std::string JsonEvent(size_t event_bytes, uint64_t number) {
  constexpr uint64_t kTenDigits = 1'000'000'000;
  const std::time_t seconds = EventTimeUs() / 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::string event = R"({"id":)" + std::to_string(kTenDigits + number % kTenDigits) +
                      R"(,"at":")" + time.data() + R"(","body":")";
  event += EventText(event_bytes - event.size() - 2, number);
  return event + "\"}";
}

}  // namespace headrace::bench

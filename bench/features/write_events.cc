// headrace_write_card_events FILE [--name value]...
// The events of headrace_window_rate as a file that every engine of the bench reads: 24 bytes each,
// little-endian: card (int64), milliseconds (int64), amount (float64). In order of time, no two of
// one millisecond.
//   --events 10000000 --cards 100000 --skew 1.1 --gap-us 60480 --seed 1

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/core.h>

#include "card_events.h"
#include "settings.h"

namespace headrace::bench {
namespace {

constexpr size_t kEventBytes = 24;

int Write(const char* path, const Settings& settings) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "wb"), &std::fclose);
  if (file == nullptr) {
    fmt::print(stderr, "can't write {}\n", path);
    return 1;
  }
  CardEvents events(CardEventSettings::Of(settings));
  for (uint64_t left = settings.Count("events", 10'000'000); left > 0; --left) {
    const CardEvent event = events.Next();
    const double amount = static_cast<double>(event.cents) / 100;
    char bytes[kEventBytes];
    std::memcpy(bytes, &event.card, 8);
    std::memcpy(bytes + 8, &event.at_ms, 8);
    std::memcpy(bytes + 16, &amount, 8);
    if (std::fwrite(bytes, kEventBytes, 1, file.get()) != 1) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count < 2) return 2;
  return headrace::bench::Write(arguments[1], headrace::bench::Settings(count - 1, arguments + 1));
}

// headrace_write_nexmark FOLDER [--events 10000000] [--seed 1] [--rate 10000]
// Writes persons.ndjson, auctions.ndjson and bids.ndjson, each in order of time.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "events.h"
#include "features/settings.h"

namespace headrace::bench {
namespace {

constexpr size_t kBufferBytes = 1U << 20;

class LinesFile {
 public:
  explicit LinesFile(const std::string& path)
      : file_(std::fopen(path.c_str(), "wb"), &std::fclose) {
    if (file_ != nullptr) return;
    fmt::print(stderr, "can't write {}\n", path);
    std::exit(1);
  }
  ~LinesFile() { Flush(); }
  std::string& text() {
    if (text_.size() >= kBufferBytes) Flush();
    return text_;
  }

 private:
  void Flush() {
    std::fwrite(text_.data(), 1, text_.size(), file_.get());
    text_.clear();
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::string text_;
};

void Write(const std::string& folder, const Settings& settings) {
  const NexmarkEvents events(
      {.seed = settings.Count("seed", 1), .events_per_s = settings.Count("rate", 10'000)});
  std::array<LinesFile, 3> files = {LinesFile(folder + "/persons.ndjson"),
                                    LinesFile(folder + "/auctions.ndjson"),
                                    LinesFile(folder + "/bids.ndjson")};
  const uint64_t count = settings.Count("events", 10'000'000);
  for (uint64_t number = 0; number < count; ++number)
    events.Append(number, files[static_cast<size_t>(NexmarkEvents::KindOf(number))].text());
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) {
  if (count < 2) return 2;
  headrace::bench::Write(arguments[1], headrace::bench::Settings(count - 1, arguments + 1));
  return 0;
}

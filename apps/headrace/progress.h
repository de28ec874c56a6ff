#pragma once
// How far long work is: one line that rewrites itself on a terminal, a plain line now and then
// otherwise.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::app {

// One thread. Cheap to call for every batch.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // `total` are expected, when that is known; `one` of them is a "row".
  Progress(std::FILE* out, std::string name, std::optional<uint64_t> total,
           std::string one = "row");
  // Erases the line that rewrites itself.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(uint64_t done);
  // A line of its own: "connection lost, trying again".
  void Say(std::string_view text);

 private:
  std::string Line(uint64_t done, double seconds) const;

  std::FILE* out_;
  const std::string name_;
  const std::optional<uint64_t> total_;
  const std::string one_;
  const bool terminal_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
  bool line_shown_ = false;
};

}  // namespace headrace::app

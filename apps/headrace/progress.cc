#include "progress.h"
#include "base/counts.h"

#include <fmt/core.h>
#include <unistd.h>

namespace headrace::app {
namespace {

constexpr std::chrono::milliseconds kTerminalEvery{200};
constexpr std::chrono::seconds kPlainEvery{5};
constexpr std::string_view kEraseLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::FILE* out, std::string name, std::optional<uint64_t> total, std::string one)
    : out_(out),
      name_(std::move(name)),
      total_(total),
      one_(std::move(one)),
      terminal_(isatty(fileno(out)) == 1) {
  next_ = start_ + (terminal_ ? Clock::duration(kTerminalEvery) : Clock::duration(kPlainEvery));
}

Progress::~Progress() {
  if (line_shown_) fmt::print(out_, "{}", kEraseLine);
  std::fflush(out_);
}

std::string Progress::Line(uint64_t done, double seconds) const {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = fmt::format("{}: {}, {}/s", name_, base::Counted(done, one_),
                                 base::WithCommas(static_cast<uint64_t>(rate)));
  if (total_ && *total_ > 0 && rate > 0) {
    const double left = static_cast<double>(*total_ - std::min(*total_, done)) / rate;
    line += fmt::format(", {:.0f} %, {:.0f} s left",
                        100.0 * static_cast<double>(done) / static_cast<double>(*total_), left);
  }
  return line;
}

void Progress::Update(uint64_t done) {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  const std::string line = Line(done, std::chrono::duration<double>(now - start_).count());
  if (terminal_) {
    fmt::print(out_, "{}{}", kEraseLine, line);
    line_shown_ = true;
    next_ = now + kTerminalEvery;
  } else {
    fmt::print(out_, "{}\n", line);
    next_ = now + kPlainEvery;
  }
  std::fflush(out_);
}

void Progress::Say(std::string_view text) {
  fmt::print(out_, "{}{}: {}\n", line_shown_ ? kEraseLine : "", name_, text);
  line_shown_ = false;
  std::fflush(out_);
}

}  // namespace headrace::app

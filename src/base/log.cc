#include "base/log.h"

#include <cstdio>
#include <ctime>
#include <mutex>

#include <fmt/core.h>

namespace headrace::base {
namespace {

std::mutex sink_mutex;
std::function<void(const LogLine&)> sink_function;

constexpr std::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

// The stamp of an operational line is the one place outside `env` that reads the wall clock:
// nothing is derived from it.
std::string Stamp() {
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", std::string_view(text, size), now.tv_nsec / 1'000'000);
}

}  // namespace

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogLine line{level, std::string(event), {}};
  for (const auto& [key, value] : fields) {
    if (!line.fields.empty()) line.fields += ' ';
    const bool quoted = value.empty() || value.find_first_of(" \"\n") != std::string::npos;
    line.fields += quoted ? fmt::format("{}=\"{}\"", key, value) : fmt::format("{}={}", key, value);
  }
  const std::lock_guard lock(sink_mutex);
  if (sink_function) {
    sink_function(line);
  } else if (level >= LogLevel::kInfo) {
    std::fprintf(stderr, "%s %s %s %s\n", Stamp().c_str(), std::string(NameOf(level)).c_str(),
                 line.event.c_str(), line.fields.c_str());
  }
}

void SetLogSink(std::function<void(const LogLine&)> sink) {
  const std::lock_guard lock(sink_mutex);
  sink_function = std::move(sink);
}

}  // namespace headrace::base

#include "base/log.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>
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

bool NeedsQuotes(std::string_view value) {
  return value.empty() || std::ranges::any_of(value, [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\x7f';
         });
}

// So that a value ends neither its quotes nor its line.
void AppendQuoted(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogLine line{level, std::string(event), {}};
  for (const auto& [key, value] : fields) {
    if (!line.fields.empty()) line.fields += ' ';
    line.fields += key;
    line.fields += '=';
    if (NeedsQuotes(value)) {
      AppendQuoted(line.fields, value);
    } else {
      line.fields += value;
    }
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

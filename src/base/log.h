#pragma once
// Operational log: one line is time, level, `room.event`, then key=value with units. Thread-safe.

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace headrace::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogLine {
  LogLevel level;
  std::string event;   // "log.recovered"
  std::string fields;  // "epochs=12 took_ms=3"
};

using LogField = std::pair<std::string_view, std::string>;

// Writes a line. Values with blanks, quotes or control characters are quoted, with \" \\ \n \r \t
// \xNN in them.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
inline void LogInfo(std::string_view event, std::initializer_list<LogField> fields) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarning(std::string_view event, std::initializer_list<LogField> fields) {
  Log(LogLevel::kWarning, event, fields);
}
inline void LogError(std::string_view event, std::initializer_list<LogField> fields) {
  Log(LogLevel::kError, event, fields);
}

// Replaces where lines go (default: standard error, from kInfo up); an empty sink restores the
// default. The simulation installs one that fails the run at an unexpected error line.
void SetLogSink(std::function<void(const LogLine&)> sink);

}  // namespace headrace::base

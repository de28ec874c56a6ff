#pragma once
// Reads epochs of a log folder without owning it: the publisher, training and verification, beside
// a running engine.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "log/epoch.h"

namespace headrace::log {

// Thread-safe. Sees what was durable when it looked; a record still being written ends the range,
// it is no error. After a power cut the last epoch may be seen only once an engine has recovered
// the log (durable_mark.h). Damage is kCorruption with file and offset.
class LogReader {
 public:
  static base::Result<std::unique_ptr<LogReader>> Open(env::Environment& environment,
                                                       const std::string& folder);
  virtual ~LogReader() = default;
  virtual base::LogId log() const = 0;
  // Calls `visit` for each epoch of [first, last] in order (last may lie ahead: stops at the end).
  // An error of `visit` ends it.
  virtual base::Result<void> Scan(
      base::EpochId first, base::EpochId last,
      const std::function<base::Result<void>(const EpochRef&)>& visit) = 0;
  // The newest durable epoch it can see; refreshed at each call.
  virtual base::Result<base::EpochId> Newest() = 0;
};

}  // namespace headrace::log

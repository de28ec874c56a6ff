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
// the log (durable_mark.h). Damage is kCorruption with file and offset. The engine lets segments go
// meanwhile: epochs that went while they were being read are kUnavailable.
class LogReader {
 public:
  static base::Result<std::unique_ptr<LogReader>> Open(env::Environment& environment,
                                                       const std::string& folder);
  virtual ~LogReader() = default;
  virtual base::LogId log() const = 0;
  // The first epoch whose rows are held; 1 for an empty log.
  virtual base::Result<base::EpochId> First() = 0;
  // Calls `visit` for each epoch of [first, last] in order (last may lie ahead: stops at the end).
  // An error of `visit` ends it. kFailedPrecondition, with the first epoch held, when the rows of
  // `first` were let go.
  virtual base::Result<void> Scan(
      base::EpochId first, base::EpochId last,
      const std::function<base::Result<void>(const EpochRef&)>& visit) = 0;
  // The same for the epochs with refused rows or control entries, those of segments that were let
  // go too (but for what was forgotten by its limits): without rows and outcomes.
  virtual base::Result<void> ScanRefused(
      base::EpochId first, base::EpochId last,
      const std::function<base::Result<void>(const EpochRef&)>& visit) = 0;
  // The newest durable epoch it can see; refreshed at each call.
  virtual base::Result<base::EpochId> Newest() = 0;
  // The whole record behind Newest(), without rows and outcomes; null when there is none. A start
  // keeps it. While an engine has the log it may still fail to be synced.
  virtual base::Result<EpochRef> Unproven() = 0;
};

}  // namespace headrace::log

#pragma once
// The names in a log's folder, and the file `LOG` that gives the log its id.
//
//   LOG                              text: format version, log id, checksum; written once,
//   put-if-absent DURABLE                          the newest durable epoch, for readers in other
//   processes (durable_mark.h) LOCK                             held by the process that writes
//   epoch-<20 digits first>.log      segments
//   next.segment                     the segment being prepared; worthless after a restart

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/environment.h"

namespace headrace::log {

inline constexpr std::string_view kNextSegmentName = "next.segment";
inline constexpr std::string_view kLockName = "LOCK";

struct SegmentName {
  base::EpochId first;
  std::string path;
};

std::string SegmentPath(const std::string& folder, base::EpochId first);
// Nothing for a name that is no segment's.
std::optional<base::EpochId> ParseSegmentName(std::string_view name);
// Segments in ascending order of first epoch.
base::Result<std::vector<SegmentName>> ListSegments(env::Files& files, const std::string& folder);

// Reads the id. Errors: kNotFound (no log here), kCorruption, kUnsupported (a newer format).
base::Result<base::LogId> ReadLogId(env::Files& files, const std::string& folder);
// Reads the id, or gives the folder a new random one. Errors: kCorruption when there are segments
// but no LOG.
base::Result<base::LogId> ReadOrCreateLogId(env::Environment& environment,
                                            const std::string& folder);

}  // namespace headrace::log

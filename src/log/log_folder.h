#pragma once
// The names in a log's folder, and the file `LOG` that gives the log its id.
//
//   LOG                              text: format version, log id, checksum; written once,
//   put-if-absent DURABLE                          the newest durable epoch, for readers in other
//   processes (durable_mark.h) LOCK                             held by the process that writes
//   epoch-<20 digits first>.log      segments
//   residue-<first>-<last>.log       what stays of segments that were let go (residue.h)
//   retention.reserve                space for a residue, or for a start, when the disk is full
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
inline constexpr std::string_view kReserveName = "retention.reserve";
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

struct ResidueName {
  base::EpochId first;
  base::EpochId last;
  std::string path;
};

std::string ResiduePath(const std::string& folder, base::EpochId first, base::EpochId last);
std::optional<ResidueName> ParseResidueName(const std::string& folder, std::string_view name);

// Segments and residues of one look at the folder, each in ascending order of first epoch, then of
// last.
struct LogFiles {
  std::vector<SegmentName> segments;
  std::vector<ResidueName> residues;
};
base::Result<LogFiles> ListLog(env::Files& files, const std::string& folder);

// Reads the id. Errors: kNotFound (no log here), kCorruption, kUnsupported (a newer format).
base::Result<base::LogId> ReadLogId(env::Files& files, const std::string& folder);
// Gives a folder that has none this id. Errors: kAlreadyExists.
base::Result<void> WriteLogId(env::Files& files, const std::string& folder, base::LogId id);
// Reads the id, or gives the folder a new random one. Errors: kCorruption when there are segments
// but no LOG.
base::Result<base::LogId> ReadOrCreateLogId(env::Environment& environment,
                                            const std::string& folder);

}  // namespace headrace::log

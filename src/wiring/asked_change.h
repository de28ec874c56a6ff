#pragma once
// The change of definition that was asked for, in a file beside the log: from before it begins
// until it is over. What a death, or a stop, interrupts begins again with the next start.
//
// It is a wish and no fact: nothing is derived from it, so the log does not have it. One that was
// logged already is over, whatever this file says.

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "env/files.h"
#include "wiring/change_plan.h"

namespace headrace::wiring {

struct AskedChange {
  ChangeRequest request;
  std::string by;           // "apply" or "rollback"
  base::DefinitionId from;  // in force when it was asked for
  uint32_t begun = 0;       // in so many lives
};

// {"by", "from", "begun", "since": {view: epoch}, "request": ChangeRequestJson}. Not thread-safe.
class AskedChangeFile {
 public:
  // `files` outlives it.
  AskedChangeFile(env::Files& files, const std::string& data_folder)
      : files_(files), path_(data_folder + "/change.json") {}

  // Replaces what is there, durably. Errors: those of the disk.
  base::Result<void> Put(const AskedChange& asked) const;
  // Nothing when there is none. Errors: those of the disk; kCorruption.
  base::Result<std::optional<AskedChange>> Read() const;
  // One that is not there is no error.
  base::Result<void> Remove() const;
  const std::string& path() const { return path_; }

 private:
  env::Files& files_;
  const std::string path_;
};

}  // namespace headrace::wiring

#pragma once
// Which version a table had at a time, or when it held the log up to an epoch.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "env/files.h"
#include "tables/delta/log_state.h"

namespace headrace::tables::delta {

// At most one of them; none: the newest version.
struct ReadAt {
  std::optional<int64_t> version = {};
  std::optional<base::Timestamp> time = {};
  // Of a table that Headrace publishes: the newest version that has no row of a later epoch.
  std::optional<uint64_t> epoch = {};
  std::string application = {};  // whose marker tells; empty: the only one there is
};

// `newest` is the table's newest state. By time: the newest commit that is not later. A time from
// when in-commit timestamps were enabled on is looked for among the commits that have them, an
// earlier one among those before, by their files' own times (PROTOCOL, "In-Commit Timestamps").
// Errors: kNotFound when the table was not there yet, or what tells has been cleaned
// away; kInvalidInput when an epoch is asked for and no marker, or more than one, can tell.
base::Result<int64_t> FindVersion(env::Files& files, const std::string& folder,
                                  const LogState& newest, const ReadAt& at);

}  // namespace headrace::tables::delta

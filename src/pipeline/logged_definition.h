#pragma once
// A definition as the log names it: what was written, and how it came into force. The log's
// definition entries are the only record of which definition held when.

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "log/epoch.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// Views that do not begin with the log: rows of epochs up to that one are no rows of theirs. A view
// that is not named begins with the log.
using ViewsSince = std::map<std::string, base::EpochId>;
// In an entry that is not logged yet: the epoch that will hold it.
inline constexpr base::EpochId kSinceThisEntry{~uint64_t{0}};

base::EpochId SinceOf(const ViewsSince& since, const std::string& view);

struct LoggedDefinition {
  PipelineRef definition;
  ViewsSince since;
  // What brought it: a start, or `apply` and `rollback` on a running engine.
  enum class Origin : uint8_t { kStart, kApplied } origin = Origin::kStart;
  base::DefinitionId started;  // what the last start brought: a start with that file again does not
                               // undo what was applied since
  base::DefinitionId before;   // what it took the place of; 0: nothing
};

// An entry of the log: name: the definition's id; payload: EncodeDefinition's bytes when a start
// brought a definition whose views all begin with the log (as the first version wrote it), else u32
// 2, u8 origin, u64 started, u64 before, u32 views, each {text, u64 since}, u32 size and those
// bytes.
log::ControlEntry EncodeEntry(const LoggedDefinition& logged);
// `at`: the epoch that holds it. Errors: as DecodeDefinition.
base::Result<LoggedDefinition> DecodeEntry(const log::ControlEntry& entry, base::EpochId at);

}  // namespace headrace::pipeline

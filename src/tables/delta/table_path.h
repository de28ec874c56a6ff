#pragma once
// Where the files of a table may lie: in its folder, with links followed.

#include <string>
#include <string_view>

#include "base/result.h"
#include "env/files.h"

namespace headrace::tables::delta {

// `relative`, decoded, under the folder. Errors: kUnsupported when a link leads out of the folder;
// kCorruption when it climbs out; kNotFound when it is not there.
base::Result<std::string> PathInTable(env::Files& files, const std::string& folder,
                                      const std::string& relative);

// A file of the table's log, by its folder, `_delta_log`. Errors: as above.
base::Result<std::string> PathInLog(env::Files& files, const std::string& log_folder,
                                    const std::string& name);

// A whole path or file: URI, as a log may have it: only if it leads into the folder after all.
base::Result<std::string> WholePathInTable(env::Files& files, const std::string& folder,
                                           std::string_view whole);

}  // namespace headrace::tables::delta

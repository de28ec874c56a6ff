#pragma once
// Small files that a person named on the command line.

#include <string>

#include "base/result.h"

namespace headrace::app {

// The whole file. Errors: kNotFound, kIoError, with what the system said.
base::Result<std::string> ReadTextFile(const std::string& path);

// `name` as written inside `file`: relative to its folder, unless it is absolute.
std::string BesideFile(const std::string& file, const std::string& name);

// Replaces the file in one step: whoever waits for it sees all of it or nothing. Errors: kIoError.
base::Result<void> WriteTextFile(const std::string& path, const std::string& text);

}  // namespace headrace::app

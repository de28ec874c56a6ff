#pragma once
// Reads a pipeline file and the files it names from disk, and checks them.

#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "pipeline/definition.h"

namespace headrace::wiring {

// Errors: kNotFound (no such file); kInvalidInput whose message is every diagnostic as `headrace
// check` prints it. Warnings are logged.
base::Result<pipeline::PipelineRef> ReadPipeline(env::Files& files, const std::string& path);

// Of a file; "." when its path names none.
std::string FolderOf(const std::string& path);

}  // namespace headrace::wiring

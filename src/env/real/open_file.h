#pragma once
// Files open for writing and for reading, on a descriptor.

#include <memory>
#include <string>

#include "env/files.h"
#include "env/real/file_descriptor.h"

namespace headrace::env::real {

std::unique_ptr<WritableFile> MakeWritableFile(std::string path, FileDescriptor fd);
// Errors: kIoError when it is no plain file.
base::Result<std::unique_ptr<ReadableFile>> MakeReadableFile(std::string path, FileDescriptor fd);

}  // namespace headrace::env::real

#pragma once
// Who may read a file, where the file system keeps that.

#include <string>

#include "base/result.h"

namespace headrace::env {

// Whether anybody on this machine may, beside a file's owner and group. Errors: as of Files::Facts.
base::Result<bool> OthersMayRead(const std::string& path);

}  // namespace headrace::env

#pragma once
// The local file system of a Linux machine.

#include <memory>

#include "env/files.h"

namespace headrace::env::real {

std::unique_ptr<Files> MakeLocalFiles();

}  // namespace headrace::env::real

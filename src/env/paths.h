#pragma once
// Paths as texts.

#include <string>

namespace headrace::env {

// Of a file: "." when its path names none, "/" below the root.
std::string FolderOf(const std::string& path);

}  // namespace headrace::env

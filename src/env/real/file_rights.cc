#include "env/file_rights.h"

#include <sys/stat.h>

#include <cerrno>

#include "env/real/file_descriptor.h"

namespace headrace::env {

base::Result<bool> OthersMayRead(const std::string& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return base::Fail(real::SystemError("stat", path, errno));
  return (found.st_mode & S_IROTH) != 0;
}

}  // namespace headrace::env

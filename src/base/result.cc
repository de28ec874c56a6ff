#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace headrace::base {

void CheckFailed(std::string_view what, std::source_location where) {
  std::fprintf(stderr, "headrace: invariant broken at %s:%u: %.*s\n", where.file_name(),
               where.line(), static_cast<int>(what.size()), what.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace headrace::base

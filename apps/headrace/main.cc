// The one binary: the command line in, the exit code out.

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>

#include <fmt/core.h>

#include "arguments.h"
#include "commands.h"

namespace {

// What was printed and did not get where it was meant to go is no success.
int EndOutput(const headrace::app::CommandContext& context) {
  const bool lost_before = std::ferror(context.out) != 0;
  if (std::fflush(context.out) == 0 && !lost_before) return 0;
  const std::string why = lost_before ? "" : std::string(": ") + std::strerror(errno);
  return headrace::app::ReportError(
      context,
      headrace::base::Error(headrace::base::ErrorCode::kIoError, "can't write the output" + why));
}

}  // namespace

int main(int argc, char** argv) {
  headrace::app::CommandContext context;
  try {
    headrace::app::Arguments arguments;
    const int code = arguments.Run(argc, argv, context);
    return code == 0 ? EndOutput(context) : code;
  } catch (const std::exception& exception) {
    // Every room returns its errors; what arrives here is a bug or an exhausted machine.
    return headrace::app::ReportError(
        context, headrace::base::Error(headrace::base::ErrorCode::kInternal, exception.what()));
  }
}

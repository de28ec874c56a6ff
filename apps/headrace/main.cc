// The one binary: the command line in, the exit code out.

#include <exception>

#include <fmt/core.h>

#include "arguments.h"
#include "commands.h"

int main(int argc, char** argv) {
  headrace::app::CommandContext context;
  try {
    headrace::app::Arguments arguments;
    return arguments.Run(argc, argv, context);
  } catch (const std::exception& exception) {
    // Every room returns its errors; what arrives here is a bug or an exhausted machine.
    return headrace::app::ReportError(
        context, headrace::base::Error(headrace::base::ErrorCode::kInternal, exception.what()));
  }
}

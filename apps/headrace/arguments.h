#pragma once
// The command line: every command with its options, in one place, and the reference page made from
// it.

#include <memory>
#include <string>

#include "commands.h"

namespace headrace::app {

// Not thread-safe.
class Arguments {
 public:
  Arguments();
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // Parses and runs the chosen command; the exit code. Help and complaints about arguments are
  // printed here.
  int Run(int argc, const char* const* argv, CommandContext& context);

  // docs/reference/cli.md as it must be committed.
  std::string Reference() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::app

#pragma once
// A command line that is not understood, as an error that says what was meant.

#include <string>
#include <vector>

#include "base/error.h"

namespace CLI {  // NOLINT(readability-identifier-naming): its own name
class App;
class ParseError;
}  // namespace CLI

namespace headrace::app {

// kInvalidInput: an option or a command that is not there by its name, with the nearest, before
// anything that is missing; else what CLI11 says. Of the program that has just thrown it.
base::Error UsageError(const CLI::App& program, const CLI::ParseError& error);

// "no command `servee`", below `parent`, which is the program or a command such as `log`.
base::Error NoCommand(const CLI::App& parent, const std::string& name);

// The first word of a command line that was to be a command and is none; empty when there is none.
std::string UnknownCommand(const CLI::App& program);

// "headrace log inspect".
std::string CommandLineOf(const CLI::App& command);

}  // namespace headrace::app

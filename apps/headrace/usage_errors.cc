#include "usage_errors.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/next_step.h"
#include "contract/diagnostic_report.h"
#include "contract/no_such_name.h"

namespace headrace::app {
namespace {

using base::Error;
using base::ErrorCode;

bool Shown(const CLI::App* app) { return !app->get_group().empty(); }

// The command that the line got to.
const CLI::App& Innermost(const CLI::App& program) {
  const CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return *app;
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* each : app.get_subcommands(Shown)) names.push_back(each->get_name());
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

bool HasPositionals(const CLI::App& command) {
  return std::ranges::any_of(command.get_options(),
                             [](const CLI::Option* option) { return option->get_positional(); });
}

bool IsOption(const std::string& word) { return word.size() > 1 && word.starts_with('-'); }

// "headrace serve PIPELINE --data DIR": arguments, in brackets those that need not be there, and
// the options that must.
std::string UsageOf(const CLI::App& command) {
  std::string text = CommandLineOf(command);
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) {
      const std::string name =
          option->get_name(true) + (option->get_expected_max() > 1 ? " ..." : "");
      text += option->get_required() ? " " + name : " [" + name + "]";
    } else if (option->get_required()) {
      text += " " + option->get_name(false) + " " + option->get_type_name();
    }
  }
  return text;
}

std::string HelpOf(const CLI::App& command) {
  const std::string line = CommandLineOf(command);
  const size_t blank = line.find(' ');
  return blank == std::string::npos ? line + " help"
                                    : line.substr(0, blank) + " help" + line.substr(blank);
}

Error NoOption(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::vector<std::string> names = OptionsOf(command);
  return Error(ErrorCode::kInvalidInput,
               fmt::format("{} has no option `{}`", CommandLineOf(command), name))
      .With("options", contract::Listed(names))
      .With(base::kNextStep, contract::DidYouMean(name, names, HelpOf(command)));
}

// A command such as `log`, which does nothing itself, without the part that is wanted.
Error NoPart(const CLI::App& command) {
  return Error(ErrorCode::kInvalidInput,
               fmt::format("{} wants a command behind it", CommandLineOf(command)))
      .With("usage",
            fmt::format("{} {}", CommandLineOf(command), fmt::join(CommandsOf(command), " | ")))
      .With(base::kNextStep, HelpOf(command));
}

// CLI11's sentence, where it is none of ours.
std::string SentenceOf(const CLI::ParseError& error) {
  constexpr std::string_view kNotRead = "Could not convert: ";
  std::string text = error.what();
  if (error.get_name() == "ArgumentMismatch")
    return text.substr(0, text.find(':')) + " wants a value behind it";
  if (text.starts_with(kNotRead)) return "can't be read: " + text.substr(kNotRead.size());
  return text;
}

}  // namespace

std::string CommandLineOf(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : CommandLineOf(*parent) + " " + command.get_name();
}

Error NoCommand(const CLI::App& parent, const std::string& name) {
  const std::vector<std::string> names = CommandsOf(parent);
  std::string whole = CommandLineOf(parent) + " " + name;
  whole.erase(0, whole.find(' ') + 1);
  return Error(ErrorCode::kInvalidInput, fmt::format("no command `{}`", whole))
      .With("commands", fmt::format("{}", fmt::join(names, ", ")))
      .With(base::kNextStep, contract::DidYouMean(name, names, HelpOf(parent)));
}

std::string UnknownCommand(const CLI::App& program) {
  const CLI::App& command = Innermost(program);
  if (HasPositionals(command) || CommandsOf(command).empty()) return {};
  for (const std::string& word : command.remaining())
    if (!IsOption(word)) return word;
  return {};
}

Error UsageError(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& command = Innermost(program);
  const std::vector<std::string> left = program.remaining(/*recurse=*/true);
  // Options of `headrace bogus --json` are those of no command: the command is what is wrong.
  if (const std::string word = UnknownCommand(program); !word.empty())
    return NoCommand(command, word);
  const auto option = std::ranges::find_if(left, IsOption);
  if (option != left.end()) return NoOption(command, *option);
  if (!left.empty())
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("`{}` is more than {} takes", left.front(), CommandLineOf(command)))
        .With("usage", UsageOf(command))
        .With(base::kNextStep, HelpOf(command));
  if (!HasPositionals(command) && !CommandsOf(command).empty()) return NoPart(command);
  return Error(ErrorCode::kInvalidInput, SentenceOf(error))
      .With("usage", UsageOf(command))
      .With(base::kNextStep, HelpOf(command));
}

}  // namespace headrace::app
